use super::*;
use crate::note::NoteSigner;

fn signer(name: &str, kind: Kind, seed: u8) -> NoteSigner {
    NoteSigner::of_seed(name, kind, &[seed; 32]).unwrap()
}

fn log() -> NoteSigner {
    signer("l.example/1", Kind::Note, 1)
}

fn witness(seed: u8) -> NoteSigner {
    signer(&format!("w{seed}.example"), Kind::Cosignature, seed)
}

/// The city and one of two siblings.
fn text() -> String {
    let key = |seed| witness(seed).verifier();
    format!(
        "# 核验策略\nlog {}\n\twitness city {} https://city.example\nwitness a {}\nwitness b {}\n\
         group siblings any a b\ngroup both all city siblings\n\nquorum both\n",
        log().verifier(),
        key(2),
        key(3),
        key(4)
    )
}

fn note(witnesses: &[u8]) -> Note {
    let head = Checkpoint { origin: "l.example/1".into(), size: 5, root: [7; 32] };
    let mut note = head.signed(&log());
    note.lines.extend(witnesses.iter().map(|seed| witness(*seed).sign(&note.text, 9)));
    note
}

#[test]
fn a_quorum_is_met_by_those_whom_it_names() {
    let policy = Policy::parse(&text()).unwrap();
    for (witnesses, enough) in [
        (vec![], false),
        (vec![2], false),
        (vec![3, 4], false),
        (vec![2, 3], true),
        (vec![2, 4], true),
        (vec![2, 3, 4, 5], true),
        (vec![5, 6], false),
    ] {
        let judged = policy.judge(&note(&witnesses)).unwrap();
        assert_eq!(judged.enough, enough, "{witnesses:?}");
        assert_eq!(
            (judged.checkpoint.size, judged.cosigned.len()),
            (5, witnesses.iter().filter(|seed| **seed < 5).count())
        );
    }
    let alone = text().replace("quorum both", "quorum none");
    assert!(Policy::parse(&alone).unwrap().judge(&note(&[])).unwrap().enough);
}

#[test]
fn a_log_speaks_under_its_own_name_only() {
    let policy = Policy::parse(&text()).unwrap();
    let head = Checkpoint { origin: "other.example".into(), size: 5, root: [7; 32] };
    assert_eq!(policy.judge(&head.signed(&log())), Err(Bad::Unsigned));
    let other = signer("l.example/1", Kind::Note, 9);
    let forged = Checkpoint { origin: "l.example/1".into(), size: 5, root: [7; 32] };
    assert_eq!(policy.judge(&forged.signed(&other)), Err(Bad::Unsigned));
}

#[test]
fn a_policy_that_means_two_things_is_refused() {
    let good = text();
    for (this, that) in [
        ("quorum both\n", ""),
        ("quorum both\n", "quorum both\nquorum both\n"),
        ("quorum both", "quorum nobody"),
        ("any a b", "any a a"),
        ("any a b", "3 a b"),
        ("any a b", "0 a b"),
        ("any a b", "any"),
        ("any a b", "any a later"),
        ("group both all city siblings", "group both all city siblings a"),
        ("group siblings", "group city"),
        ("group siblings", "group none"),
        ("witness b", "witness a"),
        ("quorum", "quorums"),
        ("# 核验策略", "\u{7}"),
    ] {
        let bad = good.replacen(this, that, 1);
        assert_ne!(bad, good, "{this}");
        assert!(Policy::parse(&bad).is_err(), "{this} as {that}");
    }
    let twice =
        good.replacen("witness b ", &format!("witness c {}\nwitness b ", witness(3).verifier()), 1);
    assert!(Policy::parse(&twice).is_err());
}
