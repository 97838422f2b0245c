//! 模糊测试 Fuzz targets for everything that is read from strangers' hands.
//!
//! Here each runs for some thousand inputs, half of them true ones with a few bytes changed.
//! With `cargo bolero test --package tests <target>` the same targets run under libFuzzer or
//! AFL for as long as one likes. None may panic, and what is read has one spelling: written
//! again it gives the same bytes.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use auditor::{
    forms::{bundle, unbundle},
    verify::{Question, verify},
};
use bolero::check;
use kernel::{
    Fact, entry,
    sign::{EventKey, PublicKey},
};
use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner, Verifier},
    policy::Policy,
    proof::{AddCheckpoint, Proof},
    tile::{Place, Tile},
    tree::Sha256,
};
use tests::exported::{Folder, Written, export, history, policy};

/// How many inputs a target gets here.
const RUNS: usize = 20_000;

/// Bytes as they come, or a true form with some bytes changed, some taken out and a piece
/// of it said twice.
type Input = (Vec<u8>, Option<(Vec<(u16, u8)>, Option<(u16, u8)>, Option<(u16, u8)>)>);

fn bytes(true_form: &[u8], (raw, edits): &Input) -> Vec<u8> {
    let Some((changed, taken, doubled)) = edits else { return raw.clone() };
    let mut bytes = true_form.to_vec();
    let within = |at: u16, many: u8, length: usize| {
        let from = usize::from(at) % length.max(1);
        from..(from + usize::from(many)).min(length)
    };
    for (at, byte) in changed.iter().take(4) {
        let at = usize::from(*at) % bytes.len();
        bytes[at] = *byte;
    }
    if let Some((at, many)) = taken {
        bytes.drain(within(*at, *many, bytes.len()));
    }
    if let Some((at, many)) = doubled {
        let piece = bytes[within(*at, *many, bytes.len())].to_vec();
        bytes.extend(piece);
    }
    bytes
}

/// Runs a target on texts; it says whether it could read one. How many were read that are
/// not the true form: some, or nothing was tried.
fn texts(true_form: &str, target: impl Fn(&str) -> bool + std::panic::RefUnwindSafe) {
    let read = AtomicUsize::new(0);
    counted(true_form, &read, target);
    assert!(read.into_inner() > 0);
}

/// The same count.
fn counted(
    true_form: &str,
    read: &AtomicUsize,
    target: impl Fn(&str) -> bool + std::panic::RefUnwindSafe,
) {
    assert!(target(true_form));
    let refused = AtomicUsize::new(0);
    check!().with_iterations(RUNS).with_type::<Input>().for_each(|input| {
        let text = String::from_utf8_lossy(&bytes(true_form.as_bytes(), input)).into_owned();
        let of = match target(&text) {
            true if text == true_form => return,
            true => read,
            false => &refused,
        };
        of.fetch_add(1, Ordering::Relaxed);
    });
    assert!(refused.into_inner() > RUNS / 10, "few were not true");
}

fn district() -> Written {
    let [_, district] = history();
    district
}

fn signer(kind: Kind) -> NoteSigner {
    district().signer(kind)
}

fn key() -> PublicKey {
    EventKey::from_seed(&[21; 32]).unwrap().public()
}

#[test]
fn notes() {
    let (_, mut note) = district().head();
    let line = signer(Kind::Cosignature).sign(&note.text, 1_700_000_000);
    note.lines.push(line);
    let known = [signer(Kind::Note).verifier(), signer(Kind::Cosignature).verifier()];
    texts(&note.to_string(), |text| {
        let Ok(read) = Note::parse(text) else { return false };
        assert_eq!(read.to_string(), text);
        // A signature that holds is over the very words.
        assert!(read.verify(&known).is_err() || read.text == note.text);
        true
    });
}

