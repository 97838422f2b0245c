//! Personal keys: what one person signs, nobody else can.
//!
//! The seed lies in the store sealed under the person's own password; an administrator of
//! the machine has the sealed form and not the word. Whatever else holds such a key (a
//! card, a machine of the SDF or PKCS#11 kind) signs digests, and fits behind [`Signer`].

use kernel::sign::{EventKey, Hash, PublicKey, Signature};
use thiserror::Error;

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the key did not sign")]
pub struct Unsigned;

/// A key that signs digests of 32 bytes.
pub trait Signer {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// Signs a digest, as it is: no device hashes it again.
    fn sign_prehash(&self, digest: &Hash) -> Result<Signature, Unsigned>;
}

/// A person's key, opened for one signature.
#[derive(Debug)]
pub struct PersonalKey(EventKey);

impl PersonalKey {
    /// The key of a seed.
    pub(crate) fn of_seed(seed: &[u8; 32]) -> Option<Self> {
        EventKey::from_seed(seed).map(Self)
    }
}

impl Signer for PersonalKey {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn sign_prehash(&self, digest: &Hash) -> Result<Signature, Unsigned> {
        Ok(Signature(self.0.sign(&digest.0)))
    }
}
