//! Proofs in a file (C2SP tlog-proof) and requests to witnesses (C2SP tlog-witness).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{
    checkpoint::{Checkpoint, lines, nodes},
    note::{Bad, LONGEST, Note},
    tile::number,
    tree::{Digest, Node, includes},
};

const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// That an entry stands in a log, for whoever knows the log's key and its witnesses'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whatever goes with it; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's place, from nought.
    pub index: u64,
    /// From the leaf's sibling up.
    pub nodes: Vec<Node>,
    /// The checkpoint's note.
    pub checkpoint: Note,
}

impl Proof {
    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self, Bad> {
        let rest = text.strip_prefix(FIRST).and_then(|rest| rest.strip_prefix('\n'));
        let rest = rest.ok_or(Bad::Form("not c2sp.org/tlog-proof@v1"))?;
        let (head, note) = rest.split_once("\n\n").ok_or(Bad::Form("no checkpoint"))?;
        let mut above = head.split('\n').peekable();
        let extra = match above.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(extra) => {
                above.next();
                Some(BASE64.decode(extra).map_err(|_| Bad::Form("extra"))?)
            }
            None => None,
        };
        let index = above.next().and_then(|line| line.strip_prefix("index ")).and_then(number);
        let index = index.ok_or(Bad::Form("index"))?;
        Ok(Self { extra, index, nodes: nodes(above)?, checkpoint: Note::parse(note)? })
    }

    /// Whether an entry stands where it says, in the tree of its checkpoint. Who signed that
    /// is another question.
    pub fn holds<D: Digest>(&self, entry: &[u8]) -> Result<Checkpoint, Bad> {
        let head = Checkpoint::parse(&self.checkpoint.text)?;
        if includes::<D>(&D::leaf(entry), self.index, head.size, &head.root, &self.nodes) {
            Ok(head)
        } else {
            Err(Bad::Form("the entry is not in this tree"))
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        write!(f, "index {}\n{}\n{}", self.index, lines(&self.nodes), self.checkpoint)
    }
}

/// What a witness is asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness has seen last.
    pub old: u64,
    /// That the new tree begins with that one.
    pub nodes: Vec<Node>,
    /// The new checkpoint.
    pub checkpoint: Note,
}

impl AddCheckpoint {
    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, Bad> {
        if body.len() > LONGEST {
            return Err(Bad::Form("too long"));
        }
        let (head, note) = body.split_once("\n\n").ok_or(Bad::Form("no checkpoint"))?;
        let mut above = head.split('\n');
        let old = above.next().and_then(|line| line.strip_prefix("old ")).and_then(number);
        let old = old.ok_or(Bad::Form("old"))?;
        Ok(Self { old, nodes: nodes(above)?, checkpoint: Note::parse(note)? })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "old {}\n{}\n{}", self.old, lines(&self.nodes), self.checkpoint)
    }
}

#[cfg(test)]
mod tests;
