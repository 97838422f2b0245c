//! 封存 What is sealed stays so: marked secrets through a whole town, an identity that two
//! open and that is destroyed for ever.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use kernel::{EntryRef, sealed::SealedPart};
use serde_json::{Value, json};
use tests::{
    canary::{Looked, Search, forms},
    chancery::{Chancery, Clerk, Team},
    town::{CITY, DISTRICT, TOWN, Town, program},
};
use vault::{Place, Vault, grant::Purpose, part};

/// 镇安县, the other district.
const OTHER: &str = "611025";
const OFFICES: [&str; 4] = [CITY, DISTRICT, TOWN, OTHER];

/// What is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Text, posts, evidence.
    Text,
    /// Names in characters that nobody is called by.
    Name,
    /// Telephone numbers of a range that does not exist.
    Phone,
}

use Kind::{Name, Phone, Text};

/// Marked secrets, and which offices have them in the clear while they work on them.
#[derive(Default)]
struct Marks(Vec<(String, Kind, &'static [&'static str])>);

impl Marks {
    fn mark(&mut self, kind: Kind, with: &'static [&'static str]) -> String {
        let number = self.0.len() as u64 + 1;
        let chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let rare = |at: u32| {
            let rest = u32::try_from((chance >> (at * 13)) % 0x19b0).unwrap();
            char::from_u32(0x3400 + rest)
        };
        let secret = match kind {
            Text => format!("Qz{:08x}xK{number:04}", chance >> 32),
            Name => (0..4).filter_map(rare).collect(),
            Phone => format!("120{:08}", (chance >> 20) % 100_000_000),
        };
        self.0.push((secret.clone(), kind, with));
        secret
    }

    fn count(&self, kind: Kind) -> usize {
        self.0.iter().filter(|(_, of, _)| *of == kind).count()
    }

    /// How many there are of each kind.
    fn said(&self) -> String {
        let [text, names, phones] = [Text, Name, Phone].map(|kind| self.count(kind));
        format!("{} secrets: {text} texts, {names} names, {phones} telephones", self.0.len())
    }
}

/// What a clue says, marked all over.
fn saying(marks: &mut Marks, with: &'static [&'static str], person: &str) -> Value {
    let (text, phone) = (marks.mark(Text, with), marks.mark(Phone, with));
    let object = json!({"name": marks.mark(Name, with), "post": marks.mark(Text, with),
        "person": person});
    let other = json!({"name": marks.mark(Name, with), "post": "会计"});
    let evidence = json!([marks.mark(Text, with), format!("电话{}", marks.mark(Phone, with))]);
    json!({"objects": [object, other], "text": format!("{text},可拨打{phone}核实。"),
        "evidence": evidence})
}

/// A clue with marks, signed by two, sealed and offered.
async fn marked_clue(
    desk: &Chancery<'_>,
    team: &Team,
    authority: &Value,
    (says, minutes): (Value, String),
) -> String {
    let mut draft = Chancery::draft_of(team, authority, "");
    draft["saying"] = says;
    let made = desk.done(&team.member, "/api/clues", draft).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let content = desk.discussed(team, &id, &minutes).await;
    for signer in [&team.leader, &team.member] {
        let body = json!({"content": content});
        let signed = desk.signed(signer, &format!("/api/clues/{id}/sign"), body).await;
        assert_eq!(signed.status, 200, "{}", signed.json());
    }
    for step in ["seal", "offer"] {
        desk.done(&team.custodian, &format!("/api/clues/{id}/{step}"), json!({})).await;
    }
    id
}

