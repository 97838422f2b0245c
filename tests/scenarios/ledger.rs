//! 账本与见证 The ledger: every office's log has a tree whose heads others cosign, and whoever
//! tells two stories is found.

use std::{path::Path, process::Command};

use kernel::{entry, note::Note as Word, sign::EventKey};
use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner, Verifier},
    proof::{AddCheckpoint, Proof},
    tile::Tile,
    tree::{Edge, Node, Sha256, extends},
    witness::Fork,
};
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};
use web::client::{Client, Reply};

use crate::{ingest, restored};

async fn stand(town: &Town, code: &str) -> Value {
    town.api(code).get("SYS", "/api/ledger").await.unwrap()
}

/// How far an office's log is cosigned by another office.
async fn cosigned(town: &Town, code: &str, by: &str) -> u64 {
    stand(town, code).await["witnesses"][town.id(by)][0].as_u64().unwrap_or(0)
}

async fn get(town: &Town, code: &str, path: &str) -> Reply {
    let url = format!("{}{path}", town.url(code));
    Client::default().send(hyper::Method::GET, &url, &[], Vec::new()).await.unwrap()
}

async fn text(town: &Town, code: &str, path: &str) -> String {
    let reply = get(town, code, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.json());
    String::from_utf8(reply.body.to_vec()).unwrap()
}

async fn file(town: &Town, code: &str, number: u32) {
    let body = json!({"set": "staff", "period": format!("2024-{number}"), "due": "2024-06-30"});
    let role = if code == TOWN { "COM" } else { "FILE" };
    town.api(code).post(role, "/api/filings", &format!("f-{number}"), None, &body).await.unwrap();
}

/// How many entries an office's own log has.
pub(crate) async fn own(town: &Town, code: &str) -> u64 {
    let (all, office) = (town.entries(code).await, town.id(code));
    all.iter().filter(|entry| entry["origin"] == office.as_str()).count() as u64
}

/// Waits until every witness has cosigned all that is in a log now.
async fn all_cosigned(town: &Town, code: &str, by: &[&str]) -> u64 {
    let size = own(town, code).await;
    for witness in by {
        town.until("the head is cosigned", async || cosigned(town, code, witness).await >= size)
            .await;
    }
    size
}

fn verifier(stand: &Value, name: &str) -> Verifier {
    Verifier::parse(stand[name].as_str().unwrap()).unwrap()
}

/// What the verifier in another language says, and whether it holds.
fn foreign(args: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/verify.py");
    let done = Command::new("python3").arg(script).args(args).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    (done.status.success(), said)
}

