//! 核验 What an auditor takes home holds as it is, and nobody changes anything of it unseen:
//! neither whoever carries it nor the office itself with all its keys.

use std::{fs, path::Path};

use auditor::{
    export::export,
    forms::{bundle, listing, manifest, unbundle},
    prove::{check, prove},
    verify::{Question, Report, verify},
};
use kernel::{Fact, entry, sign::EventKey};
use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner},
    policy::Policy,
    tile::Tile,
    tree::{Edge, Sha256},
    witness::Fork,
};
use serde_json::{Value, json};
use tests::{
    chance::Chance,
    town::{CITY, DISTRICT, TOWN, Town},
};

use crate::restored;

const OFFICES: [&str; 3] = [CITY, DISTRICT, TOWN];

async fn stand(town: &Town, code: &str) -> Value {
    town.api(code).get("SYS", "/api/ledger").await.unwrap()
}

/// A city in which something happened, all of it cosigned.
async fn lived() -> Town {
    let town = Town::start().await;
    town.register_units().await;
    crate::faults::a_fed_back_round(&town, "R1", 3).await;
    for (code, number) in [(TOWN, 1), (DISTRICT, 2), (TOWN, 3)] {
        let body = json!({"set": "staff", "period": format!("2024-{number}"), "due": "2024-06-30"});
        let role = if code == TOWN { "COM" } else { "FILE" };
        let key = format!("f-{number}");
        town.api(code).post(role, "/api/filings", &key, None, &body).await.unwrap();
    }
    for (code, by) in [(TOWN, DISTRICT), (TOWN, CITY), (DISTRICT, CITY), (CITY, DISTRICT)] {
        let size = crate::ledger::own(&town, code).await;
        town.until("everything is cosigned", async || {
            let stand = stand(&town, code).await;
            stand["witnesses"][town.id(by)][0].as_u64() >= Some(size)
        })
        .await;
    }
    town
}

/// What an auditor pins: the keys as each office says them.
async fn policy(town: &Town) -> Policy {
    let mut text = String::new();
    for code in OFFICES {
        let said = stand(town, code).await;
        text += &format!("log {}\n", said["log"].as_str().unwrap());
        text += &format!("witness w{code} {}\n", said["witness"].as_str().unwrap());
    }
    text += &format!("group any any w{CITY} w{DISTRICT}\nquorum any\n");
    Policy::parse(&text).unwrap()
}

async fn taken(town: &Town, into: &Path) {
    for code in OFFICES {
        let done = export(None, &town.data(code), &town.keys(code), into).await.unwrap();
        assert!(done.entries > 10 && done.cosigned > 0, "{done:?}");
    }
}

fn folder(town: &Town, export: &Path, code: &str) -> std::path::PathBuf {
    export.join("logs").join(format!("{}-1", town.id(code)))
}

/// One log of an export in somebody's hands.
pub(crate) struct Hands {
    at: std::path::PathBuf,
    origin: String,
    pub(crate) entries: Vec<Vec<u8>>,
    signer: NoteSigner,
    event: EventKey,
}

impl Hands {
    pub(crate) fn on(town: &Town, export: &Path, code: &str) -> Self {
        let at = folder(town, export, code);
        let head = Note::parse(&fs::read_to_string(at.join("checkpoint")).unwrap()).unwrap();
        let said = Checkpoint::parse(&head.text).unwrap();
        let mut entries = Vec::new();
        for tile in Tile::all(said.size).filter(|tile| tile.level == 0) {
            let path = tile.to_string().replacen("tile/0/", "tile/entries/", 1);
            let bytes = fs::read(at.join(path)).unwrap();
            entries.extend(unbundle(&bytes).unwrap().into_iter().map(<[u8]>::to_vec));
        }
        let seed = |name: &str| fs::read(town.keys(code).join(name)).unwrap();
        let log: [u8; 32] = seed("log.key").try_into().unwrap();
        let signer = NoteSigner::of_seed(&said.origin, Kind::Note, &log).unwrap();
        let event = EventKey::from_seed(&seed("event.key")).unwrap();
        Self { at, origin: said.origin, entries, signer, event }
    }