/// Clues that reach a registry: it accepts them and reads what they say.
async fn marked_clues(
    desk: &Chancery<'_>,
    team: &Team,
    (authority, registry): (&Value, &Clerk),
    (marks, with): (&mut Marks, &'static [&'static str]),
    about: &str,
) {
    for number in 0..9 {
        let says = (saying(marks, with, about), marks.mark(Text, with));
        let id = marked_clue(desk, team, authority, says).await;
        let case = desk.delivered(registry, &id).await;
        let at = format!("/api/clue-cases/{case}");
        // One is returned, and mended by its team.
        if number == 0 {
            desk.done(registry, &format!("{at}/return"), json!({"reason": "incomplete"})).await;
            let row = format!("/api/clues/{id}");
            let waits =
                async || !desk.get(&team.custodian, &row).await.json()["returned"].is_null();
            desk.town.until("the return is noted", waits).await;
            let mended = saying(marks, with, about);
            desk.done(&team.member, &format!("{row}/revise"), mended).await;
            continue;
        }
        let accepted = desk.signed(registry, &format!("{at}/accept"), json!({})).await;
        assert_eq!(accepted.status, 200, "{}", accepted.json());
        let read = desk.get(registry, &format!("{at}/content")).await;
        assert_eq!(read.status, 200, "{}", read.json());
    }
}

/// Who sent petitions; one is opened and read by two, and bodies that are refused are not
/// kept either.
async fn marked_identities(desk: &Chancery<'_>, team: &Team, marks: &mut Marks) {
    let with = &[DISTRICT];
    let liaison = desk.hire(DISTRICT, "LO", &format!("round:{}", team.round)).await;
    let sender = |marks: &mut Marks| {
        json!({"name": marks.mark(Name, with), "contact": marks.mark(Phone, with),
            "other": marks.mark(Text, with)})
    };
    for number in 0..20 {
        let new = json!({"round": team.round, "task": "k1", "sender": sender(marks)});
        let made = desk.done(&liaison, "/api/identities", new).await;
        if number > 0 {
            continue;
        }
        let at = format!("/api/identities/{}", made["id"].as_str().unwrap());
        desk.done(&team.leader, &format!("{at}/ask"), json!({"reason": "tell-result"})).await;
        desk.done(&team.custodian, &format!("{at}/open"), json!({})).await;
        assert_eq!(desk.get(&team.leader, &format!("{at}/content")).await.status, 200);
    }
    let mut unfit = sender(marks);
    unfit["x"] = json!(marks.mark(Text, with));
    let bad = json!({"round": team.round, "task": "k1", "sender": unfit});
    assert_eq!(desk.post(&liaison, "/api/identities", bad).await.status, 422);
    // Who may not, is refused with all that the body says.
    let new = json!({"round": team.round, "task": "k1", "sender": sender(marks)});
    assert_eq!(desk.post(&team.custodian, "/api/identities", new).await.status, 403);
    let mut draft = Chancery::draft_of(team, &json!("own"), "");
    draft["saying"] = saying(marks, with, "");
    assert_eq!(desk.post(&team.custodian, "/api/clues", draft).await.status, 403);
}

/// Drafts of findings, from the team's first word to the list that is not fed back yet.
async fn marked_findings(desk: &Chancery<'_>, team: &Team, marks: &mut Marks) {
    let with = &[DISTRICT];
    let new = |marks: &mut Marks| {
        let text = format!("{}经手,{}", marks.mark(Name, with), marks.mark(Text, with));
        json!({"round": team.round, "task": "k1", "category": "三资管理",
            "title": marks.mark(Text, with), "text": text})
    };
    for number in 0..12 {
        let body = new(marks);
        let title = body["title"].clone();
        let made = desk.done(&team.member, "/api/findings", body).await;
        let at = format!("/api/findings/{}", made["id"].as_str().unwrap());
        if number == 1 {
            desk.done(&team.leader, &format!("{at}/drop"), json!({"reason": "duplicate"})).await;
        } else {
            desk.done(&team.leader, &format!("{at}/co-sign"), json!({})).await;
        }
        assert_eq!(desk.get(&team.leader, &at).await.json()["draft"]["title"], title);
    }
    let listed = desk.get(&team.leader, "/api/findings").await.json();
    assert!(listed["items"].as_array().unwrap().iter().all(|row| row["draft"]["text"].is_string()));
    assert_eq!(desk.post(&team.custodian, "/api/findings", new(marks)).await.status, 403);
    let round = format!("/api/rounds/{}", team.round);
    desk.done(&team.leader, &format!("{round}/tasks/k1/list"), json!({})).await;
}

