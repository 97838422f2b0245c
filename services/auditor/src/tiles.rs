//! The tiles of a log, read, hashed and parsed on every core, and given in their order.

use std::{
    io,
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use kernel::{
    EntryRef, Fact, Lane, Timestamp,
    entry::{self, Form},
};
use ledger::{tile::Tile, tree::Node};

use crate::{forms::unbundle, logs::read};

/// How many tiles one core may be ahead.
const AHEAD: usize = 8;

/// One tile of leaves with its bundle of entries.
pub(crate) struct Taken {
    /// Where it stands.
    pub(crate) tile: Tile,
    /// The leaves that were signed; none if the file is not there or not whole.
    pub(crate) signed: Option<Vec<Node>>,
    /// The bundle's bytes; none if the file is not there.
    pub(crate) bundle: Option<Vec<u8>>,
    /// Its entries.
    pub(crate) entries: Vec<Entry>,
}

/// One entry, as far as a log is walked by it.
pub(crate) struct Entry {
    /// The hash of its bytes.
    pub(crate) leaf: Node,
    /// What it says; none if it is no entry.
    pub(crate) said: Option<Said>,
}

/// Where an entry says that it stands.
pub(crate) struct Said {
    pub(crate) at: EntryRef,
    pub(crate) lane: Lane,
    pub(crate) counter: u64,
    pub(crate) stream: String,
    pub(crate) version: Option<u64>,
    pub(crate) recorded: Timestamp,
    /// The whole of it, where other logs or signatures are held against it.
    pub(crate) fact: Option<Fact>,
}

impl Taken {
    fn read(folder: &Path, tile: Tile, whole: fn(&Fact) -> bool) -> io::Result<Self> {
        let width = usize::from(tile.width);
        let leaves = read(&folder.join(tile.to_string()))?;
        let signed = leaves.and_then(|bytes| {
            let (leaves, rest) = bytes.as_chunks::<32>();
            (leaves.len() == width && rest.is_empty()).then(|| leaves.to_vec())
        });
        let bundle = read(&folder.join(bundle_of(&tile)))?;
        let entries = bundle.as_deref().and_then(unbundle).unwrap_or_default();
        let entries = entries.into_iter().map(|one| Entry::of(one, whole)).collect();
        Ok(Self { tile, signed, bundle, entries })
    }
}

impl Entry {
    fn of(bytes: &[u8], whole: fn(&Fact) -> bool) -> Self {
        let parts = entry::open(bytes).ok().filter(|parts| parts.form == Form::Event);
        let said = parts.and_then(|parts| Fact::parse(parts.payload).ok());
        Self { leaf: entry::hash(bytes).0, said: said.map(|fact| Said::of(fact, whole)) }
    }
}

impl Said {
    fn of(mut fact: Fact, whole: fn(&Fact) -> bool) -> Self {
        let keeps = whole(&fact);
        Self {
            at: fact.at.clone(),
            lane: fact.lane(),
            counter: fact.lane,
            stream: if keeps { fact.stream.clone() } else { std::mem::take(&mut fact.stream) },
            version: fact.version,
            recorded: fact.recorded,
            fact: keeps.then_some(fact),
        }
    }
}

/// Where the entries of a tile's leaves lie.
pub(crate) fn bundle_of(tile: &Tile) -> String {
    tile.to_string().replacen("tile/0/", "tile/entries/", 1)
}

/// Gives the tiles of a log of this size to `take`, in order, until it says that it is enough.
/// Of facts that are `whole`, everything is kept.
pub(crate) fn each(
    folder: &Path,
    size: u64,
    whole: fn(&Fact) -> bool,
    mut take: impl FnMut(Taken) -> bool,
) -> io::Result<()> {
    // Any size can be signed: the tiles are counted as they are found.
    let tiles = || Tile::all(size).take_while(|tile| tile.level == 0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let lines: Vec<Receiver<io::Result<Taken>>> = (0..cores)
            .map(|first| {
                let (give, line) = sync_channel(AHEAD);
                let own = tiles().skip(first).step_by(cores);
                scope.spawn(move || {
                    for tile in own {
                        // Nobody listens any more once it was enough.
                        if give.send(Taken::read(folder, tile, whole)).is_err() {
                            return;
                        }
                    }
                });
                line
            })
            .collect();
        for line in lines.iter().cycle() {
            let Ok(taken) = line.recv() else { break };
            if !take(taken?) {
                break;
            }
        }
        Ok(())
    })
}
