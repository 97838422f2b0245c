//! Grants: a scope key, for one organ, for one purpose.
//!
//! A grant lies in the vault, which can forget it; the history says that it was made, for
//! whom, why, and its hash. HPKE (RFC 9180) in base mode: who made it stands in the signed
//! entry, not in the grant.

use std::fmt;

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
};
use kernel::{Entropy, sign::Hash};
use zeroize::Zeroizing;

use crate::{Broken, Scope, ScopeKey, Suite, fresh, joined};

type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;
type Sent = <X25519HkdfSha256 as Kem>::EncappedKey;

/// The secret half of an organ's sealing key.
pub struct OrganKey {
    secret: Secret,
    public: OrganPublic,
}

/// The public half: 32 bytes of X25519.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganPublic(pub [u8; 32]);

impl OrganPublic {
    /// The key's name.
    pub fn id(&self) -> Hash {
        Hash::of(&[b"liandong organ key v1", &self.0])
    }
}

impl fmt::Debug for OrganPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrganPublic({})", self.id())
    }
}

impl fmt::Debug for OrganKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrganKey({})", self.public.id())
    }
}

impl OrganKey {
    /// A fresh key.
    pub fn fresh(entropy: &Entropy) -> Self {
        Self::of_seed(&fresh(entropy))
    }

    /// The key that follows from a seed of 32 bytes (`DeriveKeyPair`, RFC 9180, 7.1.3).
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let (secret, public) = X25519HkdfSha256::derive_keypair(seed);
        let mut bytes = [0; 32];
        public.write_exact(&mut bytes);
        Self { secret, public: OrganPublic(bytes) }
    }

    /// The public half.
    pub const fn public(&self) -> OrganPublic {
        self.public
    }
}

/// What a grant says beside the key; all of it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose<'a> {
    /// The grant's own id.
    pub id: &'a str,
    /// What it is for: `receipt of clue …`.
    pub what: &'a str,
}

/// A scope key, sealed to an organ.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    sent: [u8; 32],
    inside: [u8; 48],
}

/// The size of a grant, in bytes.
pub const GRANT: usize = 80;

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({})", self.hash())
    }
}

fn info(suite: Suite) -> Vec<u8> {
    joined(&[b"liandong grant v1", suite.as_str().as_bytes()])
}

fn bound(scope: &Scope, to: &OrganPublic, purpose: &Purpose<'_>) -> Vec<u8> {
    let scope = scope.to_string();
    joined(&[purpose.id.as_bytes(), scope.as_bytes(), &to.0, purpose.what.as_bytes()])
}

/// 32 bytes for whoever has the secret half (HPKE, base mode): what is sent, and what is
/// inside. Nothing for a key that is none.
pub(crate) fn seal(
    to: &OrganPublic,
    info: &[u8],
    secret: &[u8; 32],
    aad: &[u8],
) -> Option<[u8; GRANT]> {
    let public = Public::from_bytes(&to.0).ok()?;
    let sealed = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info,
        secret,
        aad,
    );
    let (encapped, inside) = sealed.ok()?;
    let mut bytes = [0; GRANT];
    let (sent, rest) = bytes.split_at_mut(32);
    encapped.write_exact(sent);
    rest.copy_from_slice(inside.get(..GRANT - 32)?);
    Some(bytes)
}

/// Takes them out.
pub(crate) fn open(
    key: &OrganKey,
    info: &[u8],
    bytes: &[u8; GRANT],
    aad: &[u8],
) -> Option<Zeroizing<[u8; 32]>> {
    let (sent, inside) = bytes.split_at(32);
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key.secret,
        &Sent::from_bytes(sent).ok()?,
        info,
        inside,
        aad,
    );
    let opened = Zeroizing::new(opened.ok()?);
    opened.as_slice().try_into().ok().map(Zeroizing::new)
}

