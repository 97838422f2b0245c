//! The tree of RFC 6962 over a log's entries, and its two proofs.
//!
//! What a reader would get wrong: a tree is not balanced. Its left half is always the
//! largest power of two below its size, so that what was once a root of so many leaves is
//! always built from subtrees that never change again.

use std::fmt::Debug;

/// A node of a tree: 32 bytes, whatever the digest.
pub type Node = [u8; 32];

/// A digest of 32 bytes: SHA-256 now, SM3 through the same.
pub trait Digest: Clone + Copy + Debug + Send + Sync + 'static {
    /// The digest of the parts, one after the other.
    fn of(parts: &[&[u8]]) -> Node;

    /// The hash of a leaf: `H(0x00 || entry)`.
    fn leaf(entry: &[u8]) -> Node {
        Self::of(&[&[0], entry])
    }

    /// The hash of a node: `H(0x01 || left || right)`.
    fn node(left: &Node, right: &Node) -> Node {
        Self::of(&[&[1], left, right])
    }
}

/// SHA-256.
#[derive(Clone, Copy, Debug)]
pub struct Sha256;

impl Digest for Sha256 {
    fn of(parts: &[&[u8]]) -> Node {
        kernel::sign::Hash::of(parts).0
    }
}

/// The right edge of a growing tree: the roots of its whole subtrees, the largest first.
/// Enough to append and to say the root; 32 bytes for each bit that is set in the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    peaks: Vec<Node>,
}

impl Edge {
    /// The edge of a tree of this size, if there are as many peaks as it has.
    pub fn of(size: u64, peaks: Vec<Node>) -> Option<Self> {
        (u32::try_from(peaks.len()) == Ok(size.count_ones())).then_some(Self { size, peaks })
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its whole subtrees, the largest first.
    pub fn peaks(&self) -> &[Node] {
        &self.peaks
    }

    /// Appends a leaf; `whole` is told each subtree that is whole now, by its level above
    /// the leaves and its index in that level.
    pub fn push<D: Digest>(&mut self, leaf: Node, mut whole: impl FnMut(u32, u64, Node)) {
        let (mut node, mut level) = (leaf, 0);
        whole(0, self.size, node);
        while self.size >> level & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            node = D::node(&left, &node);
            level += 1;
            whole(level, self.size >> level, node);
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root; the digest of nothing for an empty tree.
    pub fn root<D: Digest>(&self) -> Node {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return D::of(&[]) };
        peaks.fold(*last, |right, left| D::node(left, &right))
    }
}

/// Where the nodes of whole subtrees are had from.
pub trait Nodes {
    /// Why one could not be had.
    type Error;

    /// The root of the `index`-th subtree of `2^level` leaves.
    fn node(&self, level: u32, index: u64) -> Result<Node, Self::Error>;
}

/// The root of the leaves from `start` to `end`, which begin at a multiple of the largest
/// power of two that is not more than their number.
fn root_of<D: Digest, N: Nodes>(nodes: &N, start: u64, end: u64) -> Result<Node, N::Error> {
    let many = end - start;
    if many.is_power_of_two() {
        let level = many.trailing_zeros();
        return nodes.node(level, start >> level);
    }
    let split = start + left_half(many);
    let (left, right) =
        (root_of::<D, N>(nodes, start, split)?, root_of::<D, N>(nodes, split, end)?);
    Ok(D::node(&left, &right))
}

/// The largest power of two below a number that is more than one.
const fn left_half(many: u64) -> u64 {
    1 << (many - 1).ilog2()
}

/// The root of the first `size` leaves.
pub fn root<D: Digest, N: Nodes>(nodes: &N, size: u64) -> Result<Node, N::Error> {
    if size == 0 { Ok(D::of(&[])) } else { root_of::<D, N>(nodes, 0, size) }
}

/// The inclusion proof of a leaf in the tree of `size` leaves (RFC 6962, 2.1.1): from its
/// sibling up to the child of the root. Nothing if there is no such leaf.
pub fn inclusion<D: Digest, N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Option<Vec<Node>>, N::Error> {
    if index >= size {
        return Ok(None);
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let split = start + left_half(end - start);
        if index < split {
            proof.push(root_of::<D, N>(nodes, split, end)?);
            end = split;
        } else {
            proof.push(root_of::<D, N>(nodes, start, split)?);
            start = split;
        }
    }
    proof.reverse();
    Ok(Some(proof))
}

/// The consistency proof between two sizes of a tree (RFC 6962, 2.1.2). Nothing if the old
/// one is larger; empty if it is nought or the same.
pub fn consistency<D: Digest, N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Option<Vec<Node>>, N::Error> {
    if old > new {
        return Ok(None);
    }
    if old == 0 || old == new {
        return Ok(Some(Vec::new()));
    }
    let (mut start, mut end, mut proof) = (0, new, Vec::new());
    // Until what is left of the old tree is one whole subtree.
    while old != end {
        let split = start + left_half(end - start);
        if old <= split {
            proof.push(root_of::<D, N>(nodes, split, end)?);
            end = split;
        } else {
            proof.push(root_of::<D, N>(nodes, start, split)?);
            start = split;
        }
    }
    // The verifier has it already if it is the whole old tree.
    if start > 0 {
        proof.push(root_of::<D, N>(nodes, start, end)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Whether a leaf is the `index`-th of the tree with this size and root (RFC 9162, 2.1.3.2).
pub fn includes<D: Digest>(
    leaf: &Node,
    index: u64,
    size: u64,
    root: &Node,
    proof: &[Node],
) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut node) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            node = D::node(sibling, &node);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = D::node(&node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}

/// Whether the tree with the new size and root begins with the one with the old size and
/// root (RFC 9162, 2.1.4.2).
pub fn extends<D: Digest>(old: (u64, &Node), new: (u64, &Node), proof: &[Node]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == D::of(&[]);
    }
    let mut steps = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = D::node(step, &before);
            after = D::node(step, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = D::node(&after, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && before == *old_root && after == *new_root
}

#[cfg(test)]
mod tests;
