//! An office's end of the link by files.
//!
//! A parcel holds all own entries behind what is held at the hub or on its way
//! there. What is on its way counts as lost when the city has taken a later parcel
//! without it, or when nothing was heard for as long as a journey may take.

use std::{fs, sync::Arc, time::Duration};

use event_store::{Office, log};
use kernel::{
    Code, Fact, Refusal, Timestamp,
    entry::Parts,
    sign::{Hash, PublicKey},
};
use serde::{Deserialize, Serialize};

use super::{
    Tray,
    parcel::{self, Cover, Item, Kind},
};
use crate::{
    counters::Counters,
    directory::{DIRECTORY, Entry, Pin},
    fit::{Fit, fits},
    gaps::Patience,
    intake::taking_in,
    keys::{Keys, SentUpTo},
    link::Failure,
    lives::{self, Begun},
    notes::{NotesOut, keeping},
    papers::{Papers, named},
    recovery::{Progress, Recovery, putting_aside},
    relay::wire,
};

/// How often an office says that it is there, if it has nothing else to say.
const QUIET: Duration = Duration::from_hours(1);
/// The most entries and bytes of one parcel.
const MOST: usize = 5_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many entries are taken in by one transaction.
const AT_ONCE: usize = 200;
/// Where the state lies among the keys.
const STATE: &str = "courier.json";

/// What the office knows of its parcels; written before a parcel goes out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    /// The last parcel's number.
    number: u64,
    /// The last own sequence of each parcel that may be on its way.
    on_the_way: Vec<(u64, u64)>,
    /// The last of the city's parcels that was taken in.
    taken: u64,
    /// The last parcel that the city has taken in.
    theirs: u64,
    /// The city's word on what the hub holds.
    held: Option<SentUpTo>,
    /// Up to which stream sequence everything was taken in.
    reach: u64,
    /// When the last parcel went out.
    out: Option<Timestamp>,
    /// Whether the city waits for the word that its parcel came.
    owes: bool,
    /// The city's key by which its last parcel was proved: kept beside the keys, for a
    /// lost store does not know of the city's turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    city: Option<PublicKey>,
}

impl State {
    /// Whether nothing went out for so long, or the clock was set back.
    fn is_silent(&self, at: Timestamp, long: Duration) -> bool {
        let long = i64::try_from(long.as_millis()).unwrap_or(i64::MAX);
        self.out.is_none_or(|out| at.0 - out.0 >= long || at < out)
    }
}

/// The courier of one office.
pub struct Courier {
    office: Office,
    keys: Keys,
    pin: Arc<Pin>,
    sealing: Arc<[u8; 32]>,
    papers: Papers,
    tray: Tray,
    counters: Arc<Counters>,
    again: Duration,
    notes: NotesOut,
    recovery: Recovery,
    patience: Patience,
    state: State,
    aside: bool,
    /// Whether a log that is behind has asked for everything anew.
    rewound: bool,
    wanted: Vec<Hash>,
}

/// What a courier works with.
pub struct Outfit {
    /// The office.
    pub office: Office,
    /// Its keys.
    pub keys: Keys,
    /// What its enrolment pinned.
    pub pin: Arc<Pin>,
    /// The key that seals its own entries.
    pub sealing: Arc<[u8; 32]>,
    /// Its papers.
    pub papers: Papers,
    /// Its tray.
    pub tray: Tray,
    /// Where intake counts.
    pub counters: Arc<Counters>,
    /// After so long without a word what is on its way is sent once more.
    pub again: Duration,
}

impl Courier {
    /// A courier that goes on where it stopped.
    pub fn new(outfit: Outfit) -> Result<Self, Failure> {
        let Outfit { office, keys, pin, sealing, papers, tray, counters, again } = outfit;
        let state = keys.read(STATE)?.unwrap_or_default();
        let notes = NotesOut::without_link(office.clone(), pin.demo);
        let recovery = Recovery::new(office.clone(), pin.clone(), sealing.clone());
        let (patience, wanted) = (Patience::new(std::time::Instant::now()), Vec::new());
        Ok(Self {
            office,
            keys,
            pin,
            sealing,
            papers,
            tray,
            counters,
            again,
            notes,
            recovery,
            patience,
            state,
            aside: true,
            rewound: false,
            wanted,
        })
    }

    /// The last own sequence that the hub holds, as the city said it last.
    pub fn held(&self) -> Option<u64> {
        self.state.held.as_ref().map(|held| held.sequence)
    }