#[test]
fn verifier_keys_and_policies() {
    let key = signer(Kind::Note).verifier();
    let read = AtomicUsize::new(0);
    counted(&key.to_string(), &read, |text| Verifier::parse(text).is_ok());
    assert_eq!(read.into_inner(), 0, "a key's name and bytes are in its number");
    let (_, note) = district().head();
    // Names and keys hold each other: hardly any other text is a policy.
    counted(&policy(&history()), &AtomicUsize::new(0), |text| {
        let Ok(policy) = Policy::parse(text) else { return false };
        let _ = policy.judge(&note);
        true
    });
}

#[test]
fn checkpoints() {
    let (said, note) = district().head();
    texts(&note.text, |text| {
        let Ok(read) = Checkpoint::parse(text) else { return false };
        assert_eq!(read.to_string(), text);
        true
    });
    let asked = AddCheckpoint { old: 0, nodes: vec![said.root], checkpoint: note };
    texts(&asked.to_string(), |text| {
        let Ok(read) = AddCheckpoint::parse(text) else { return false };
        assert_eq!(read.to_string(), text);
        true
    });
}

#[test]
fn proofs() {
    let (said, checkpoint) = district().head();
    let nodes = vec![said.root; 3];
    let proof = Proof { extra: Some(vec![1, 2, 3]), index: 1, nodes, checkpoint };
    texts(&proof.to_string(), |text| {
        let Ok(read) = Proof::parse(text) else { return false };
        assert_eq!(read.to_string(), text);
        assert!(read.holds::<Sha256>(b"no entry of this log").is_err());
        true
    });
}

#[test]
fn tiles() {
    let tile = Tile { level: 1, index: 1_234_067, width: 200 };
    texts(&tile.to_string(), |text| {
        let Some(read) = Tile::parse(text) else { return false };
        assert_eq!(read.to_string(), text);
        true
    });
    texts("x001/x234/067.p/8", |text| {
        let Some(read) = Place::parse(text) else { return false };
        assert_eq!(read.to_string(), text);
        true
    });
}

#[test]
fn entries_of_a_log() {
    let (true_form, key) = (district().entries[6].clone(), key());
    let signed = true_form.clone();
    check!().with_iterations(RUNS).with_type::<Input>().for_each(|input| {
        let bytes = bytes(&true_form, input);
        if let Ok(parts) = entry::open(&bytes) {
            assert!(!parts.is_signed_by(&key) || bytes == signed, "another entry of the key");
        }
        if let Ok((fact, hash)) = Fact::of_entry(&bytes) {
            assert_eq!(hash, entry::hash(&bytes));
            let _ = (fact.carried(), fact.lane().to_string(), fact.original());
        }
        let _ = entry::unframe(&bytes);
    });
}

#[test]
fn bundles() {
    let true_form = bundle(&district().entries).unwrap();
    check!().with_iterations(RUNS).with_type::<Input>().for_each(|input| {
        let bytes = bytes(&true_form, input);
        if let Some(entries) = unbundle(&bytes) {
            let entries: Vec<Vec<u8>> = entries.into_iter().map(<[u8]>::to_vec).collect();
            assert_eq!(bundle(&entries).unwrap(), bytes);
        }
    });
}

#[test]
fn exports() {
    let folder = Folder::new("fuzz");
    let both = export(&folder.0);
    let verified = || {
        let policy = Some(Policy::parse(&policy(&both)).unwrap());
        verify(&folder.0, &Question { policy, signatures: 1, ..Question::default() })
            .unwrap()
            .exit()
    };
    assert_eq!(verified(), 0, "as it is, it holds");
    let files: Vec<(PathBuf, Vec<u8>)> = auditor::forms::files(&folder.0)
        .unwrap()
        .into_iter()
        .map(|(_, path)| (path.clone(), fs::read(path).unwrap()))
        .collect();
    check!().with_iterations(2_000).with_type::<(u8, Input)>().for_each(|(which, input)| {
        let (path, true_form) = &files[usize::from(*which) % files.len()];
        let changed = bytes(true_form, input);
        fs::write(path, &changed).unwrap();
        let exit = verified();
        assert!(exit != 0 || changed == *true_form, "{}: {changed:?}", path.display());
        fs::write(path, true_form).unwrap();
    });
}
