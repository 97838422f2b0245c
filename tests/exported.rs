//! An export of a small history that is the same on every machine: a city and a district,
//! fixed keys, fixed times, nothing drawn. Golden files and fuzz targets stand on it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use auditor::forms::{bundle, listing, manifest};
use kernel::{
    Actor, Audience, Day, EntryRef, Fact, OfficeId, Root, Timestamp, entry,
    sign::{EventKey, Hash},
};
use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner},
    tile::{Tile, WIDTH},
    tree::{Edge, Sha256},
};
use serde_json::{Value, json};

/// The city of the small history.
pub const CITY: &str = "cccccccc";
/// Its district.
pub const DISTRICT: &str = "dddddddd";

/// The log of one office while it is written.
pub struct Written {
    office: OfficeId,
    seed: u8,
    /// The exact entries.
    pub entries: Vec<Vec<u8>>,
    lanes: BTreeMap<String, (u64, Hash)>,
    streams: BTreeMap<String, u64>,
}

impl Written {
    fn of(office: &str, seed: u8) -> Self {
        let office = OfficeId::parse(office).expect("eight letters");
        let (entries, lanes, streams) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { office, seed, entries, lanes, streams }
    }

    fn key(&self) -> EventKey {
        EventKey::from_seed(&[self.seed; 32]).expect("32 bytes")
    }

    /// The signer of its heads, or its own as a witness.
    pub fn signer(&self, kind: Kind) -> NoteSigner {
        let name = match kind {
            Kind::Note => format!("liandong/{}/1", self.office),
            Kind::Cosignature => format!("liandong/{}/witness", self.office),
        };
        NoteSigner::of_seed(&name, kind, &[self.seed + 1; 32]).expect("a key")
    }

    /// Writes one entry: type and stream, audience, time, what it says.
    pub fn add(
        &mut self,
        (kind, stream): (&str, &str),
        audience: &str,
        (recorded, act): (&str, Option<&str>),
        data: &Value,
    ) {
        let version = self.streams.entry(stream.to_owned()).or_default();
        *version += 1;
        let sequence = self.entries.len() as u64 + 1;
        let mut fact = Fact {
            id: format!("{}-{sequence}", self.office),
            at: EntryRef { origin: self.office.clone(), epoch: 1, sequence },
            kind: format!("cn.liandong.{kind}.v1"),
            recorded: Timestamp::parse(recorded).expect("a time"),
            root: Root::Ev,
            audience: Audience::parse(audience).expect("an audience"),
            lane: 0,
            stream: stream.to_owned(),
            version: Some(*version),
            copy_of: None,
            actor: Actor { person: format!("{}-p1", self.office), role: "D_PLAN".into() },
            act_date: act.map(|day| Day::parse(day).expect("a day")),
            causation: None,
            data: serde_json::value::to_raw_value(data).expect("JSON"),
            hash: Hash::default(),
        };
        let key = self.key();
        let lane = self.lanes.entry(fact.lane().to_string()).or_default();
        lane.0 += 1;
        fact.lane = lane.0;
        let bytes = fact.sign(&key).expect("an entry");
        lane.1 = entry::hash(&bytes);
        self.entries.push(bytes);
    }

    /// Adds figures until there are so many entries, a second apart.
    pub fn lengthen(&mut self, entries: u64) {
        let first = Timestamp::parse("2018-08-01T00:00:00Z").expect("a time");
        let stream = ("figures.reported", "figures/dddddddd-R1-village");
        for n in self.entries.len() as u64..entries {
            let at = Timestamp(first.0 + i64::try_from(n).expect("few") * 1_000).to_string();
            let report = json!({"event": "reported", "round_number": "R1", "level": "village",
                "counts": {"targets": 0, "inspected": 1, "found": n, "rectified": n / 2}});
            self.add(stream, "up-cccccccc", (&at, None), &report);
        }
    }

    /// Records that everything of a lane of another log came in, from a counter on.
    fn receive(&mut self, of: &Self, audience: &str, first: u64, recorded: &str) {
        let lane = &of.lanes[&format!("ev.{}.{audience}", of.office)];
        let run = json!({"lane": {"origin": of.office, "root": "ev", "audience": audience},
            "epoch": 1, "first": first, "last": lane.0, "hash": lane.1});
        let stream = format!("intake/{}", self.office);
        let data = json!({"event": "received", "runs": [run]});
        self.add(("intake.received", &stream), "own", (recorded, None), &data);
    }

