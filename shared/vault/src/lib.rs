//! Sealing: content that stands in a history which many hold, and opens for few.
//!
//! A **part** is sealed under a key of its own; that key is wrapped under a **scope key**
//! (a case's or a subject's, of one epoch); the scope key goes to an organ by a **grant**.
//! The entry holds the part's header, the ciphertext lies beside it by its hash, the grants
//! lie in a store that can forget. Whoever loses the scope key and its grants loses the
//! content, and the history still verifies.
//!
//! What a reader would get wrong: that a part opens at all does not say that it is the one
//! that was meant. The place it was sealed for is checked with it, and an AEAD alone does
//! not bind the key; the commitment does.

pub mod escrow;
pub mod grant;
pub mod part;
pub mod person;
pub mod scope;
pub mod slow;
pub mod store;

pub use escrow::{Escrow, Share};
pub use grant::{Grant, OrganKey, OrganPublic};
pub use kernel::sealed::{Scope, SealedPart, Suite};
pub use part::{Broken, Place};
pub use person::{PersonalKey, Signer};
pub use scope::ScopeKey;
pub use store::{Unkept, Vault};

/// 32 fresh bytes.
fn fresh(entropy: &kernel::Entropy) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&entropy.bytes16());
    bytes[16..].copy_from_slice(&entropy.bytes16());
    bytes
}

/// Words with their lengths before them, so that no two lists read alike.
fn joined(words: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::with_capacity(words.iter().map(|word| word.len() + 8).sum());
    for word in words {
        all.extend_from_slice(&(word.len() as u64).to_be_bytes());
        all.extend_from_slice(word);
    }
    all
}
