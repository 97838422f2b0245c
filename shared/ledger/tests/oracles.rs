//! The formats against others' code: roots, proofs and paths against `tlog_tiles`, notes
//! against `signed_note`, both written by people who never saw ours.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{cell::RefCell, collections::HashMap, convert::Infallible};

use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, NoteSigner},
    tile::Tile,
    tree::{self, Digest, Edge, Node, Nodes, Sha256},
};
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Error, Hash, HashReader};

#[derive(Default)]
struct Ours(RefCell<HashMap<(u32, u64), Node>>);

impl Nodes for Ours {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Node, Infallible> {
        Ok(self.0.borrow()[&(level, index)])
    }
}

#[derive(Default)]
struct Theirs(RefCell<Vec<Hash>>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let all = self.0.borrow();
        Ok(indexes.iter().map(|at| all[usize::try_from(*at).unwrap()]).collect())
    }
}

fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

fn hashes(nodes: &[Node]) -> Vec<Hash> {
    nodes.iter().map(|node| Hash(*node)).collect()
}

#[test]
fn trees_and_proofs_are_theirs() {
    let (mut edge, ours, theirs) = (Edge::default(), Ours::default(), Theirs::default());
    let mut roots = vec![edge.root::<Sha256>()];
    for size in 1..=300u64 {
        let entry = entry(size - 1);
        edge.push::<Sha256>(Sha256::leaf(&entry), |level, index, node| {
            ours.0.borrow_mut().insert((level, index), node);
        });
        let stored = tlog_tiles::stored_hashes(size - 1, &entry, &theirs).unwrap();
        theirs.0.borrow_mut().extend(stored);
        let root = edge.root::<Sha256>();
        assert_eq!(Hash(root), tlog_tiles::tree_hash(size, &theirs).unwrap(), "{size}");
        roots.push(root);
        // Each proves what the other checks, and they are the same proofs.
        for index in [0, size / 2, size - 1] {
            let leaf = Sha256::leaf(&self::entry(index));
            let proof = tree::inclusion::<Sha256, _>(&ours, index, size).unwrap().unwrap();
            assert_eq!(hashes(&proof), tlog_tiles::prove_record(size, index, &theirs).unwrap());
            tlog_tiles::check_record(&hashes(&proof), size, Hash(root), index, Hash(leaf)).unwrap();
        }
        for old in [1, size / 3, size - 1].into_iter().filter(|old| (1..size).contains(old)) {
            let before = roots[usize::try_from(old).unwrap()];
            let proof = tree::consistency::<Sha256, _>(&ours, old, size).unwrap().unwrap();
            assert_eq!(hashes(&proof), tlog_tiles::prove_tree(size, old, &theirs).unwrap());
            tlog_tiles::check_tree(&hashes(&proof), size, Hash(root), old, Hash(before)).unwrap();
            assert!(tree::extends::<Sha256>((old, &before), (size, &root), &proof));
        }
    }
}

#[test]
fn tiles_lie_where_theirs_do() {
    for size in [1, 255, 256, 257, 70_000, 16_777_216, 16_777_217] {
        let ours: Vec<String> = Tile::all(size).map(|tile| tile.to_string()).collect();
        let theirs = tlog_tiles::Tile::new_tiles(8, 0, size);
        let mut theirs: Vec<String> =
            theirs.iter().map(|tile| tile.path().replacen("tile/8/", "tile/", 1)).collect();
        let mut sorted = ours.clone();
        sorted.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(sorted, theirs, "{size}");
    }
}

#[test]
fn notes_and_checkpoints_are_read_by_theirs() {
    let name = "liandong.example/log/dddddddd/1";
    let log = NoteSigner::of_seed(name, Kind::Note, &[7; 32]).unwrap();
    let head = Checkpoint { origin: name.into(), size: 7, root: Sha256::of(&[b"root"]) };
    let mut note = head.signed(&log);
    // A cosignature is under a key that they do not know: they leave it alone.
    let witness = NoteSigner::of_seed("w.example", Kind::Cosignature, &[8; 32]).unwrap();
    note.lines.push(witness.sign(&note.text, 1_700_000_000));

    let read = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&log.verifier().to_string()).unwrap();
    let (signed, unknown) = read.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((signed.len(), unknown.len()), (1, 1));
    let theirs = tlog_tiles::Checkpoint::from_bytes(read.text()).unwrap();
    assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (name, 7, head.root));
    assert_eq!(theirs.to_bytes(), note.text.as_bytes());
    assert_eq!(ledger::note::Note::parse(&note.to_string()).unwrap(), note);
}

/// Which keys are weak, against `ed25519-dalek`: every `y` of small order in both spellings
/// that are read, with either sign, and none of a thousand others.
#[test]
fn both_call_the_same_keys_weak() {
    let others = (0..1_000u32).map(|n| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_le_bytes());
        ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes()
    });
    // Multiples of a point of order eight, from its compressed form on.
    let eight = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    let mut known = vec![eight, [0; 32]];
    for first in [0x01, 0xec, 0xed, 0xee] {
        let rest = if first == 1 { (0, 0) } else { (0xff, 0x7f) };
        let mut bytes = [rest.0; 32];
        (bytes[0], bytes[31]) = (first, rest.1);
        known.push(bytes);
    }
    let mut seen = 0;
    for bytes in known.into_iter().flat_map(|bytes| [bytes, signed(bytes)]).chain(others) {
        let Ok(theirs) = ed25519_dalek::VerifyingKey::from_bytes(&bytes) else { continue };
        assert_eq!(kernel::sign::PublicKey(bytes).is_weak(), theirs.is_weak(), "{bytes:x?}");
        seen += usize::from(theirs.is_weak());
    }
    assert!(seen >= 7, "{seen}");
}

fn signed(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes[31] |= 0x80;
    bytes
}
