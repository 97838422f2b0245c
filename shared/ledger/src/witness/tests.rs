use super::*;
use crate::{
    note::NoteSigner,
    tree::{Digest, Edge, Node, Nodes, consistency},
};

const NAME: &str = "liandong/dddddddd/1";

/// A log whose leaves are numbers, from some number on others.
struct Log {
    leaves: Vec<Node>,
    key: NoteSigner,
}

impl Nodes for Log {
    type Error = ();

    fn node(&self, level: u32, index: u64) -> Result<Node, ()> {
        let many = 1 << level;
        let first = usize::try_from(index).unwrap() * many;
        let mut edge = Edge::default();
        for leaf in &self.leaves[first..first + many] {
            edge.push::<Sha256>(*leaf, |_, _, _| ());
        }
        Ok(edge.root::<Sha256>())
    }
}

impl Log {
    fn of(others_from: u64) -> Self {
        let leaf = |number: u64| {
            let text = if number < others_from { number } else { number + 1_000_000 };
            Sha256::leaf(&text.to_be_bytes())
        };
        let key = NoteSigner::of_seed(NAME, Kind::Note, &[7; 32]).unwrap();
        Self { leaves: (0..100).map(leaf).collect(), key }
    }

    fn asks(&self, old: u64, new: u64) -> AddCheckpoint {
        let root = crate::tree::root::<Sha256, _>(self, new).unwrap();
        let head = Checkpoint { origin: NAME.to_owned(), size: new, root };
        let nodes = consistency::<Sha256, _>(self, old, new).unwrap().unwrap();
        AddCheckpoint { old, nodes, checkpoint: head.signed(&self.key) }
    }
}

fn seen(asked: &AddCheckpoint, log: &Log) -> Seen {
    let (key, head) = (log.key.verifier().to_string(), asked.checkpoint.to_string());
    Seen { key, head, forked: false }
}

fn is_signed(judged: &Judged, size: u64) -> bool {
    matches!(judged, Judged::GoesOn(head, _) if head.size == size)
}

#[test]
fn only_what_goes_on_from_what_was_seen_is_cosigned() {
    let log = Log::of(100);
    let key = log.key.verifier();
    assert!(is_signed(&judge(None, &log.asks(0, 40), &key).unwrap(), 40));
    assert_eq!(judge(None, &log.asks(3, 40), &key).unwrap(), Judged::Stale);
    let mut before = seen(&log.asks(0, 40), &log);
    for new in [40, 41, 64, 100] {
        assert!(is_signed(&judge(Some(&before), &log.asks(40, new), &key).unwrap(), new));
    }
    // From another size, without its proof, or backwards.
    assert_eq!(judge(Some(&before), &log.asks(39, 64), &key).unwrap(), Judged::Stale);
    assert_eq!(judge(Some(&before), &log.asks(0, 64), &key).unwrap(), Judged::Stale);
    assert_eq!(judge(Some(&before), &log.asks(0, 12), &key).unwrap(), Judged::Stale);
    let mut bare = log.asks(40, 64);
    bare.nodes.pop();
    assert_eq!(judge(Some(&before), &bare, &key).unwrap(), Judged::Stale);
    before.forked = true;
    assert_eq!(judge(Some(&before), &log.asks(40, 64), &key).unwrap(), Judged::Stale);
}

#[test]
fn another_past_is_not_cosigned_and_another_head_of_one_size_is_a_fork() {
    let (log, other) = (Log::of(100), Log::of(20));
    let key = log.key.verifier();
    let before = seen(&log.asks(0, 40), &log);
    assert_eq!(judge(Some(&before), &other.asks(40, 64), &key).unwrap(), Judged::Stale);
    let Judged::Forked(fork) = judge(Some(&before), &other.asks(40, 40), &key).unwrap() else {
        panic!("a fork was not seen");
    };
    assert_eq!(fork.holds().unwrap().size, 40);
    let text = serde_json::to_string(&fork).unwrap();
    assert_eq!(serde_json::from_str::<Fork>(&text).unwrap(), *fork);
    // It is evidence only as it is.
    let mut swapped = (*fork).clone();
    swapped.heads[1] = log.asks(0, 41).checkpoint.to_string();
    assert!(swapped.holds().is_err(), "of two sizes");
    let mut same = (*fork).clone();
    same.heads[1] = same.heads[0].clone();
    assert!(same.holds().is_err());
    let mut unsigned = (*fork).clone();
    unsigned.heads[1] = unsigned.heads[1].replace("\n40\n", "\n39\n");
    assert!(unsigned.holds().is_err());
}

#[test]
fn a_head_of_another_key_is_refused() {
    let log = Log::of(100);
    let stranger = NoteSigner::of_seed(NAME, Kind::Note, &[8; 32]).unwrap();
    let before = seen(&log.asks(0, 40), &log);
    let asked = log.asks(40, 64);
    assert!(judge(Some(&before), &asked, &stranger.verifier()).is_err());
    let resigned = Checkpoint::parse(&asked.checkpoint.text).unwrap().signed(&stranger);
    let asked = AddCheckpoint { checkpoint: resigned, ..asked };
    assert_eq!(
        judge(Some(&before), &asked, &stranger.verifier()),
        Err(Bad::Key("another one than this log had"))
    );
    let elsewhere = NoteSigner::of_seed("liandong/other/1", Kind::Note, &[7; 32]).unwrap();
    assert!(judge(None, &log.asks(0, 40), &elsewhere.verifier()).is_err());
}