impl Grant {
    /// Gives a scope key to an organ. Fails for a key that is none.
    pub fn to(key: &ScopeKey, organ: &OrganPublic, purpose: &Purpose<'_>) -> Result<Self, Broken> {
        let aad = bound(key.scope(), organ, purpose);
        let sealed = seal(organ, &info(Suite::Intl1), key.secret(), &aad);
        Self::of(&sealed.ok_or(Broken::WrongKey)?).ok_or(Broken::WrongKey)
    }

    /// Takes the scope key out, as the organ that it was given to and for what it was given.
    pub fn open(
        &self,
        organ: &OrganKey,
        scope: &Scope,
        purpose: &Purpose<'_>,
    ) -> Result<ScopeKey, Broken> {
        let aad = bound(scope, &organ.public, purpose);
        let secret = open(organ, &info(Suite::Intl1), &self.to_bytes(), &aad);
        Ok(ScopeKey::of(scope.clone(), *secret.ok_or(Broken::WrongKey)?))
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> [u8; GRANT] {
        let mut bytes = [0; GRANT];
        bytes[..32].copy_from_slice(&self.sent);
        bytes[32..].copy_from_slice(&self.inside);
        bytes
    }

    /// Reads what was kept.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; GRANT] = bytes.try_into().ok()?;
        let (sent, inside) = bytes.split_at(32);
        Some(Self { sent: sent.try_into().ok()?, inside: inside.try_into().ok()? })
    }

    /// What the history says of it.
    pub fn hash(&self) -> Hash {
        Hash::of(&[&self.to_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: Purpose<'_> = Purpose { id: "g1", what: "receipt" };

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn a_grant_opens_for_its_organ_its_scope_and_its_purpose_alone() {
        let key = ScopeKey::fresh(scope("case:x#1"), &Entropy::System);
        let (registry, other) = (OrganKey::of_seed(&[1; 32]), OrganKey::of_seed(&[2; 32]));
        let grant = Grant::to(&key, &registry.public(), &PURPOSE).unwrap();
        let kept = Grant::of(&grant.to_bytes()).unwrap();
        let opened = kept.open(&registry, &scope("case:x#1"), &PURPOSE).unwrap();
        assert_eq!(opened.secret(), key.secret());
        let refused = |organ: &OrganKey, of: &str, purpose: &Purpose<'_>| {
            grant.open(organ, &scope(of), purpose).err()
        };
        let elsewhere = Purpose { id: "g2", what: "receipt" };
        let else_what = Purpose { id: "g1", what: "reading" };
        assert_eq!(refused(&other, "case:x#1", &PURPOSE), Some(Broken::WrongKey));
        assert_eq!(refused(&registry, "case:x#2", &PURPOSE), Some(Broken::WrongKey));
        assert_eq!(refused(&registry, "subject:x#1", &PURPOSE), Some(Broken::WrongKey));
        assert_eq!(refused(&registry, "case:x#1", &elsewhere), Some(Broken::WrongKey));
        assert_eq!(refused(&registry, "case:x#1", &else_what), Some(Broken::WrongKey));
    }

    #[test]
    fn a_grant_with_one_bit_changed_opens_nothing() {
        let key = ScopeKey::of(scope("case:x#1"), [9; 32]);
        let organ = OrganKey::of_seed(&[1; 32]);
        let bytes = Grant::to(&key, &organ.public(), &PURPOSE).unwrap().to_bytes();
        for at in 0..GRANT * 8 {
            // The top bit of an X25519 point is not read (RFC 7748, 5).
            if at == 31 * 8 + 7 {
                continue;
            }
            let mut bent = bytes;
            bent[at / 8] ^= 1 << (at % 8);
            assert!(Grant::of(&bent).unwrap().open(&organ, key.scope(), &PURPOSE).is_err(), "{at}");
        }
        assert!(Grant::of(&bytes[1..]).is_none());
    }

    #[test]
    fn a_point_that_is_none_gets_no_grant() {
        let key = ScopeKey::of(scope("case:x#1"), [9; 32]);
        assert_eq!(Grant::to(&key, &OrganPublic([0; 32]), &PURPOSE), Err(Broken::WrongKey));
    }
}
