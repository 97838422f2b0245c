//! The city's end of the link by files: the counter where parcels come in and go out.
//!
//! What an office brings goes through the same ingest as from the wire. What goes
//! to it is read from the hub's streams behind the place up to which the office
//! says it has everything.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, time::Duration};

use domain::directory::Member;
use kernel::{
    Fact, OfficeId, Timestamp, entry,
    entry::Parts,
    sign::{Hash, Ring},
};
use serde::{Deserialize, Serialize};

use super::{
    Tray,
    parcel::{self, Cover, Item, Kind},
};
use crate::{
    ingest::Ingest,
    keys::SentUpTo,
    link::{Failure, Hub, ReaderSpec, Stored, Stream, covers},
    papers::{Papers, named},
    readers,
};

/// The most messages and bytes of one parcel.
const MOST: usize = 5_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many items ingest is asked to take at once, and their bytes.
const AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 400 * 1024;

/// What the city knows of one office's parcels.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    number: u64,
    /// The last of its parcels that was taken in, and what it said.
    taken: u64,
    reach: u64,
    wants: Vec<Hash>,
    back: Option<(u64, u64)>,
    /// The last of our parcels that it has taken in.
    theirs: u64,
    /// Up to where the parcels on their way reach.
    away: u64,
    out: Option<Timestamp>,
    owes: bool,
    /// What the notes were when they went out last.
    notes: Hash,
}

/// The counter.
pub struct Counter {
    ingest: Arc<Ingest>,
    hub: Arc<dyn Hub>,
    papers: Papers,
    tray: Tray,
    /// Where the state of each office lies.
    states: PathBuf,
    city: OfficeId,
    key: Arc<Ring>,
    again: Duration,
}

impl Counter {
    /// A counter with its tray and its papers; `states` is a folder of its own. After
    /// `again` without a word what is on its way is sent once more.
    pub fn new(
        ingest: Arc<Ingest>,
        hub: Arc<dyn Hub>,
        papers: Papers,
        tray: Tray,
        states: PathBuf,
        again: Duration,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(&states)?;
        let setting = ingest.setting();
        let (city, key) = (setting.office.clone(), setting.key.clone());
        Ok(Self { ingest, hub, papers, tray, states, city, key, again })
    }

    fn state(&self, office: &OfficeId) -> Result<State, Failure> {
        match fs::read(self.states.join(office.as_str())) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn keep(&self, office: &OfficeId, state: &State) -> Result<(), Failure> {
        Ok(super::put(&self.states, office.as_str(), &serde_json::to_vec(state)?)?)
    }

    /// Takes in what was brought; how many parcels.
    pub async fn take(&self) -> Result<usize, Failure> {
        let mut taken = 0;
        // Of whom something cannot be taken now, the later parcels wait too; nobody else's.
        let mut waiting = BTreeSet::new();
        for path in self.tray.brought("parcel")? {
            let bytes = fs::read(&path)?;
            let sender = parcel::sender(&bytes);
            if sender.as_ref().is_some_and(|sender| waiting.contains(sender)) {
                continue;
            }
            let row = match &sender {
                Some(office) => self.ingest.row(office).await.map_err(Failure::other)?,
                None => None,
            };
            let signed = |parts: &Parts<'_>, _: &[Item]| {
                row.as_ref().is_some_and(|r| r.signs_in_this_life(parts))
            };
            let opened = parcel::open(&bytes, signed);
            let why = match (opened, &row) {
                (Ok((cover, items)), Some(row)) if cover.to == self.city => {
                    if !self.take_one(&row.member, &cover, items).await? {
                        waiting.extend(sender);
                        continue;
                    }
                    taken += 1;
                    None
                }
                (Ok(_), _) => Some("it is for another city"),
                (Err(why), _) => Some(why),
            };
            if let Some(why) = why {
                tracing::warn!(file = %path.display(), why, "a parcel is refused");
                self.ingest.counters.count("parcel-refused");
            }
            self.tray.put_away(&path, why.is_none())?;
        }
        Ok(taken)
    }