    /// Writes the entries back; with the log's key also what was signed over them.
    pub(crate) fn write(&self, leaves: bool, head: bool) {
        fs::remove_dir_all(self.at.join("tile/entries")).unwrap();
        if leaves {
            fs::remove_dir_all(self.at.join("tile/0")).unwrap();
        }
        let size = self.entries.len() as u64;
        for tile in Tile::all(size).filter(|tile| tile.level == 0) {
            let first = usize::try_from(tile.index * 256).unwrap();
            let some = &self.entries[first..first + usize::from(tile.width)];
            let put = |path: String, bytes: Vec<u8>| {
                let path = self.at.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            };
            let path = tile.to_string().replacen("tile/0/", "tile/entries/", 1);
            put(path, bundle(some).unwrap());
            if leaves {
                let hashes = some.iter().flat_map(|bytes| entry::hash(bytes).0).collect();
                put(tile.to_string(), hashes);
            }
        }
        if head {
            let mut edge = Edge::default();
            for bytes in &self.entries {
                edge.push::<Sha256>(entry::hash(bytes).0, |_, _, _| ());
            }
            let root = edge.root::<Sha256>();
            let head = Checkpoint { origin: self.origin.clone(), size, root };
            fs::write(self.at.join("checkpoint"), head.signed(&self.signer).to_string()).unwrap();
        }
    }

    fn sign_listing(&self) {
        let listing = listing(&self.at).unwrap();
        let text = manifest(&self.origin, listing.as_bytes(), kernel::clock::wall());
        let lines = vec![self.signer.sign(&text, 0)];
        fs::write(self.at.join("listing"), &listing).unwrap();
        fs::write(self.at.join("manifest"), Note { text, lines }.to_string()).unwrap();
    }

    /// An entry that says something else, signed by its office's key anew.
    fn bend(&mut self, index: usize, bend: impl FnOnce(&mut Fact)) {
        let (mut fact, _) = Fact::of_entry(&self.entries[index]).unwrap();
        bend(&mut fact);
        self.entries[index] = fact.sign(&self.event).unwrap();
    }
}

const EDITS: [&str; 10] = [
    "byte",
    "dropped",
    "swapped",
    "inserted",
    "time",
    "sequence",
    "head",
    "stripped",
    "substituted",
    "received",
];

/// Changes something; nothing if there is no such thing in this log.
fn edit(hands: &mut Hands, what: &str, chance: &Chance) -> Option<()> {
    let index = chance.index(hands.entries.len() - 1);
    match what {
        "byte" => {
            let at = chance.index(hands.entries[index].len());
            hands.entries[index][at] ^= 1 << chance.below(8);
        }
        "dropped" => drop(hands.entries.remove(index)),
        "swapped" => hands.entries.swap(index, index + 1),
        "inserted" => hands.entries.insert(index, hands.entries[index].clone()),
        "time" => hands.bend(index, |fact| fact.recorded.0 -= 86_400_000),
        "sequence" => hands.bend(index, |fact| fact.at.sequence += 1),
        "received" => {
            let marks = |bytes: &Vec<u8>| {
                let (fact, _) = Fact::of_entry(bytes).unwrap();
                fact.kind.contains("intake.received")
            };
            let index = hands.entries.iter().position(marks)?;
            hands.bend(index, |fact| {
                let mut data: Value = serde_json::from_str(fact.data.get()).unwrap();
                data["runs"][0]["hash"] = json!("ab".repeat(32));
                fact.data = serde_json::value::to_raw_value(&data).unwrap();
            });
        }
        _ => {}
    }
    Some(())
}