/// Backs an office up by its own program while it runs, store and keys.
fn back_up(town: &Town, code: &str) {
    for what in ["backup", "backup-keys"] {
        let into = town.folder.join(what);
        let config = town.configuration(code);
        let mut command = Command::new(program(code));
        let made = command.arg("--config").arg(config).arg(what).arg(into).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// What the core images hold that they may not: of a clue that the city holds, its district
/// has nothing; of a district's own, the city has nothing; the township, the other district
/// and the hub have nothing of either.
fn look_at_cores(town: &Town, search: &Search, marks: &Marks) -> Looked {
    let mut all = Looked::default();
    let hub = ("hub", town.hub_process());
    let offices = OFFICES.map(|code| (code, town.process(code)));
    for (code, process) in offices.into_iter().chain([hub]) {
        let image = search.core(process, code);
        let may = |which: usize| marks.0.get(which).is_some_and(|mark| mark.2.contains(&code));
        let own: BTreeSet<_> = image.of(may).into_iter().map(|(which, _)| which).collect();
        eprintln!(
            "core image of {code}: {}, {} compressed pieces opened, {} of its own secrets",
            mega(image.bytes),
            image.opened,
            own.len()
        );
        let wrong = image.of(|which| which < marks.0.len() && !may(which));
        assert!(wrong.is_empty(), "{code}: {wrong:?}");
        // What is no secret is there: the image was really read.
        assert!(!image.of(|which| which == marks.0.len()).is_empty(), "{code}");
        all.add(image);
    }
    all
}

fn mega(bytes: usize) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Everything that the town has written is searched whole. An office that works on a secret
/// has it in its memory meanwhile, so core images are searched of those that do not. The
/// hub's store may be packed in a way of its own: what went to the hub and to the city is
/// written down on its way and searched as well.
#[tokio::test(flavor = "multi_thread")]
async fn no_marked_secret_is_found_anywhere_in_the_clear() {
    let mut town = Town::start().await;
    town.enrol(OTHER, CITY, "district").await;
    let mut marks = Marks::default();
    listen_in(&mut town).await;
    for code in OFFICES {
        town.part(code).await;
    }
    {
        let desk = Chancery::of(&town);
        let (team, above) = (desk.team().await, desk.team_of_city().await);
        let below = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
        let registry = desk.hire_signer(CITY, "NDI_REG", "office").await;
        let (own, upper) = (json!("own"), json!("upper"));
        // The city's own clues are about the district's leader.
        let (here, with) = ((&own, &registry), &[CITY]);
        marked_clues(&desk, &above, here, (&mut marks, with), &team.leader.person).await;
        marked_clues(&desk, &team, (&own, &below), (&mut marks, &[DISTRICT]), "").await;
        let with = &[DISTRICT, CITY];
        marked_clues(&desk, &team, (&upper, &registry), (&mut marks, with), "").await;
        marked_identities(&desk, &team, &mut marks).await;
        marked_findings(&desk, &team, &mut marks).await;
        for office in OFFICES {
            let shown = town.api(office).get("SYS", "/api/operations").await.unwrap().to_string();
            assert!(marks.0.iter().all(|(secret, ..)| !shown.contains(secret)));
        }
    }
    assert!(marks.0.len() >= 200, "{}", marks.0.len());
    // What is no secret: it must be found.
    let open = town.id(DISTRICT);
    let search = Search::of(marks.0.iter().map(|(secret, ..)| &**secret).chain([&*open]));
    let cores = look_at_cores(&town, &search, &marks);
    for code in OFFICES {
        back_up(&town, code);
    }
    for code in [TOWN, OTHER, DISTRICT, CITY] {
        town.stop_office(code).await;
    }
    town.kill_hub().await;
    // What an auditor takes home is searched too.
    for code in OFFICES {
        let into = town.folder.join("export");
        auditor::export::export(None, &town.data(code), &town.keys(code), &into).await.unwrap();
    }
    let files = look_at_files(&town, &search, marks.0.len());
    let hits = files.of(|which| which < marks.0.len());
    assert!(hits.is_empty(), "{hits:?}");
    let (first, ..) = &marks.0[0];
    let ways: BTreeSet<_> = forms(first).into_iter().map(|(name, _)| name).collect();
    assert!(ways.len() >= 8);
    eprintln!(
        "{}; {} encodings in {} forms, each also compressed; {} files, {}; {} core images, \
         {}; 0 hits",
        marks.said(),
        ways.len(),
        forms(first).len(),
        files.places,
        mega(files.bytes),
        cores.places,
        mega(cores.bytes)
    );
    the_search_finds_what_is_there(&town.folder.join("planted"), &search, &marks);
}

/// Everything that the town has written. In each part of it there is what is no secret: it
/// was really read.
fn look_at_files(town: &Town, search: &Search, open: usize) -> Looked {
    let mut files = Looked::default();
    for part in fs::read_dir(&town.folder).unwrap() {
        let path = part.unwrap().path();
        if path.is_file() {
            search.file(&path, &mut files);
            continue;
        }
        let looked = search.folder(&path);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        eprintln!(
            "{name}: {} files, {}, {} compressed pieces opened",
            looked.places,
            mega(looked.bytes),
            looked.opened
        );
        assert!(!looked.of(|which| which == open).is_empty(), "{name}");
        files.add(looked);
    }
    files
}

/// What goes between an office and the hub or the city is written down.
async fn listen_in(town: &mut Town) {
    let wire = town.folder.join("wire");
    let hub = town.hub_url().rsplit(':').next().unwrap().parse().unwrap();
    let link = tests::proxy::Proxy::to(hub).await;
    town.configs.get_mut(CITY).unwrap().hub = Some(format!("nats://127.0.0.1:{}", link.port));
    town.links.insert(CITY.to_owned(), link);
    for proxy in town.links.values().chain(town.roads.values()) {
        proxy.listen_in(&wire);
    }
}

/// Plants one secret of each kind in every form: in a file, in what is compressed, and in
/// the memory of a process.
fn the_search_finds_what_is_there(folder: &Path, search: &Search, marks: &Marks) {
    fs::create_dir_all(folder).unwrap();
    let mut planted = 0;
    for kind in [Text, Name, Phone] {
        let which = marks.0.iter().rposition(|(_, of, _)| *of == kind).unwrap();
        for (name, form) in forms(&marks.0[which].0) {
            let around = [b"abc".as_slice(), &form, b"def"].concat();
            for bytes in [around.clone(), zipped(&around), zlib(&around)] {
                let bytes = [b"before".as_slice(), &bytes, b"after"].concat();
                fs::write(folder.join("file"), &bytes).unwrap();
                let looked = search.folder(folder);
                assert!(!looked.of(|found| found == which).is_empty(), "{kind:?} {name}");
                assert!(held_in_memory(search, &bytes, which), "{kind:?} {name} in memory");
                planted += 2;
            }
        }
    }
    eprintln!("{planted} planted, {planted} found");
}

/// Whether a secret is found in the core image of a process that was given it: `sort` keeps
/// what it reads until it has read all.
fn held_in_memory(search: &Search, bytes: &[u8], which: usize) -> bool {
    let mut process =
        Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut given = process.stdin.take().unwrap();
    given.write_all(bytes).unwrap();
    let found = (0..50).any(|_| {
        let looked = search.core(process.id(), "sort");
        let found = !looked.of(|found| found == which).is_empty();
        if !found {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        found
    });
    drop(given);
    process.wait().unwrap();
    found
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut writer = ZlibEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Whether a vault opens an identity: with any grant that it has, for any organ, whatever
/// the grant says that it is for.
async fn opens(vault: &Vault, town: &Town, identity: &Value) -> bool {
    let header: SealedPart = serde_json::from_value(identity["part"].clone()).unwrap();
    let place: EntryRef = serde_json::from_value(identity["place"].clone()).unwrap();
    let papers = messaging::papers::Papers::at(town.data(DISTRICT).join("papers"));
    let bytes = papers.get(&header.hash).await.unwrap().unwrap();
    let place = Place { entry: &place, part: "content" };
    for (id, grant) in vault.grants() {
        for organ in ["inspection-office", "discipline-organ", "organization-department"] {
            let organ = vault.organ(organ).unwrap();
            for what in ["draft", "hand-over", "identity"] {
                let key = grant.open(&organ, &header.scope, &Purpose { id: &id, what });
                if key.is_ok_and(|key| part::open(&place, &key, &header, &bytes).is_ok()) {
                    return true;
                }
            }
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_opens_for_two_and_is_destroyed_for_ever() {
    let mut town = Town::start().await;
    let rows = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let liaison = desk.hire(DISTRICT, "LO", &format!("round:{}", team.round)).await;
        let sender = json!({"name": "某举报人", "contact": "13900000000", "other": ""});
        let new = json!({"round": team.round, "task": "k1", "sender": sender});
        let made = desk.done(&liaison, "/api/identities", new.clone()).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let at = format!("/api/identities/{id}");
        let content = format!("{at}/content");
        // Who sealed it does not read it back; neither does anybody alone.
        assert_eq!(desk.get(&liaison, &content).await.status, 403);
        for alone in [&team.leader, &team.custodian] {
            assert_eq!(desk.get(alone, &content).await.json()["code"], "identity-not-opened");
        }
        desk.done(&team.leader, &format!("{at}/ask"), json!({"reason": "tell-result"})).await;
        let same = desk.post(&team.leader, &format!("{at}/open"), json!({})).await;
        assert_eq!(same.json()["code"], "same-person");
        let second = desk.hire(DISTRICT, "TL", &format!("round:{}", team.round)).await;
        let same = desk.post(&second, &format!("{at}/open"), json!({})).await;
        assert_eq!(same.json()["code"], "same-organ");
        desk.done(&team.custodian, &format!("{at}/open"), json!({})).await;
        for one in [&team.leader, &team.custodian] {
            let read = desk.get(one, &content).await;
            assert_eq!(read.json()["sender"]["name"], "某举报人", "{}", read.json());
        }
        assert_eq!(desk.get(&second, &content).await.json()["code"], "identity-not-opened");
        let log = town.api(DISTRICT).get("AUDADM", "/api/reads?limit=500").await.unwrap();
        assert!(log.to_string().contains(&format!("identity/{id}")), "{log}");

        let row = desk.get(&team.leader, &at).await.json();
        assert!(opens(&town.vault(DISTRICT), &town, &row).await, "before, the vault opens it");
        desk.done(&team.leader, &format!("{at}/ask-destruction"), json!({})).await;
        let alone = desk.post(&team.leader, &format!("{at}/destroy"), json!({})).await;
        assert_eq!(alone.json()["code"], "same-person");
        desk.done(&team.custodian, &format!("{at}/destroy"), json!({})).await;
        assert_eq!(desk.get(&team.leader, &content).await.json()["code"], "identity-destroyed");
        assert_eq!(desk.get(&team.leader, &at).await.json()["state"], "destroyed");
        // Another one lives, so that the vault has something to open with.
        let other = desk.done(&liaison, "/api/identities", new).await;
        let other = format!("/api/identities/{}", other["id"].as_str().unwrap());
        [row, desk.get(&team.leader, &other).await.json()]
    };
    back_up(&town, DISTRICT);
    // With every key that there is now, nothing opens it; the views come out the same.
    town.stop_office(DISTRICT).await;
    let vault = town.vault(DISTRICT);
    assert!(opens(&vault, &town, &rows[1]).await);
    assert!(!opens(&vault, &town, &rows[0]).await);
    assert!(town.views_agree(DISTRICT).await);
}