    /// Takes one parcel in; `false` if the hub cannot take it now.
    async fn take_one(
        &self,
        member: &Member,
        cover: &Cover,
        items: Vec<Item>,
    ) -> Result<bool, Failure> {
        let office = &member.seat.office;
        let asks = cover.back.is_some() || items.iter().any(|item| !matches!(item, Item::Note(_)));
        let (mut entries, mut notes, mut papers) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Entry(bytes) => entries.push(bytes),
                Item::Note(bytes) => notes.push(bytes),
                Item::Paper(bytes) => papers.push(bytes),
                Item::Back(_) => {}
            }
        }
        // Apart: notes are true even where an entry before them is missing.
        if !self.pass(office, &entries).await || !self.pass(office, &notes).await {
            return Ok(false);
        }
        for paper in papers {
            if self.ingest.grants().allow(&Hash::of(&[&paper]), office) {
                self.papers.keep(paper).await?;
            }
        }
        let mut state = self.state(office)?;
        if cover.number > state.taken {
            (state.taken, state.theirs) = (cover.number, cover.taken);
            (state.reach, state.back) = (cover.reach.1, cover.back);
            state.wants.clone_from(&cover.wants);
        }
        state.owes |= asks;
        self.keep(office, &state)?;
        Ok(true)
    }

    /// Passes signed items to ingest, in its portions; `false` if it cannot take them now.
    async fn pass(&self, office: &OfficeId, signed: &[Vec<u8>]) -> bool {
        let mut part: Vec<&[u8]> = Vec::new();
        let mut size = 0;
        for (at, bytes) in signed.iter().enumerate() {
            part.push(bytes);
            size += bytes.len() + 4;
            let next = signed.get(at + 1).map_or(BYTES_AT_ONCE, Vec::len);
            if part.len() == AT_ONCE || size + next + 4 > BYTES_AT_ONCE {
                if !self.ask(office, &part).await {
                    return false;
                }
                (part, size) = (Vec::new(), 0);
            }
        }
        true
    }

    /// Asks ingest; `false` if it can only be asked again later. A refusal is
    /// ingest's word and is counted there: what is held tells the office.
    async fn ask(&self, office: &OfficeId, items: &[&[u8]]) -> bool {
        for _ in 0..50 {
            let answer = self.ingest.answer(office, &entry::frame(items.iter().copied())).await;
            if answer.answer != "retry" {
                return true;
            }
            if answer.code != "quota" && answer.code != "held-changed" {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Puts a parcel out for every office that brings its own; how many.
    pub async fn send(&self, at: Timestamp) -> Result<usize, Failure> {
        let mut sent = 0;
        let mut known = BTreeSet::new();
        for entry in fs::read_dir(&self.states)? {
            known.extend(OfficeId::parse(&entry?.file_name().to_string_lossy()));
        }
        for office in known {
            if let Some(row) = self.ingest.row(&office).await.map_err(Failure::other)? {
                sent += usize::from(self.send_one(&row.member, at).await?);
            }
        }
        Ok(sent)
    }

    async fn send_one(&self, member: &Member, at: Timestamp) -> Result<bool, Failure> {
        let office = &member.seat.office;
        let mut state = self.state(office)?;
        let again = i64::try_from(self.again.as_millis()).unwrap_or(i64::MAX);
        let unconfirmed = state.theirs < state.number;
        let lost = unconfirmed && state.out.is_some_and(|out| at.0 - out.0 >= again);
        let from = if unconfirmed && !lost { state.away } else { state.reach };
        let (mut items, mut papers) = (Vec::new(), state.wants.clone());
        let (reach, facts) = self.deliveries(member, from, &mut items).await?;
        papers.extend(facts.iter().flat_map(named));
        let mut back = None;
        if let Some(places) = state.back.take() {
            back = Some(self.back(member, places, &mut items).await?);
        }
        for hash in papers.iter().collect::<BTreeSet<_>>() {
            if self.ingest.grants().allow(hash, office)
                && let Some(paper) = self.papers.get(hash).await?
            {
                items.push(Item::Paper(paper));
                state.wants.retain(|wanted| wanted != hash);
            }
        }
        let (notes, digest) = self.notes(member).await?;
        let says = !items.is_empty() || back.is_some() || digest != state.notes;
        if !says && !state.owes && !lost {
            return Ok(false);
        }
        items.extend(notes);
        let answer = self.ingest.answer(office, &[]).await;
        if answer.answer != "held" {
            return Ok(false);
        }
        let held = SentUpTo {
            epoch: member.epoch,
            sequence: answer.sequence,
            hash: answer.hash,
            key: None,
        };
        state.number += 1;
        (state.away, state.out, state.owes, state.notes) = (reach, Some(at), false, digest);
        let cover = Cover {
            note: Kind::Parcel,
            by: self.city.clone(),
            to: office.clone(),
            at,
            number: state.number,
            digest: Hash::default(),
            taken: state.taken,
            held: Some(held),
            reach: (from, reach),
            wants: Vec::new(),
            back,
        };
        let bytes = parcel::seal(cover, &items, &self.key.now()).map_err(Failure::other)?;
        self.keep(office, &state)?;
        self.tray.put(&super::name(office, &self.city, state.number), &bytes)?;
        Ok(true)
    }

    /// What the office reads behind a place of HISTORY, in the hub's order; how far it goes.
    async fn deliveries(
        &self,
        member: &Member,
        from: u64,
        items: &mut Vec<Item>,
    ) -> Result<(u64, Vec<Fact>), Failure> {
        let specs = readers::of_history(&member.seat, &self.city, None);
        let filters: Vec<&String> = specs.iter().flat_map(|spec| &spec.filters).collect();
        let mut heads: Vec<Option<Stored>> = Vec::new();
        for filter in &filters {
            heads.push(self.hub.next(Stream::History, filter, from + 1).await?);
        }
        let (mut reach, mut size, mut facts) = (from, 0, Vec::new());
        while items.len() < MOST && size < MOST_BYTES {
            let sequence = |head: &Option<Stored>| head.as_ref().map(|head| head.sequence);
            let first =
                heads.iter().enumerate().filter_map(|(at, head)| Some((sequence(head)?, at)));
            let Some((_, at)) = first.min() else { break };
            let Some(stored) = heads[at].take() else { break };
            heads[at] = self.hub.next(Stream::History, filters[at], stored.sequence + 1).await?;
            (reach, size) = (stored.sequence, size + stored.payload.len());
            facts.extend(Fact::of_entry(&stored.payload).ok().map(|(fact, _)| fact));
            items.push(Item::Entry(stored.payload.to_vec()));
        }
        Ok((reach, facts))
    }

    /// The office's own entries from these places on; where they end.
    async fn back(
        &self,
        member: &Member,
        mut places: (u64, u64),
        items: &mut Vec<Item>,
    ) -> Result<(u64, u64), Failure> {
        let before = items.len();
        while items.len() - before < MOST {
            let (given, next) = self.ingest.page(&member.seat.office, places).await?;
            if given.is_empty() {
                break;
            }
            items.extend(given.into_iter().map(|stored| Item::Back(stored.payload.to_vec())));
            places = next;
        }
        Ok(places)
    }

    /// The notes that concern the office, and a hash over those that are news.
    async fn notes(&self, member: &Member) -> Result<(Vec<Item>, Hash), Failure> {
        let below = self.ingest.below(&member.seat.office).await.map_err(Failure::other)?;
        let ReaderSpec { filters, .. } = readers::of_notes(&member.seat, &self.city, &below);
        let (mut notes, mut news) = (Vec::new(), Vec::new());
        for filter in &filters {
            let mut from = 0;
            while let Some(stored) = self.hub.next(Stream::Attest, filter, from).await? {
                from = stored.sequence + 1;
                if !covers("at.hb.*", &stored.subject) {
                    news.push(Hash::of(&[&stored.payload]));
                }
                notes.push(Item::Note(stored.payload.to_vec()));
            }
        }
        news.sort();
        let all: Vec<&[u8]> = news.iter().map(|hash| hash.0.as_slice()).collect();
        Ok((notes, Hash::of(&all)))
    }
}
