//! 账本 The ledger: the tree over each office's log, signed heads of it, proofs, witnesses.
//!
//! Formats are C2SP's to the byte (signed-note, tlog-checkpoint, tlog-tiles, tlog-proof,
//! cosignature/v1, tlog-policy), so that verifiers that nobody here wrote take ours. What a
//! reader would get wrong: a root says nothing alone. It counts once somebody else has it
//! too; until then its log can write another.

pub mod book;
pub mod checkpoint;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;