fn is_named(report: &Report, origin: &str) -> bool {
    let all = report.broken.iter().chain(&report.unmet).chain(&report.open);
    all.into_iter().any(|one| one.log == origin || origin.replace('/', "-").ends_with(&one.log))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_an_export_unseen_and_an_untouched_one_holds() {
    let town = lived().await;
    let (home, policy) = (town.folder.join("export"), policy(&town).await);
    taken(&town, &home).await;
    let ask =
        |signatures| Question { policy: Some(policy.clone()), signatures, ..Question::default() };
    let report = verify(&home, &ask(1)).unwrap();
    assert_eq!(report.exit(), 0, "{report:#?}");
    assert_eq!(report.logs.len(), 3);
    for held in report.logs.values() {
        assert_eq!(held.witnessed, held.entries, "{report:#?}");
    }
    // Without a policy it says what it did not check.
    let bare = verify(&home, &Question { signatures: 0, ..Question::default() }).unwrap();
    assert_eq!((bare.exit(), bare.unchecked.len()), (0, 3), "{bare:#?}");

    let heads: Vec<Note> = OFFICES
        .iter()
        .map(|code| fs::read_to_string(folder(&town, &home, code).join("checkpoint")).unwrap())
        .map(|text| Note::parse(&text).unwrap())
        .collect();
    let (chance, copy) = (Chance::new(77), town.folder.join("bent"));
    let mut tried = std::collections::BTreeMap::new();
    for round in 0..300u64 {
        let what = EDITS[usize::try_from(round).unwrap() % EDITS.len()];
        let code = *chance.pick(&OFFICES);
        drop(fs::remove_dir_all(&copy));
        restored::copy(&home, &copy);
        let mut hands = Hands::on(&town, &copy, code);
        // Whoever carries it; the office with its key for heads; the office with all its
        // keys, which writes everything anew.
        let depth = chance.below(3);
        if edit(&mut hands, what, &chance).is_none() {
            continue;
        }
        match what {
            "head" => {
                let said = Checkpoint {
                    origin: hands.origin.clone(),
                    size: hands.entries.len() as u64,
                    root: [5; 32],
                };
                fs::write(hands.at.join("checkpoint"), said.signed(&hands.signer).to_string())
                    .unwrap();
            }
            "stripped" => fs::write(hands.at.join("cosigned"), "").unwrap(),
            "substituted" => {
                let other = OFFICES.into_iter().find(|other| *other != code).unwrap();
                fs::remove_dir_all(&hands.at).unwrap();
                restored::copy(&folder(&town, &copy, other), &hands.at);
            }
            _ => hands.write(depth == 2, depth == 2),
        }
        if depth > 0 && what != "substituted" {
            hands.sign_listing();
        }
        let report = verify(&copy, &ask(0)).unwrap();
        let expected: &[u8] = if what == "stripped" && depth > 0 { &[4] } else { &[1] };
        assert!(expected.contains(&report.exit()), "{round} {what} by {depth}: {report:#?}");
        assert!(is_named(&report, &hands.origin), "{round} {what} by {depth}: {report:#?}");
        *tried.entry((what, depth)).or_insert(0) += 1;
    }
    eprintln!("{tried:?}");
    assert_eq!(tried.values().sum::<u32>(), 300);

    strangers_evidence(&town, &home, &copy, &ask(0));
    // The tail is cut, everything signed anew, and no witness is left: a head kept from
    // before says it, and nothing else can.
    restored_cut(&town, &home, &copy);
    let bare = verify(&copy, &Question { signatures: 1, ..Question::default() }).unwrap();
    assert_eq!(bare.exit(), 0, "{bare:#?}");
    let report = verify(&copy, &ask(0)).unwrap();
    assert_eq!(report.exit(), 4, "{report:#?}");
    assert_eq!(report.open.len(), 2, "two logs that are pinned are not here: {report:#?}");
    // Its own word as a witness does not help it.
    let at = folder(&town, &copy, CITY);
    let head = fs::read_to_string(at.join("checkpoint")).unwrap();
    let mut note = Note::parse(&head).unwrap();
    let seed: [u8; 32] = fs::read(town.keys(CITY).join("witness.key")).unwrap().try_into().unwrap();
    let name = format!("liandong/{}/witness", town.id(CITY));
    let own = NoteSigner::of_seed(&name, Kind::Cosignature, &seed).unwrap();
    note.lines.push(own.sign(&note.text, 1_795_000_000));
    fs::write(at.join("checkpoint"), note.to_string()).unwrap();
    Hands::on(&town, &copy, CITY).sign_listing();
    assert_eq!(verify(&copy, &ask(0)).unwrap().exit(), 4);
    // A head that nobody cosigned says no time: the export may be older, and says no more.
    let since = |since| Question { since, signatures: 0, ..Question::default() };
    let report = verify(&copy, &since(heads.clone())).unwrap();
    assert_eq!((report.exit(), report.open[0].code), (3, "since-older"), "{report:#?}");
    assert_eq!(verify(&home, &since(heads)).unwrap().exit(), 0);
    // One that was cosigned before the export was made does.
    let kept = since(cosigned(&town, &home));
    let report = verify(&copy, &kept).unwrap();
    assert_eq!((report.exit(), report.broken[0].code), (1, "since"), "{report:#?}");
    assert_eq!(verify(&home, &kept).unwrap().exit(), 0);
}

/// The newest cosigned head of each office in an export.
fn cosigned(town: &Town, home: &Path) -> Vec<Note> {
    let of = |code: &&str| {
        let text = fs::read_to_string(folder(town, home, code).join("cosigned")).unwrap();
        let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        Note::parse(line["note"].as_str().unwrap()).unwrap()
    };
    OFFICES.iter().map(of).collect()
}

/// A fork under a key that somebody made proves nothing against a log.
fn strangers_evidence(town: &Town, home: &Path, copy: &Path, question: &Question) {
    drop(fs::remove_dir_all(copy));
    restored::copy(home, copy);
    let hands = Hands::on(town, copy, DISTRICT);
    let fork = |signer: &NoteSigner| {
        let head = |root| Checkpoint { origin: hands.origin.clone(), size: 5, root }.signed(signer);
        let heads = [head([1; 32]), head([2; 32])];
        let fork = Fork::of(&signer.verifier(), heads.each_ref()).unwrap();
        let at = hands.at.join("evidence");
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("it.fork"), serde_json::to_vec(&fork).unwrap()).unwrap();
        hands.sign_listing();
        verify(copy, question).unwrap()
    };
    let stranger = NoteSigner::of_seed(&hands.origin, Kind::Note, &[3; 32]).unwrap();
    let report = fork(&stranger);
    assert_eq!((report.exit(), report.open[0].code), (3, "fork-evidence"), "{report:#?}");
    let report = fork(&hands.signer);
    assert_eq!((report.exit(), report.broken[0].code), (1, "fork"), "{report:#?}");
}

