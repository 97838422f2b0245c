//! Tiles (C2SP tlog-tiles): 256 nodes of one level side by side, and where they are found.

use std::fmt;

use crate::tree::{Digest, Node};

/// How many nodes a whole tile has.
pub const WIDTH: u64 = 256;
/// How many levels of the tree a tile spans.
pub const HEIGHT: u32 = 8;

/// The place of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Its level: nought holds leaves, one the roots of whole tiles of leaves.
    pub level: u8,
    /// Its number in the level, from nought.
    pub index: u64,
    /// How many nodes it has, 1 to 256.
    pub width: u16,
}

impl fmt::Display for Tile {
    /// The path below the log's prefix: `tile/0/x001/234.p/17`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, Place { index: self.index, width: self.width })
    }
}

/// The place of a bundle of entries, or of a tile in its level: `x001/234.p/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from nought.
    pub index: u64,
    /// How many are in it, 1 to 256.
    pub width: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut parts) = (self.index / 1000, vec![format!("{:03}", self.index % 1000)]);
        while rest > 0 {
            parts.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        parts.reverse();
        f.write_str(&parts.join("/"))?;
        if u64::from(self.width) < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl Place {
    /// Reads the written form; it has one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, width) = match text.split_once(".p/") {
            Some((path, width)) => (path, number(width).filter(|w| (1..WIDTH).contains(w))?),
            None => (text, WIDTH),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (last, above) = parts.split_last()?;
        let mut index = 0u64;
        for part in above.iter().map(|part| part.strip_prefix('x')).chain([Some(*last)]) {
            let part = part.filter(|p| p.len() == 3 && p.bytes().all(|c| c.is_ascii_digit()))?;
            index = index.checked_mul(1000)?.checked_add(part.parse().ok()?)?;
        }
        let place = Self { index, width: u16::try_from(width).ok()? };
        (place.to_string() == text).then_some(place)
    }
}

impl Tile {
    /// Reads the path below the log's prefix.
    pub fn parse(text: &str) -> Option<Self> {
        let (level, place) = text.strip_prefix("tile/")?.split_once('/')?;
        let level = u8::try_from(number(level).filter(|level| *level < 64)?).ok()?;
        let Place { index, width } = Place::parse(place)?;
        Some(Self { level, index, width })
    }

    /// The tiles that a tree of this size has, level by level.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        (0..8u8).flat_map(move |level| {
            let nodes = size.checked_shr(u32::from(level) * HEIGHT).unwrap_or(0);
            let whole = nodes / WIDTH;
            let part = u16::try_from(nodes % WIDTH).ok().filter(|width| *width > 0);
            let of = move |index, width| Self { level, index, width };
            (0..whole).map(move |index| of(index, 256)).chain(part.map(|width| of(whole, width)))
        })
    }
}

/// A decimal number with one spelling.
pub(crate) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The node of a subtree from the tile that holds its leaves in it: `height` levels above
/// the tile's nodes, the `index`-th of them.
pub fn within<D: Digest>(nodes: &[Node], height: u32, index: usize) -> Option<Node> {
    let many = 1usize.checked_shl(height)?;
    let mut row =
        nodes.get(index.checked_mul(many)?..index.checked_add(1)?.checked_mul(many)?)?.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| D::node(&pair[0], &pair[1])).collect();
    }
    row.first().copied()
}

#[cfg(test)]
mod tests;
