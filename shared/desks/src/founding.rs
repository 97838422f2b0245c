//! First things: the city's founding, an office's first people, its lanes' start.

use std::{collections::BTreeMap, sync::Arc};

use access::people::ACCOUNTS;
use domain::{
    directory::{Command as Ask, Directory, Member, Seat as OfficeSeat},
    person::{Authorisation, Command as PersonAsk, Person},
};
use event_store::{Answer, LaneHead, Office, Unit, act, log};
use kernel::{Entropy, OfficeId, clock::wall, id::Tier, sign::Hash};
use messaging::{
    directory::Pin,
    files::{Tray, counter::Counter},
    ingest::Ingest,
    keys::Keys,
    link::{Failure, Link},
    nats::{
        connection::Connection,
        history::{create_streams, replicas},
        provision::{self, HubKeys, HubPlace},
    },
    papers::Papers,
    tls::leaves_the_machine,
};
use serde_json::json;
use tokio::task::JoinSet;
use web::{Route, Seat};

use crate::{
    config::OfficeConfig,
    couriers,
    enrolment::{self, Admission},
    joining::{MEMBERSHIP, Membership},
    loops::ingest_loop,
    moves, papers as paper_desk, people,
    running::{Process, Service, plain_seat},
    sealing,
};

/// An office whose store is open and whose link is made.
pub struct Opened {
    /// The service it runs.
    pub service: Service,
    /// Its configuration.
    pub config: OfficeConfig,
    /// Its keys.
    pub keys: Keys,
    /// Its place.
    pub membership: Membership,
    /// Its store.
    pub office: Office,
    /// What it trusts.
    pub pin: Arc<Pin>,
    /// The hub's address.
    pub hub: String,
    /// Its own way to the hub.
    pub way: Way,
}

/// An office's way to the hub.
#[derive(Clone)]
pub enum Way {
    /// Over a link that answers.
    Link(Arc<dyn Link>),
    /// By files that somebody carries.
    Files(Tray),
}

fn now_seconds() -> u64 {
    u64::try_from(wall().0 / 1000).unwrap_or(0)
}

/// The city's own membership; its id is made at the first start.
pub fn membership(config: &OfficeConfig, keys: &Keys) -> Result<Membership, String> {
    let text = |error: std::io::Error| error.to_string();
    let hub_url = config.hub.clone().ok_or("the city's configuration names no hub")?;
    if let Some(known) = keys.read::<Membership>(MEMBERSHIP).map_err(text)? {
        return Ok(Membership { hub_url, ..known });
    }
    let founding = config.founding.as_ref().ok_or("a new city needs its founding configured")?;
    let office = OfficeId::parse(&Entropy::System.word(8)).ok_or("no id could be made")?;
    let seat = OfficeSeat {
        office,
        tier: Tier::City,
        parent: None,
        code: founding.code.clone(),
        name: founding.name.clone(),
    };
    let membership = Membership { seat, hub_url, baselines: Vec::new(), renewed: None };
    keys.write_json(MEMBERSHIP, &membership).map_err(text)?;
    Ok(membership)
}

/// Makes the hub's keys, users and configuration. Run before nats-server starts;
/// again it writes the same with another address.
pub fn provision(config: &OfficeConfig, listen: &str, store: &str) -> Result<String, String> {
    provision_one(config, &HubPlace { name: "liandong-hub", listen, store, routes: &[] })
}

/// The same for one server of a cluster.
pub fn provision_one(config: &OfficeConfig, place: &HubPlace<'_>) -> Result<String, String> {
    let far = [place.listen].into_iter().chain(place.routes.iter().map(String::as_str));
    if let (None, Some(far)) = (&config.wire.tls, far.into_iter().find(|at| leaves_the_machine(at)))
    {
        return Err(format!(
            "{far} is not on this machine's loopback: name a certificate (wire.tls) in the city's configuration"
        ));
    }
    let text = |error: std::io::Error| error.to_string();
    let failed = |error: Failure| error.to_string();
    let keys = Keys::at(&config.keys).map_err(text)?;
    let membership = membership(config, &keys)?;
    let kept: Option<([String; 5], u64)> = keys.read("hub.json").map_err(text)?;
    let (hub, at) = if let Some((kept, at)) = kept {
        (HubKeys::from_kept(&kept).map_err(failed)?, at)
    } else {
        let (hub, at) = (HubKeys::generate(), now_seconds());
        let office = membership.seat.office.to_string();
        let ingest = provision::ingest_user(&hub, at).map_err(failed)?;
        keys.write("ingest.creds", ingest.creds.as_bytes()).map_err(text)?;
        let provisioner = provision::provision_user(&hub, at).map_err(failed)?;
        keys.write("provision.creds", provisioner.creds.as_bytes()).map_err(text)?;
        let (seed, public) = provision::office_key().map_err(failed)?;
        let jwt = provision::office_jwt(&hub.office_role, &hub.offices, &office, &public, at);
        let creds = provision::creds_text(&jwt.map_err(failed)?, &seed);
        keys.write("nats.creds", creds.as_bytes()).map_err(text)?;
        keys.write_json("hub.json", &(hub.kept().map_err(failed)?, at)).map_err(text)?;
        (hub, at)
    };
    let tls = config.wire.tls.as_ref();
    provision::hub_config(&hub, place, tls, &[], at).map_err(failed)
}

