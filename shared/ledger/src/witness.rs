//! 见证 What a witness decides (C2SP tlog-witness), and the evidence of a fork.
//!
//! What a reader would get wrong: whoever signs must have what it signed last on the disk
//! before the answer leaves, or it can be led into a fork.

use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::Checkpoint,
    note::{Bad, Kind, Note, Verifier},
    proof::AddCheckpoint,
    tree::{Sha256, extends},
};

/// What a witness has cosigned of a log last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The log's verifier key, as it was first seen.
    pub key: String,
    /// The signed head.
    pub head: String,
    /// Whether two heads of it contradict each other: it is cosigned no more.
    pub forked: bool,
}

/// What comes of a head that is to be cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It goes on from what was seen: this is to be cosigned.
    GoesOn(Checkpoint, Note),
    /// What it goes on from is not what was seen, or it does not say how.
    Stale,
    /// It contradicts what was seen.
    Forked(Box<Fork>),
}

/// Judges a head against what was seen of its log. The first head of a log is believed.
pub fn judge(seen: Option<&Seen>, asked: &AddCheckpoint, key: &Verifier) -> Result<Judged, Bad> {
    let AddCheckpoint { old, nodes, checkpoint: note } = asked;
    let head = Checkpoint::parse(&note.text)?;
    if key.kind() != Kind::Note || key.name() != head.origin {
        return Err(Bad::Key("not the log's"));
    }
    note.verify(std::slice::from_ref(key))?;
    let Some(seen) = seen else {
        let first = *old == 0 && nodes.is_empty();
        return Ok(if first {
            Judged::GoesOn(head, note.only(std::slice::from_ref(key)))
        } else {
            Judged::Stale
        });
    };
    if seen.key != key.to_string() {
        return Err(Bad::Key("another one than this log had"));
    }
    let before = Note::parse(&seen.head)?;
    if let Some(fork) = Fork::of(key, [&before, note]) {
        return Ok(Judged::Forked(Box::new(fork)));
    }
    let last = Checkpoint::parse(&before.text)?;
    let (from, to) = ((last.size, &last.root), (head.size, &head.root));
    let goes_on = *old == last.size && extends::<Sha256>(from, to, nodes) && !seen.forked;
    Ok(if goes_on {
        Judged::GoesOn(head, note.only(std::slice::from_ref(key)))
    } else {
        Judged::Stale
    })
}

/// Two heads of one log that cannot both be true: evidence that needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// `liandong fork v1`.
    pub form: String,
    /// The verifier key of the log, which has signed both.
    pub key: String,
    /// The two signed heads.
    pub heads: [String; 2],
}

impl Fork {
    /// What the evidence is called.
    pub const FORM: &'static str = "liandong fork v1";

    /// The evidence of two heads, if they are one: one key, one size, two roots.
    pub fn of(key: &Verifier, heads: [&Note; 2]) -> Option<Self> {
        let fork = Self {
            form: Self::FORM.to_owned(),
            key: key.to_string(),
            heads: heads.map(ToString::to_string),
        };
        fork.holds().is_ok().then_some(fork)
    }

    /// Which log it is of, and at which size.
    pub fn holds(&self) -> Result<Checkpoint, Bad> {
        if self.form != Self::FORM {
            return Err(Bad::Form("not a fork"));
        }
        let key = Verifier::parse(&self.key)?;
        let read = |head: &String| {
            let note = Note::parse(head)?;
            let said = Checkpoint::parse(&note.text)?;
            if key.kind() != Kind::Note || said.origin != key.name() {
                return Err(Bad::Key("not the log's"));
            }
            note.verify(std::slice::from_ref(&key))?;
            Ok(said)
        };
        let [one, two] = [read(&self.heads[0])?, read(&self.heads[1])?];
        if one.size == two.size && one.root != two.root {
            Ok(one)
        } else {
            Err(Bad::Form("the two heads do not contradict each other"))
        }
    }
}

#[cfg(test)]
mod tests;