/// The city's log without its end, as the city itself would make it.
fn restored_cut(town: &Town, home: &Path, copy: &Path) {
    drop(fs::remove_dir_all(copy));
    fs::create_dir_all(copy.join("logs")).unwrap();
    restored::copy(&folder(town, home, CITY), &folder(town, copy, CITY));
    let mut hands = Hands::on(town, copy, CITY);
    hands.entries.truncate(hands.entries.len() - 3);
    hands.write(true, true);
    fs::write(hands.at.join("cosigned"), "").unwrap();
    hands.sign_listing();
}

/// Whoever has the machine changes a row of the database: the office goes on, and the
/// auditor is told which entry it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_in_the_database_is_named() {
    let mut town = lived().await;
    let (home, policy) = (town.folder.join("export"), policy(&town).await);
    town.stop_office(TOWN).await;
    let script = "import sqlite3,sys\n\
        db=sqlite3.connect(sys.argv[1]+'/office.db')\n\
        e=bytearray(db.execute('select entry from entries where sequence=5').fetchone()[0])\n\
        i=e.index(b'\"time\":\"20')+9\n\
        e[i+2]=e[i+2]^1\n\
        db.execute('update entries set entry=? where sequence=5',(bytes(e),))\n\
        db.commit()\n";
    let data = town.data(TOWN);
    let done =
        std::process::Command::new("python3").args(["-c", script]).arg(&data).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    town.start_office(TOWN).await;
    taken(&town, &home).await;
    let question = Question { policy: Some(policy), signatures: 1, ..Question::default() };
    let report = verify(&home, &question).unwrap();
    assert_eq!(report.exit(), 1);
    let log = format!("liandong/{}/1", town.id(TOWN));
    let named = report.broken.iter().find(|one| one.log == log && one.code == "entry");
    assert_eq!(named.and_then(|one| one.index), Some(4), "{report:#?}");
    assert!(report.broken.iter().all(|one| one.log == log && one.index == Some(4)), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_proven_to_whoever_has_nothing_but_keys() {
    let town = lived().await;
    let (home, policy) = (town.folder.join("export"), policy(&town).await);
    taken(&town, &home).await;
    let log = format!("liandong/{}/1", town.id(DISTRICT));
    let (proof, entry) = prove(&home, &log, 7).unwrap().unwrap();
    let proven = check(&proof, &entry, &policy).unwrap();
    assert!(proven.enough && proven.log == log && proven.sequence == 7, "{proven:?}");
    let mut other = entry.clone();
    other[20] ^= 1;
    check(&proof, &other, &policy).unwrap_err();
    prove(&home, &log, 0).unwrap_err();
    prove(&home, &log, 999_999).unwrap_err();
    prove(&home, "liandong/none/1", 1).unwrap_err();
}

/// The program itself: its exit codes are never mixed.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_says_by_its_exit_code_what_it_found() {
    let town = lived().await;
    let home = town.folder.join("export");
    let bin = std::env::var("LIANDONG_BIN").unwrap();
    let run = |args: &[&str]| {
        let program = Path::new(&bin).join("liandong-audit");
        let done = std::process::Command::new(program).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code().unwrap(), said + &String::from_utf8_lossy(&done.stderr))
    };
    let at = home.to_str().unwrap();
    for code in OFFICES {
        let (data, keys) = (town.data(code), town.keys(code));
        let args =
            ["export", at, "--data", data.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
        let (exit, said) = run(&args);
        assert_eq!(exit, 0, "{said}");
    }
    let (exit, said) = run(&["verify", at]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("成立") && said.contains("未核对"), "{said}");
    let (exit, said) = run(&["verify", at, "--json", "--event-sigs", "all"]);
    let body: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((exit, body["exit"].as_u64()), (0, Some(0)), "{said}");
    assert_eq!(run(&["verify"]).0, 2);
    assert_eq!(run(&["verify", at, "--policy", "/nowhere"]).0, 2);
    assert_eq!(run(&["verify", town.folder.to_str().unwrap()]).0, 2, "no export is there");
    let at_town = folder(&town, &home, TOWN);
    let bundle = at_town.join("tile/entries");
    let (_, first) = auditor::forms::files(&bundle).unwrap().remove(0);
    let mut bytes = fs::read(&first).unwrap();
    bytes[100] ^= 4;
    fs::write(first, bytes).unwrap();
    let (exit, said) = run(&["verify", at]);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains(&town.id(TOWN)) && said.contains("#1"), "{said}");
}