fn put(town: &Town, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = town.folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_is_cosigned_by_its_witnesses_and_proves_each_entry_to_others_programs() {
    let town = Town::start().await;
    town.register_units().await;
    for code in [TOWN, DISTRICT] {
        file(&town, code, 1).await;
    }
    all_cosigned(&town, TOWN, &[DISTRICT, CITY]).await;
    all_cosigned(&town, CITY, &[DISTRICT]).await;
    let size = all_cosigned(&town, DISTRICT, &[CITY]).await;
    let (district, city) = (stand(&town, DISTRICT).await, stand(&town, CITY).await);
    let keys = [verifier(&district, "log"), verifier(&city, "witness")];
    assert_eq!(district["origin"], format!("liandong/{}/1", town.id(DISTRICT)));

    // The head, by our own and by another program.
    let head = text(&town, DISTRICT, "/log/1/checkpoint").await;
    let note = Note::parse(&head).unwrap();
    assert_eq!(note.verify(&keys).unwrap().len(), 2);
    let said = Checkpoint::parse(&note.text).unwrap();
    assert!(said.size >= size, "{said:?}");
    let [log, witness] = keys.each_ref().map(ToString::to_string);
    let at = put(&town, "head", &head);
    let (holds, words) = foreign(&["note", &at, &log, &witness]);
    assert!(holds && words.contains("/witness"), "{words}");
    let bent = put(&town, "bent", head.replacen('\n', "x\n", 1));
    assert!(!foreign(&["note", &bent, &log]).0);

    // Its tiles have its root, and the leaves are the entries' own hashes.
    let (mut edge, mut files, mut leaves) = (Edge::default(), Vec::new(), Vec::new());
    for tile in Tile::all(said.size).filter(|tile| tile.level == 0) {
        let bytes = get(&town, DISTRICT, &format!("/log/1/{tile}")).await.body;
        for leaf in bytes.as_chunks::<32>().0 {
            edge.push::<Sha256>(*leaf, |_, _, _| ());
            leaves.push(*leaf);
        }
        files.push(put(&town, &format!("tile-{}", tile.index), bytes));
    }
    assert_eq!((edge.size(), edge.root::<Sha256>()), (said.size, said.root));
    let mut args = vec!["tiles", &at, &log];
    args.extend(files.iter().map(String::as_str));
    assert!(foreign(&args).0);

    // One entry, proven to whoever has nothing else.
    let entries = own_entries(&town).await;
    let index = entries.len() / 2;
    assert_eq!(entry::hash(&entries[index]).0, leaves[index]);
    let proof = text(&town, DISTRICT, &format!("/log/1/proof?index={index}")).await;
    Proof::parse(&proof).unwrap().holds::<Sha256>(&entries[index]).unwrap();
    let (proof, one) = (put(&town, "proof", proof), put(&town, "entry", &entries[index]));
    let (holds, words) = foreign(&["proof", &proof, &one, &log, &witness]);
    assert!(holds && words.contains(&format!("entry {index}")), "{words}");
    let other = put(&town, "other", &entries[index + 1]);
    assert!(!foreign(&["proof", &proof, &other, &log]).0);

    // What was goes on in what is.
    let old = said.size / 2;
    let lines = text(&town, DISTRICT, &format!("/log/1/consistency?old={old}&new={size}")).await;
    let nodes: Vec<Node> =
        lines.lines().map(|line| deploy::api::from_base64(line).try_into().unwrap()).collect();
    let root_of = |size: u64| {
        let mut edge = Edge::default();
        leaves[..usize::try_from(size).unwrap()]
            .iter()
            .for_each(|leaf| edge.push::<Sha256>(*leaf, |_, _, _| ()));
        edge.root::<Sha256>()
    };
    assert!(extends::<Sha256>((old, &root_of(old)), (size, &root_of(size)), &nodes));
    for (path, status) in [
        ("/log/1/tile/0/999", 404),
        ("/log/1/tile/0/x", 404),
        ("/log/2/checkpoint", 404),
        ("/log/one/checkpoint", 404),
        ("/log/1/proof?index=99999999", 404),
        ("/log/1/proof?index=-1", 400),
        ("/log/1/proof?index=18446744073709551615", 404),
        ("/log/1/consistency?old=5&new=4", 404),
        ("/log/1/consistency?old=5&new=99999999", 404),
    ] {
        let reply = get(&town, DISTRICT, path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.json());
    }

    // Each own entry says who has seen it, and between which moments it came.
    let filing = format!("{}-staff-2024-1", town.id(DISTRICT));
    let filings = town.api(DISTRICT).get("FILE", "/api/filings").await.unwrap();
    let id = filings["items"][0]["id"].as_str().unwrap_or(&filing).to_owned();
    let past = town.api(DISTRICT).get("FILE", &format!("/api/history/filing/{id}")).await.unwrap();
    let seen = &past["items"][0]["witnessed"];
    assert_eq!(seen["by"], town.id(CITY), "{past}");
    assert!(seen["at"].as_u64().unwrap() >= seen["not_before"].as_u64().unwrap_or(0));
}

/// The exact bytes of the district's own log.
async fn own_entries(town: &Town) -> Vec<Vec<u8>> {
    let engine = event_store::Engine::Sqlite(town.data(DISTRICT));
    let mut reader = event_store::Readers::new(1).take(&engine).await.unwrap();
    let all = event_store::log::own_after(&mut reader, 0, 100_000).await.unwrap();
    all.into_iter().map(|own| own.entry).collect()
}

/// A district that shows the city another log than it showed before is found, and the
/// evidence convinces whoever has nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_with_two_faces_leaves_evidence_that_convinces_alone() {
    let town = Town::start().await;
    file(&town, DISTRICT, 1).await;
    let size = all_cosigned(&town, DISTRICT, &[CITY]).await;
    let office = kernel::OfficeId::parse(&town.id(DISTRICT)).unwrap();
    let city = kernel::OfficeId::parse(&town.id(CITY)).unwrap();
    // Whoever has the district's keys signs another head of the same size.
    let seed = |name: &str| -> [u8; 32] {
        std::fs::read(town.keys(DISTRICT).join(name)).unwrap().try_into().unwrap()
    };
    let origin = format!("liandong/{office}/1");
    let signer = NoteSigner::of_seed(&origin, Kind::Note, &seed("log.key")).unwrap();
    let event = EventKey::from_seed(&seed("event.key")).unwrap();
    let head = Note::parse(&text(&town, DISTRICT, "/log/1/checkpoint").await).unwrap();
    let size = Checkpoint::parse(&head.text).unwrap().size.max(size);
    let link = ingest::link_of(&town, DISTRICT).await;
    let forged = Checkpoint { origin: origin.clone(), size, root: [9; 32] }.signed(&signer);
    let asked = AddCheckpoint { old: size, nodes: Vec::new(), checkpoint: forged };
    let word = Word::Checkpoint {
        by: office.clone(),
        to: city,
        at: kernel::clock::wall(),
        body: asked.to_string(),
        key: signer.verifier().to_string(),
    };
    let bytes = word.sign(&event).unwrap();
    let answer = ingest::ask(&link, office.as_str(), &[&bytes]).await;
    assert_eq!(answer.answer, "held", "{}", answer.code);
    town.until("the city finds it", async || {
        stand(&town, CITY).await["forks"].as_array().is_some_and(|forks| forks.len() == 1)
    })
    .await;
    let fork = stand(&town, CITY).await["forks"][0].clone();
    let read: Fork = serde_json::from_value(fork.clone()).unwrap();
    assert_eq!(read.holds().unwrap().origin, origin);
    let at = put(&town, "it.fork", fork.to_string());
    let (holds, words) = foreign(&["fork", &at]);
    assert!(holds && words.contains(&format!("{origin} {size}: forked")), "{words}");
    let mut same = fork;
    same["heads"][0] = same["heads"][1].clone();
    assert!(!foreign(&["fork", &put(&town, "no.fork", same.to_string())]).0);
    // The city cosigns this log no more; the district still works.
    let before = cosigned(&town, DISTRICT, CITY).await;
    file(&town, DISTRICT, 2).await;
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    assert_eq!(cosigned(&town, DISTRICT, CITY).await, before);
}

