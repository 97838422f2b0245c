use super::*;
use crate::{
    note::{Kind, NoteSigner},
    tree::Sha256,
};

fn log() -> NoteSigner {
    NoteSigner::of_seed("l.example/1", Kind::Note, &[1; 32]).unwrap()
}

fn head(leaves: &[Node]) -> Checkpoint {
    let root = Sha256::node(&leaves[0], &leaves[1]);
    Checkpoint { origin: "l.example/1".into(), size: 2, root }
}

fn proof() -> Proof {
    let leaves = [Sha256::leaf(b"one"), Sha256::leaf(b"two")];
    let checkpoint = head(&leaves).signed(&log());
    Proof { extra: Some(b"x".to_vec()), index: 1, nodes: vec![leaves[0]], checkpoint }
}

#[test]
fn a_proof_comes_back_and_holds_for_its_entry_alone() {
    let text = proof().to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra eA==\nindex 1\n"));
    let read = Proof::parse(&text).unwrap();
    assert_eq!(read, proof());
    assert_eq!(read.holds::<Sha256>(b"two").unwrap().size, 2);
    assert!(read.holds::<Sha256>(b"one").is_err());
    let alone = Proof { extra: None, index: 0, nodes: vec![], ..proof() };
    assert_eq!(Proof::parse(&alone.to_string()).unwrap(), alone);
}

#[test]
fn what_is_no_proof_is_refused() {
    let good = proof().to_string();
    for (this, that) in [
        ("@v1", "@v2"),
        ("index 1", "index 01"),
        ("index 1", "index -1"),
        ("index 1\n", ""),
        ("extra eA==", "extra eA="),
        ("\n\n", "\n"),
        ("\n2\n", "\n02\n"),
    ] {
        let bad = good.replacen(this, that, 1);
        assert_ne!(bad, good);
        let read = Proof::parse(&bad).and_then(|proof| proof.holds::<Sha256>(b"two"));
        assert!(read.is_err(), "{this} as {that}");
    }
}

#[test]
fn a_request_to_a_witness_comes_back() {
    let ask = AddCheckpoint { old: 1, nodes: proof().nodes, checkpoint: proof().checkpoint };
    assert_eq!(AddCheckpoint::parse(&ask.to_string()).unwrap(), ask);
    let many = AddCheckpoint { nodes: vec![[0; 32]; 64], ..ask.clone() };
    assert!(AddCheckpoint::parse(&many.to_string()).is_err());
    for bad in ["", "old 1", "old 01\n\nx\n", "old x\n\n"] {
        assert!(AddCheckpoint::parse(bad).is_err(), "{bad}");
    }
}
