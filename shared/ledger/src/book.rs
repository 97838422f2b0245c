//! 账簿 The tree of one log as it lies on the disk: whole tiles as files, beside them its
//! right edge.
//!
//! All of it follows from the log's entries and is made again if it is lost, so nothing
//! here is synced. What a reader would get wrong: it may lie behind the log, and behind what
//! was signed; it never lies before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    tile::{HEIGHT, Tile, WIDTH, within},
    tree::{self, Digest, Edge, Node, Nodes, Sha256},
};

/// The tree of a log.
#[derive(Debug)]
pub struct Book {
    folder: PathBuf,
    edge: Edge,
    /// The tile of each level that is not whole yet.
    open: Vec<Vec<Node>>,
}

/// The file of the edge.
const EDGE: &str = "edge";

fn flat(nodes: &[Node]) -> Vec<u8> {
    nodes.concat()
}

fn nodes_of(bytes: &[u8]) -> Option<Vec<Node>> {
    let (nodes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| nodes.to_vec())
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Book {
    /// The tree in a folder, as far as it lies there; from nothing if its edge does not read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let kept = match fs::read(folder.join(EDGE)) {
            Ok(bytes) => read_edge(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (edge, open) = kept.unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), edge, open })
    }

    /// The same tree with nothing in it; what else lies in the folder stays.
    pub fn anew(self) -> io::Result<Self> {
        for gone in
            [fs::remove_file(self.folder.join(EDGE)), fs::remove_dir_all(self.folder.join("tile"))]
        {
            match gone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Self::open(&self.folder)
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root of everything.
    pub fn root(&self) -> Node {
        self.edge.root::<Sha256>()
    }

    /// Appends leaves; tiles that are whole are written, and the edge behind them. After an
    /// error it is opened again: what is in memory may be further than what is on the disk.
    pub fn append(&mut self, leaves: impl IntoIterator<Item = Node>) -> io::Result<()> {
        for leaf in leaves {
            let (open, mut whole) = (&mut self.open, Vec::new());
            self.edge.push::<Sha256>(leaf, |level, index, node| {
                if level % HEIGHT != 0 {
                    return;
                }
                let at = (level / HEIGHT) as usize;
                open.resize_with(open.len().max(at + 1), Vec::new);
                open[at].push(node);
                if open[at].len() as u64 == WIDTH {
                    let nodes = std::mem::take(&mut open[at]);
                    whole.push((at, index / WIDTH, nodes));
                }
            });
            for (level, index, nodes) in whole {
                let level = u8::try_from(level).map_err(io::Error::other)?;
                self.write(&Tile { level, index, width: 256 }.to_string(), &flat(&nodes))?;
            }
        }
        self.write(EDGE, &edge_bytes(&self.edge, &self.open))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let beside = path.with_extension("new");
        fs::write(&beside, bytes)?;
        fs::rename(beside, path)
    }

    /// The nodes of a tile, as many as it has by now.
    fn row(&self, level: u8, index: u64) -> io::Result<Vec<Node>> {
        let whole = self.size().checked_shr(u32::from(level) * HEIGHT).unwrap_or(0) / WIDTH;
        if index >= whole {
            let open = self.open.get(usize::from(level)).filter(|_| index == whole);
            return Ok(open.cloned().unwrap_or_default());
        }
        let bytes = fs::read(self.folder.join(Tile { level, index, width: 256 }.to_string()))?;
        let nodes = nodes_of(&bytes).filter(|nodes| nodes.len() as u64 == WIDTH);
        nodes.ok_or_else(|| odd("a tile that is not whole"))
    }

    /// The bytes of a tile; nothing if the tree has no such one.
    pub fn tile(&self, tile: &Tile) -> io::Result<Option<Vec<u8>>> {
        let row = self.row(tile.level, tile.index)?;
        Ok(row.get(..usize::from(tile.width)).map(flat))
    }

    /// The leaf at an index.
    pub fn leaf(&self, index: u64) -> io::Result<Option<Node>> {
        let at = usize::try_from(index % WIDTH).map_err(io::Error::other)?;
        Ok(self.row(0, index / WIDTH)?.get(at).copied())
    }

    /// The root of the first `size` leaves; nothing if there are fewer.
    pub fn root_at(&self, size: u64) -> io::Result<Option<Node>> {
        if size > self.size() { Ok(None) } else { tree::root::<Sha256, _>(self, size).map(Some) }
    }

    /// The inclusion proof of a leaf in the tree of `size` leaves.
    pub fn inclusion(&self, index: u64, size: u64) -> io::Result<Option<Vec<Node>>> {
        if size > self.size() { Ok(None) } else { tree::inclusion::<Sha256, _>(self, index, size) }
    }

    /// The consistency proof between two sizes.
    pub fn consistency(&self, old: u64, new: u64) -> io::Result<Option<Vec<Node>>> {
        if new > self.size() { Ok(None) } else { tree::consistency::<Sha256, _>(self, old, new) }
    }
}

impl Nodes for Book {
    type Error = io::Error;

    fn node(&self, level: u32, index: u64) -> io::Result<Node> {
        let height = level % HEIGHT;
        let first = index << height;
        let tile_level = u8::try_from(level / HEIGHT).map_err(io::Error::other)?;
        let row = self.row(tile_level, first / WIDTH)?;
        let at = usize::try_from((first % WIDTH) >> height).map_err(io::Error::other)?;
        within::<Sha256>(&row, height, at).ok_or_else(|| odd("a tile with too few nodes"))
    }
}

/// The size, the peaks, and the unfinished tile of each level; then the hash of all that.
fn edge_bytes(edge: &Edge, open: &[Vec<Node>]) -> Vec<u8> {
    let mut bytes = edge.size().to_be_bytes().to_vec();
    bytes.extend(flat(edge.peaks()));
    for nodes in open {
        bytes.extend(flat(nodes));
    }
    let hash = Sha256::of(&[&bytes]);
    bytes.extend(hash);
    bytes
}

fn read_edge(bytes: &[u8]) -> Option<(Edge, Vec<Vec<Node>>)> {
    let (said, hash) = bytes.split_last_chunk::<32>()?;
    if Sha256::of(&[said]) != *hash {
        return None;
    }
    let (size, rest) = said.split_first_chunk::<8>()?;
    let size = u64::from_be_bytes(*size);
    let mut nodes = nodes_of(rest)?.into_iter();
    let peaks = nodes.by_ref().take(size.count_ones() as usize).collect();
    let mut open = Vec::new();
    let (mut level, mut many) = (0, size);
    while many > 0 {
        let width = usize::try_from(many % WIDTH).ok()?;
        let row: Vec<Node> = nodes.by_ref().take(width).collect();
        if row.len() != width {
            return None;
        }
        open.push(row);
        level += HEIGHT;
        many = size.checked_shr(level).unwrap_or(0);
    }
    nodes.next().is_none().then_some((Edge::of(size, peaks)?, open))
}

#[cfg(test)]
mod tests;