/// A store that was put back to an older copy signs nothing else than was signed before, and
/// goes on when its log is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_put_back_to_an_older_copy_signs_no_second_log() {
    let mut town = Town::start().await;
    file(&town, TOWN, 1).await;
    all_cosigned(&town, TOWN, &[DISTRICT, CITY]).await;
    town.stop_office(TOWN).await;
    let copy = town.folder.join("copy");
    restored::copy(&town.data(TOWN), &copy);
    town.start_office(TOWN).await;
    for number in 2..5 {
        file(&town, TOWN, number).await;
    }
    let size = all_cosigned(&town, TOWN, &[DISTRICT, CITY]).await;
    town.stop_office(TOWN).await;
    std::fs::remove_dir_all(town.data(TOWN)).unwrap();
    restored::copy(&copy, &town.data(TOWN));
    town.start_office(TOWN).await;
    town.until("the log is back and goes on", async || {
        let body = json!({"set": "staff", "period": "2024-9", "due": "2024-06-30"});
        town.api(TOWN).post("COM", "/api/filings", "f-9", None, &body).await.is_ok()
    })
    .await;
    let after = all_cosigned(&town, TOWN, &[DISTRICT, CITY]).await;
    assert!(after > size);
    for code in [DISTRICT, CITY] {
        assert_eq!(stand(&town, code).await["forks"], json!([]));
    }
    // The tree is made again from the log alone.
    town.stop_office(TOWN).await;
    let head = std::fs::read(town.keys(TOWN).join("checkpoint-1")).unwrap();
    std::fs::remove_dir_all(town.data(TOWN).join("ledger")).unwrap();
    town.start_office(TOWN).await;
    town.until("the tree is whole", async || {
        stand(&town, TOWN).await["size"].as_u64() >= Some(after)
    })
    .await;
    assert!(stand(&town, TOWN).await["trouble"].is_null());
    // A log that is not the one that was signed is not signed.
    town.stop_office(TOWN).await;
    let seed = std::fs::read(town.keys(TOWN).join("log.key")).unwrap();
    let name = format!("liandong/{}/1", town.id(TOWN));
    let signer = NoteSigner::of_seed(&name, Kind::Note, &seed.try_into().unwrap()).unwrap();
    for (size, why) in [(after, "not those that were signed"), (after + 1000, "was signed")] {
        let forged = Checkpoint { origin: name.clone(), size, root: [7; 32] }.signed(&signer);
        std::fs::write(town.keys(TOWN).join("checkpoint-1"), forged.to_string()).unwrap();
        town.start_office(TOWN).await;
        town.until("nothing is signed", async || {
            stand(&town, TOWN).await["trouble"].as_str().is_some_and(|said| said.contains(why))
        })
        .await;
        town.stop_office(TOWN).await;
    }
    std::fs::write(town.keys(TOWN).join("checkpoint-1"), head).unwrap();
}