/// `CityFounded`, once: the genesis that every enrolment token pins.
pub async fn found(
    office: &Office,
    keys: &Keys,
    config: &OfficeConfig,
    membership: &Membership,
) -> Result<Pin, String> {
    let demo = config.founding.as_ref().is_some_and(|founding| founding.demo);
    let key = office.setting().key.now().public();
    let seat = membership.seat.clone();
    let city = seat.office.clone();
    let member = Member { seat, key, epoch: 1, key_from: 1 };
    let id = city.to_string();
    let founding = act(move |unit: &mut Unit<'_>| {
        let (id, member) = (id.clone(), member.clone());
        Box::pin(async move {
            unit.execute::<Directory>(&id, Ask::Found { city: member, demo }).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    office.system(founding).await.map_err(|refusal| refusal.to_string())?;
    let mut reader = office.reader().await.map_err(|error| error.to_string())?;
    let entries = log::stream_entries(&mut reader, &format!("directory/{city}")).await;
    let entries = entries.map_err(|error| error.to_string())?;
    let genesis = entries.first().ok_or("the founding is not in the log")?;
    let pin = Pin { city, key, founding: kernel::entry::hash(genesis), demo };
    keys.write_json("pin.json", &pin).map_err(|error| error.to_string())?;
    Ok(pin)
}

/// The seat, and at the city its ingest, its admission and their routes.
pub async fn seat(
    opened: &Opened,
    process: &Process,
) -> Result<(Arc<Seat>, Vec<Route>, JoinSet<()>), String> {
    let mut seat = plain_seat(opened, process).await?;
    let mut tasks = JoinSet::new();
    if opened.service.tier != Tier::City {
        return Ok((Arc::new(seat), Vec::new(), tasks));
    }
    let failed = |error: Failure| error.to_string();
    let creds = |name: &str| {
        std::fs::read_to_string(opened.keys.folder().join(name)).map_err(|e| format!("{name}: {e}"))
    };
    let tls = opened.config.wire.tls.as_ref();
    let creds_of = creds("provision.creds")?;
    let provisioner = Connection::open(&opened.hub, "provision", &creds_of, tls).await;
    let mut provisioner = provisioner.map_err(failed)?;
    provisioner.ready().await.map_err(failed)?;
    create_streams(&provisioner, replicas(&opened.hub)).await.map_err(failed)?;
    let link = Connection::open(&opened.hub, "ingest", &creds("ingest.creds")?, tls).await;
    let link = link.map_err(failed)?;
    let papers = opened.config.data.join("hub");
    let hub = Arc::new(link.clone());
    let ingest = Arc::new(Ingest::new(opened.office.clone(), hub.clone(), papers.join("grants")));
    seat.ingest = Some(ingest.clone());
    seat.hub_papers = Some(Papers::at(papers.join("papers")));
    let seat = Arc::new(seat);
    let kept: Option<([String; 5], u64)> =
        opened.keys.read("hub.json").map_err(|error| error.to_string())?;
    let (kept, _) = kept.ok_or("the hub was not provisioned")?;
    let admission = Arc::new(Admission {
        seat: seat.clone(),
        hub,
        keys: HubKeys::from_kept(&kept).map_err(failed)?,
        hub_url: opened.hub.clone(),
    });
    admission.create_readers(&opened.membership.seat, None).await.map_err(failed)?;
    admission.restore_readers().await.map_err(failed)?;
    tasks.spawn(ingest_loop(ingest.clone(), link));
    tasks.spawn(moves::readers_loop(admission.clone()));
    if let Some(folder) = &opened.config.files {
        let tray = Tray::at(folder).map_err(|error| error.to_string())?;
        let (papers, states) =
            (Papers::at(papers.join("papers")), opened.config.data.join("files"));
        let counter = {
            let (hub, again) = (admission.hub.clone(), opened.config.journey());
            Counter::new(ingest, hub, papers, tray.clone(), states, again).map_err(failed)?
        };
        tasks.spawn(couriers::counter_loop(counter, tray, admission.clone()));
    }
    let mut routes = enrolment::routes(&admission);
    routes.extend(moves::routes(&admission));
    routes.extend(crate::organs::homes());
    routes.extend(paper_desk::hub_routes());
    Ok((seat, routes, tasks))
}

/// What an office does at its start, before it takes anything in.
pub async fn first_things(
    seat: &Seat,
    config: &OfficeConfig,
    membership: &Membership,
) -> Result<(), String> {
    begin_lanes(&seat.office, membership).await?;
    first_people(seat, config).await?;
    sealing::publish(seat).await?;
    crate::ledger::publish(seat).await
}

/// Registers the configured people at the first start, with one-time links that
/// only the key folder holds.
async fn first_people(seat: &Seat, config: &OfficeConfig) -> Result<(), String> {
    const LINKS: &str = "first-sign-in.json";
    let known: Option<serde_json::Value> = seat.keys.read(LINKS).map_err(|e| e.to_string())?;
    if known.is_some() || config.people.is_empty() {
        return Ok(());
    }
    let today = seat.office.setting().clock.now().day();
    let (tier, office) = (seat.office.setting().tier, seat.office.setting().office.clone());
    let mut links = Vec::new();
    for person in &config.people {
        let derived = seat.derive("first", &[&person.account]).to_string();
        let (secret, id) = (&derived[..32], format!("{office}-{}", &derived[32..42]));
        let hash = Hash::of(&[secret.as_bytes()]);
        let (account, display) = (person.account.clone(), person.display.clone());
        let register = people::registering(id.clone(), account, display, hash);
        let roles = person.roles.clone();
        let (person_id, known) = (id.clone(), person.account.clone());
        let authorise = act(move |unit: &mut Unit<'_>| {
            let (id, roles, account) = (person_id.clone(), roles.clone(), known.clone());
            Box::pin(async move {
                // Whoever was registered by keys that are gone since has the posts given then.
                let taken: Option<String> = unit.row(ACCOUNTS, &account).await?;
                if taken.is_some_and(|taken| taken != id) {
                    return Ok(Answer { status: 208, etag: String::new(), body: Vec::new() });
                }
                for role in roles {
                    let authorisation = Authorisation {
                        id: format!("{role}-{today}"),
                        role,
                        scope: "office".to_owned(),
                        from: today,
                        to: None,
                    };
                    let ask = PersonAsk::Authorise { tier, authorisation };
                    unit.execute::<Person>(&id, ask).await?;
                }
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        match seat.office.system(register).await {
            Ok(_) | Err(kernel::Refusal { code: kernel::Code::PersonExists, .. }) => {}
            Err(refusal) => return Err(refusal.to_string()),
        }
        let done = seat.office.system(authorise).await.map_err(|refusal| refusal.to_string())?;
        if done.status == 208 {
            continue;
        }
        links.push(json!({"account": person.account, "person": id, "roles": person.roles,
            "link": format!("{id}.{secret}")}));
    }
    seat.keys.write_json(LINKS, &links).map_err(|error| error.to_string())
}

/// Sets where the office's lanes begin, once, and folds what is understood by now.
async fn begin_lanes(office: &Office, membership: &Membership) -> Result<(), String> {
    let baselines: BTreeMap<String, LaneHead> = membership
        .baselines
        .iter()
        .map(|b| {
            let (origin, hash) = (b.lane.origin.clone(), b.hash);
            (b.lane.to_string(), LaneHead { origin, epoch: b.epoch, counter: b.counter, hash })
        })
        .collect();
    let begin = act(move |unit: &mut Unit<'_>| {
        let baselines = baselines.clone();
        Box::pin(async move {
            for (lane, head) in baselines {
                if unit.lane(&lane).is_none() {
                    unit.set_lane(lane, head);
                }
            }
            unit.fold_late().await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    match office.system(begin).await {
        Ok(_) => Ok(()),
        Err(refusal) => Err(refusal.to_string()),
    }
}