    fn member(&self, tier: &str, parent: Option<&str>, code: &str, name: &str) -> Value {
        let mut seat = json!({"office": self.office, "tier": tier, "code": code, "name": name});
        if let Some(parent) = parent {
            seat["parent"] = parent.into();
        }
        json!({"seat": seat, "key": self.key().public(), "epoch": 1, "key_from": 1})
    }

    /// The head over these entries, signed by the log.
    pub fn head(&self) -> (Checkpoint, Note) {
        let mut edge = Edge::default();
        for entry in &self.entries {
            edge.push::<Sha256>(entry::hash(entry).0, |_, _, _| ());
        }
        let origin = format!("liandong/{}/1", self.office);
        let size = self.entries.len() as u64;
        let said = Checkpoint { origin, size, root: edge.root::<Sha256>() };
        let note = said.signed(&self.signer(Kind::Note));
        (said, note)
    }

    /// Writes its part of an export, cosigned by another office on 2018-08-01.
    pub fn write(&self, export: &Path, witness: &Self) {
        let folder = export.join("logs").join(format!("{}-1", self.office));
        let put = |file: String, bytes: &[u8]| {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        };
        let (said, note) = self.head();
        put("checkpoint".into(), note.to_string().as_bytes());
        let mut cosigned = note;
        cosigned.lines.push(witness.signer(Kind::Cosignature).sign(&cosigned.text, 1_533_081_600));
        let line = json!({"note": cosigned.to_string()}).to_string();
        put("cosigned".into(), format!("{line}\n").as_bytes());
        let keys = [Kind::Note, Kind::Cosignature].map(|kind| self.signer(kind).verifier());
        put("keys".into(), format!("{}\n{}\n", keys[0], keys[1]).as_bytes());
        for tile in Tile::all(said.size).filter(|tile| tile.level == 0) {
            let first = usize::try_from(tile.index * WIDTH).expect("few");
            let entries = &self.entries[first..first + usize::from(tile.width)];
            let leaves: Vec<u8> = entries.iter().flat_map(|entry| entry::hash(entry).0).collect();
            put(tile.to_string(), &leaves);
            let bundle = bundle(entries).expect("a bundle");
            put(tile.to_string().replacen("tile/0/", "tile/entries/", 1), &bundle);
        }
        let listing = listing(&folder).expect("a listing");
        put("listing".into(), listing.as_bytes());
        let made = Timestamp::parse("2018-08-02T00:00:00Z").expect("a time");
        let text = manifest(&said.origin, listing.as_bytes(), made);
        let line = self.signer(Kind::Note).sign(&text, 0);
        put("manifest".into(), Note { text, lines: vec![line] }.to_string().as_bytes());
    }
}

