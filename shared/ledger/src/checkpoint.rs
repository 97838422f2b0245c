//! Checkpoints (C2SP tlog-checkpoint): how large a log is, and its root.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{
    note::{Bad, Line, Note, NoteSigner},
    tile::number,
    tree::Node,
};

/// A tree's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of the key that signs it.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Node,
}

impl fmt::Display for Checkpoint {
    /// The text of the note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root))
    }
}

impl Checkpoint {
    /// Reads the text of a note. Extension lines are not taken: nobody could check them.
    pub fn parse(text: &str) -> Result<Self, Bad> {
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
        let &[origin, size, root] = lines.as_slice() else {
            return Err(Bad::Form("a checkpoint has three lines"));
        };
        if origin.is_empty() {
            return Err(Bad::Form("origin"));
        }
        let size = number(size).ok_or(Bad::Form("size"))?;
        Ok(Self { origin: origin.to_owned(), size, root: node(root).ok_or(Bad::Form("root"))? })
    }

    /// Its note, signed by the log.
    pub fn signed(&self, by: &NoteSigner) -> Note {
        let text = self.to_string();
        let line: Line = by.sign(&text, 0);
        Note { text, lines: vec![line] }
    }
}

/// A node in base64, in its one spelling.
pub(crate) fn node(text: &str) -> Option<Node> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// Lines of nodes.
pub(crate) fn nodes<'t>(lines: impl IntoIterator<Item = &'t str>) -> Result<Vec<Node>, Bad> {
    let read: Option<Vec<Node>> = lines.into_iter().map(node).collect();
    read.filter(|nodes| nodes.len() <= 63).ok_or(Bad::Form("hashes of a proof"))
}

/// Nodes as lines.
pub fn lines(nodes: &[Node]) -> String {
    nodes.iter().fold(String::new(), |all, node| all + &BASE64.encode(node) + "\n")
}