    /// Takes in what was brought; how many parcels.
    pub async fn take(&mut self) -> Result<usize, Failure> {
        let behind = self.office.refusing() == Some(Code::LogBehind);
        if self.aside && !behind {
            let looking = taking_in(Vec::new(), self.pin.clone(), self.counters.clone());
            if self.office.system(looking).await.is_err() {
                return Ok(0);
            }
            self.aside = false;
        }
        if behind && !self.rewound {
            // A log that is put back needs what it took in before once more.
            (self.state.reach, self.state.owes) = (0, true);
        }
        self.rewound = behind;
        let mut key = self.city_key().await?;
        let mut taken = 0;
        for path in self.tray.brought("parcel")? {
            let mut by = None;
            let signed = |parts: &Parts<'_>, items: &[Item]| {
                by = parcel::city_key(parts, &self.pin.city, key, items);
                by.is_some()
            };
            match parcel::open(&fs::read(&path)?, signed) {
                Ok((cover, items)) if cover.to == self.office.setting().office => {
                    key = by.unwrap_or(key);
                    self.state.city = Some(key);
                    if let Err(refusal) = self.take_one(&cover, items).await? {
                        tracing::debug!(%refusal, "a parcel waits");
                        break;
                    }
                    self.tray.put_away(&path, true)?;
                    taken += 1;
                }
                Ok(_) => self.refuse(&path, "it is for another office")?,
                Err(why) => self.refuse(&path, why)?,
            }
        }
        self.compare().await?;
        if self.patience.asks_again(&self.office).await {
            self.state.reach = 0;
            self.state.owes = true;
        }
        Ok(taken)
    }

    fn refuse(&self, path: &std::path::Path, why: &str) -> Result<(), Failure> {
        tracing::warn!(file = %path.display(), why, "a parcel is refused");
        self.counters.count("parcel-refused");
        Ok(self.tray.put_away(path, false)?)
    }

    async fn city_key(&self) -> Result<PublicKey, Failure> {
        if let Some(key) = self.state.city {
            return Ok(key);
        }
        let mut reader = self.office.reader().await.map_err(Failure::other)?;
        let entry: Option<Entry> =
            reader.view(DIRECTORY, self.pin.city.as_str()).await.map_err(Failure::other)?;
        Ok(entry.map_or(self.pin.key, |entry| entry.member.key))
    }

    async fn take_one(
        &mut self,
        cover: &Cover,
        items: Vec<Item>,
    ) -> Result<Result<(), Refusal>, Failure> {
        let (mut entries, mut notes, mut back) = (Vec::new(), Vec::new(), Vec::new());
        let asks = items.iter().any(|item| !matches!(item, Item::Note(_)));
        for item in items {
            match item {
                Item::Entry(bytes) => entries.push(bytes),
                Item::Note(bytes) => notes.push(bytes),
                Item::Back(bytes) => back.push(bytes),
                Item::Paper(bytes) => drop(self.papers.keep(bytes).await?),
            }
        }
        let behind = self.office.refusing() == Some(Code::LogBehind);
        for part in entries.chunks(AT_ONCE) {
            let part = part.to_vec();
            let taken = if behind {
                self.aside = true;
                self.office.recover(putting_aside(part)).await
            } else {
                let taking = taking_in(part, self.pin.clone(), self.counters.clone());
                self.office.system(taking).await
            };
            if let Err(refusal) = taken {
                return Ok(Err(refusal));
            }
        }
        if !behind && let Err(refusal) = self.office.system(keeping(notes)).await {
            return Ok(Err(refusal));
        }
        if let (true, Some(places)) = (behind, cover.back) {
            self.recovery.accept(&back, places).await?;
        }
        let state = &mut self.state;
        if cover.reach.0 <= state.reach {
            state.reach = state.reach.max(cover.reach.1);
        }
        if cover.number > state.taken {
            (state.taken, state.theirs) = (cover.number, cover.taken);
            state.held.clone_from(&cover.held);
            state.on_the_way.retain(|(number, _)| *number > cover.taken);
        }
        state.owes |= asks;
        self.keys.write_json(STATE, &self.state)?;
        Ok(Ok(()))
    }

    /// Holds the city's word against the own log, and puts back what is missing.
    async fn compare(&mut self) -> Result<(), Failure> {
        if self.office.refusing() == Some(Code::KeyLost) {
            return Ok(());
        }
        let behind = self.office.refusing() == Some(Code::LogBehind);
        if behind {
            while self.recovery.put().await == Progress::More {}
        }
        let Some(held) = self.state.held.clone() else { return Ok(()) };
        let fit = fits(&self.office, &self.keys, &self.sealing, held.sequence, held.hash).await;
        match fit.map_err(Failure::other)? {
            fit @ (Fit::Fits | Fit::Behind) if behind => {
                let begun = lives::begin(&self.office, &self.keys).await;
                let begun = begun.map_err(Failure::other)?;
                if begun == Begun::Now || fit == Fit::Fits && begun == Begun::None {
                    self.office.refuse(None);
                }
            }
            Fit::Fits => {}
            fit => {
                if !behind {
                    let office = &self.office.setting().office;
                    tracing::error!(%office, ?fit, "the office does not record");
                }
                self.office.refuse(Some(Code::LogBehind));
            }
        }
        Ok(())
    }

    /// Puts a parcel out if there is something to say; whether it did. `wants` are
    /// papers that the office needs.
    pub async fn send(&mut self, at: Timestamp, wants: Vec<Hash>) -> Result<bool, Failure> {
        if self.office.refusing() == Some(Code::KeyLost) {
            return Ok(false);
        }
        let behind = self.office.refusing() == Some(Code::LogBehind);
        let lost = self.state.theirs < self.state.number && self.state.is_silent(at, self.again);
        if lost {
            self.state.on_the_way.clear();
            self.notes.anew();
        }
        let mut items = Vec::new();
        let last = if behind { None } else { self.entries(&mut items).await? };
        let carries = !items.is_empty();
        let notes = self.notes.collect(at).await?;
        let news =
            notes.iter().any(|(_, note)| !matches!(note, kernel::note::Note::Heartbeat { .. }));
        let asks_back = behind
            && self.recovery.is_empty()
            && (self.state.owes || self.state.is_silent(at, Duration::from_mins(1)));
        let wants_more = wants.iter().any(|hash| !self.wanted.contains(hash));
        let says = carries || news || asks_back || wants_more;
        if !says && !self.state.owes && !self.state.is_silent(at, QUIET) {
            return Ok(false);
        }
        // A parcel before this one may be lost: each carries every note.
        self.notes.anew();
        let notes = self.notes.collect(at).await?;
        for (_, note) in &notes {
            let signed = note.sign(&self.office.setting().key.now()).map_err(Failure::other)?;
            items.push(Item::Note(signed));
        }
        let setting = self.office.setting();
        let state = &mut self.state;
        state.number += 1;
        state.on_the_way.extend(last.as_ref().map(|sent| (state.number, sent.sequence)));
        (state.out, state.owes) = (Some(at), false);
        let cover = Cover {
            note: Kind::Parcel,
            by: setting.office.clone(),
            to: self.pin.city.clone(),
            at,
            number: state.number,
            digest: Hash::default(),
            taken: state.taken,
            held: None,
            reach: (0, state.reach),
            wants: wants.clone(),
            back: asks_back.then(|| self.recovery.places()),
        };
        let bytes = parcel::seal(cover, &items, &setting.key.now()).map_err(Failure::other)?;
        if let Some(sent) = last {
            self.keys.write_json("sent-up-to", &sent)?;
        }
        self.keys.write_json(STATE, &self.state)?;
        let name = super::name(&self.pin.city, &setting.office, self.state.number);
        self.tray.put(&name, &bytes)?;
        self.notes.said(notes, at);
        self.wanted = wants;
        Ok(true)
    }

    /// The own entries that are neither held nor on their way, with their papers;
    /// the last of them.
    async fn entries(&self, items: &mut Vec<Item>) -> Result<Option<SentUpTo>, Failure> {
        let held = self.held().unwrap_or(0);
        let away = self.state.on_the_way.iter().map(|(_, last)| *last).max();
        let mut from = away.unwrap_or(0).max(held);
        let (mut last, mut size) = (None, 0);
        let key = Some(self.office.setting().key.now().public());
        let setting = self.office.setting();
        while items.len() < MOST && size < MOST_BYTES {
            let mut reader = self.office.reader().await.map_err(Failure::other)?;
            let some = log::own_after(&mut reader, from, 500).await.map_err(Failure::other)?;
            drop(reader);
            if some.is_empty() {
                break;
            }
            for own in some {
                from = own.sequence;
                for hash in
                    Fact::of_entry(&own.entry).map(|(fact, _)| named(&fact)).unwrap_or_default()
                {
                    if let Some(paper) = self.papers.get(&hash).await? {
                        size += paper.len();
                        items.push(Item::Paper(paper));
                    }
                }
                let bytes = wire(&own, setting, &self.sealing).map_err(Failure::other)?;
                size += bytes.len();
                items.push(Item::Entry(bytes));
                last = Some(SentUpTo {
                    epoch: own.epoch,
                    sequence: own.sequence,
                    hash: own.hash,
                    key,
                });
            }
        }
        Ok(last)
    }
}