/// The small history: a term's list in two versions, one finding that was rectified in June
/// and recorded in July, figures and a filing that the city took in.
pub fn history() -> [Written; 2] {
    let (mut city, mut district) = (Written::of(CITY, 11), Written::of(DISTRICT, 21));
    let member = city.member("city", None, "611000", "商洛市委巡察办");
    let founded = json!({"event": "founded", "city": member, "demo": true});
    let directory = "directory/cccccccc";
    city.add(("directory.founded", directory), "all", ("2018-01-02T01:00:00Z", None), &founded);
    let member = district.member("district", Some(CITY), "611024", "山阳县委巡察办");
    let token = Hash::of(&[b"token"]);
    let enrolled = json!({"event": "enrolled", "member": member, "token": token, "baselines": []});
    city.add(("directory.enrolled", directory), "all", ("2018-01-02T01:05:00Z", None), &enrolled);
    district.receive(&city, "all", 1, "2018-01-02T01:06:00Z");
    let mut list = |number: u32, from: &str, many: u32, at: &str| {
        let targets: Vec<Value> = (1..=many)
            .map(|n| json!({"org": format!("{CITY}-o{n:04}"), "level": "city"}))
            .collect();
        let list = json!({"event": "version-issued", "number": number, "valid_from": from,
            "targets": targets, "reason": "五年规划"});
        city.add(("target-list.version-issued", "target-list/cccccccc"), "own", (at, None), &list);
    };
    list(1, "2016-12-01", 90, "2018-01-03T01:00:00Z");
    list(2, "2018-10-01", 94, "2018-01-04T01:00:00Z");
    for (number, done) in [(1, true), (2, false)] {
        finding(&mut district, number, done);
    }
    let report = |rectified: u64| {
        json!({"event": "reported", "round_number": "R1", "level": "village",
            "counts": {"targets": 0, "inspected": 1, "found": 2, "rectified": rectified}})
    };
    let (figures, up) = (("figures.reported", "figures/dddddddd-R1-village"), "up-cccccccc");
    district.add(figures, up, ("2018-06-30T16:00:00Z", None), &report(0));
    let expectation = json!({"set": "staff", "period": "2018-1", "from": DISTRICT, "to": CITY,
        "due": "2018-07-10", "policy": "plan", "proposal": false});
    let filing = format!("filing/{DISTRICT}-{CITY}-staff-2018-1");
    let submitted = json!({"event": "submitted", "expectation": expectation, "number": 1,
        "items": {}, "missing": [], "papers": [], "by": "dddddddd-p1"});
    let when = ("2018-07-01T01:00:00Z", Some("2018-06-29"));
    district.add(("filing.submitted", &filing), up, when, &submitted);
    city.receive(&district, up, 1, "2018-07-02T01:00:00Z");
    let rectified =
        json!({"event": "rectified", "basis": Hash::of(&[b"report"]), "by": "dddddddd-p2"});
    let when = ("2018-07-10T01:00:00Z", Some("2018-06-25"));
    district.add(("finding.rectified", "finding/dddddddd-f1"), "own", when, &rectified);
    district.add(figures, up, ("2018-07-10T02:00:00Z", None), &report(1));
    city.receive(&district, up, 3, "2018-07-10T03:00:00Z");
    [city, district]
}

/// A finding from its draft to the feedback.
fn finding(district: &mut Written, number: u32, by_team: bool) {
    let stream = format!("finding/dddddddd-f{number}");
    let draft = json!({"round": "dddddddd-r1", "round_number": "R1", "task": "k1",
        "target": "dddddddd-v1", "level": "village", "category": "四个落实", "title": "问题",
        "text": "现象、定性、责任", "unit_office": DISTRICT, "concerned": []});
    let drafted = json!({"event": "drafted", "draft": draft, "by": "dddddddd-p1"});
    let signed = json!({"event": "co-signed", "by": "dddddddd-p2"});
    let listed = json!({"event": "listed", "round": "dddddddd-r1", "task": "k1"});
    let fed_back = json!({"event": "fed-back", "draft": draft, "due": "2018-09-20"});
    let day = if by_team { "2018-06-18" } else { "2018-06-19" };
    for (name, hour, data) in [
        ("finding.drafted", 1, drafted),
        ("finding.co-signed", 2, signed),
        ("finding.listed", 3, listed),
        ("finding.fed-back", 4, fed_back),
    ] {
        let at = format!("{day}T0{hour}:00:00Z");
        district.add((name, &stream), "own", (&at, None), &data);
    }
}

/// Writes the small history as an export, both logs cosigned by each other.
pub fn export(into: &Path) -> [Written; 2] {
    let [city, district] = history();
    city.write(into, &district);
    district.write(into, &city);
    [city, district]
}

/// The policy of an auditor who pinned both logs and both witnesses.
pub fn policy([city, district]: &[Written; 2]) -> String {
    let key = |of: &Written, kind| of.signer(kind).verifier();
    format!(
        "log {}\nlog {}\nwitness c {}\nwitness d {}\ngroup any any c d\nquorum any\n",
        key(city, Kind::Note),
        key(district, Kind::Note),
        key(city, Kind::Cosignature),
        key(district, Kind::Cosignature)
    )
}

/// A folder of its own that goes when the test ends.
pub struct Folder(pub PathBuf);

impl Folder {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        let at = std::env::temp_dir().join(format!("liandong-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&at);
        fs::create_dir_all(&at).expect("a folder");
        Self(at)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
