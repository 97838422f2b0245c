//! 证明 One entry, proven to whoever has nothing but keys.

use std::{fs, io, path::Path};

use kernel::entry;
use ledger::{
    checkpoint::Checkpoint,
    note::Bad,
    policy::Policy,
    proof::Proof,
    tile::{Tile, WIDTH},
    tree::{Node, Nodes, Sha256, inclusion},
};
use serde::Serialize;

use crate::{
    forms::unbundle,
    logs::Log,
    tiles::bundle_of,
    verify::{Report, witness_of},
};

/// Leaves at hand.
struct Leaves<'a>(&'a [Node]);

impl Nodes for Leaves<'_> {
    type Error = io::Error;

    fn node(&self, level: u32, index: u64) -> io::Result<Node> {
        let many = 1u64 << level;
        let range =
            usize::try_from(index * many).ok().zip(usize::try_from((index + 1) * many).ok());
        let leaves = range.and_then(|(first, end)| self.0.get(first..end));
        let mut edge = ledger::tree::Edge::default();
        for leaf in leaves.ok_or_else(|| io::Error::other("too few leaves"))? {
            edge.push::<Sha256>(*leaf, |_, _, _| ());
        }
        Ok(edge.root::<Sha256>())
    }
}

/// The proof of an entry, with the head that most have cosigned, and the entry's bytes; of a
/// log that was tampered with, what speaks against it.
pub fn prove(
    export: &Path,
    origin: &str,
    sequence: u64,
) -> io::Result<Result<(String, Vec<u8>), Report>> {
    let name = origin.strip_prefix("liandong/").unwrap_or(origin).replace('/', "-");
    let folder = export.join("logs").join(name);
    let mut report = Report::default();
    if !folder.exists() {
        return Err(io::Error::other(format!("{origin}: no such log here")));
    }
    let Some(log) = Log::read(&folder, 0, &mut report)?.filter(|_| report.broken.is_empty()) else {
        return Ok(Err(report));
    };
    let index = sequence.checked_sub(1).filter(|index| *index < log.leaves.len() as u64);
    let index = index.ok_or_else(|| io::Error::other(format!("{origin}: no entry {sequence}")))?;
    let heads = log.heads.range(index + 1..);
    let best = heads.max_by_key(|(size, note)| (note.lines.len(), **size));
    let (size, note) = best.ok_or_else(|| io::Error::other("no head has it"))?;
    let nodes = inclusion::<Sha256, _>(&Leaves(&log.leaves), index, *size)?.unwrap_or_default();
    let proof = Proof { extra: None, index, nodes, checkpoint: note.clone() };
    let tile = Tile::all(log.leaves.len() as u64)
        .find(|tile| tile.level == 0 && tile.index == index / WIDTH);
    let path = tile.map(|tile| bundle_of(&tile));
    let bundle = fs::read(folder.join(path.unwrap_or_default()))?;
    let at = usize::try_from(index % WIDTH).map_err(io::Error::other)?;
    let entry = unbundle(&bundle).and_then(|entries| entries.get(at).map(|bytes| bytes.to_vec()));
    let entry = entry.ok_or_else(|| io::Error::other("no such entry"))?;
    Ok(Ok((proof.to_string(), entry)))
}

/// What a proof proves.
#[derive(Debug, Serialize)]
pub struct Proven {
    /// The log.
    pub log: String,
    /// The entry's place, from 1.
    pub sequence: u64,
    /// The entry's hash.
    pub hash: kernel::sign::Hash,
    /// Who of the known witnesses has seen it, and when, in seconds since 1970.
    pub witnessed: Vec<(String, u64)>,
    /// Whether they are as many as the policy asks for.
    pub enough: bool,
}

/// Checks a proof by the auditor's own policy; else the exit code, and why.
pub fn check(proof: &str, bytes: &[u8], policy: &Policy) -> Result<Proven, (u8, String)> {
    let open = |bad: Bad| (3, bad.to_string());
    let proof = Proof::parse(proof).map_err(open)?;
    // Nobody is his own witness, and lines that do not hold count for nobody.
    let origin = proof.checkpoint.text.split('\n').next().unwrap_or_default();
    let own = witness_of(origin);
    let keys: Vec<_> =
        policy.keys().into_iter().filter(|key| Some(key.name()) != own.as_deref()).collect();
    let judged = policy.judge(&proof.checkpoint.only(&keys)).map_err(open)?;
    let said: Checkpoint = proof.holds::<Sha256>(bytes).map_err(|bad| (1, bad.to_string()))?;
    Ok(Proven {
        log: said.origin,
        sequence: proof.index + 1,
        hash: entry::hash(bytes),
        witnessed: judged.cosigned,
        enough: judged.enough,
    })
}
