//! 密钥托管 Escrow: a shelf's master key for officers, of whom so many must come together.
//!
//! The escrow key is an X25519 pair made for this alone. Its public half stays with the
//! vault and seals each master key; its secret half is cut into shares (Shamir), one for
//! each officer, and kept nowhere. What an escrow gives back is what stood on the shelf
//! when its files were copied.

use std::collections::BTreeMap;

use blahaj::{Share as Point, Sharks};
use data_encoding::BASE32_NOPAD;
use kernel::{Entropy, sign::Hash};
use zeroize::Zeroizing;

use crate::{OrganKey, OrganPublic, fresh, grant};

/// A master key, sealed to the officers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escrow(pub Vec<u8>);

const INFO: &[u8] = b"liandong escrow v1";

impl Escrow {
    /// Seals a master key; nothing for a key that is none.
    pub(crate) fn of(master: &[u8; 32], key: &OrganPublic, bound: &[u8]) -> Option<Self> {
        grant::seal(key, INFO, master, bound).map(|sealed| Self(sealed.to_vec()))
    }

    /// Opens it with what the officers put together.
    pub(crate) fn open(&self, key: &OrganKey, bound: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        grant::open(key, INFO, self.0.as_slice().try_into().ok()?, bound)
    }
}

/// The fewest and the most officers of an escrow.
pub const OFFICERS: std::ops::RangeInclusive<usize> = 2..=15;

/// What one officer keeps on paper: `ABCD-EFGH-…`.
///
/// needed | number | which escrow (4 bytes) | the point (32 bytes) | check (4 bytes)
#[derive(Clone, PartialEq, Eq)]
pub struct Share(Zeroizing<Vec<u8>>);

const CHECK: usize = 4;
const LENGTH: usize = 2 + 4 + 32 + CHECK;

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({})", self.number())
    }
}

/// Makes an escrow key and cuts it: the public half and the shares. Nothing unless at
/// least two and at most all of the officers are needed.
pub fn split(needed: u8, officers: usize, entropy: &Entropy) -> Option<(OrganPublic, Vec<Share>)> {
    if !OFFICERS.contains(&officers) || needed < 2 || usize::from(needed) > officers {
        return None;
    }
    let seed = Zeroizing::new(fresh(entropy));
    let public = OrganKey::of_seed(&seed).public();
    let points = Sharks(needed).dealer(&*seed).take(officers);
    let share = |point: Point| {
        let point = Zeroizing::new(Vec::from(&point));
        let (number, point) = point.split_first()?;
        let mut bytes = Zeroizing::new(vec![needed, *number]);
        bytes.extend_from_slice(&which(&public));
        bytes.extend_from_slice(point);
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        Some(Share(bytes))
    };
    Some((public, points.map(share).collect::<Option<_>>()?))
}

fn which(public: &OrganPublic) -> [u8; 4] {
    first(&public.id())
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    first(&Hash::of(&[b"liandong share v1", bytes]))
}

fn first(hash: &Hash) -> [u8; 4] {
    let [a, b, c, d, ..] = hash.0;
    [a, b, c, d]
}

/// Why shares give no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unjoined {
    /// They belong to different escrows.
    #[error("这些份额不属于同一次托管 / these shares are of different escrows")]
    Mixed,
    /// So many are needed.
    #[error("份额不足,需要 {0} 份 / too few shares: {0} are needed")]
    TooFew(u8),
}

/// Puts shares together.
pub fn join(shares: &[Share]) -> Result<OrganKey, Unjoined> {
    let first = shares.first().ok_or(Unjoined::TooFew(2))?;
    let alike =
        |share: &Share| share.0.get(..1) == first.0.get(..1) && share.which() == first.which();
    if !shares.iter().all(alike) {
        return Err(Unjoined::Mixed);
    }
    let needed = first.0.first().copied().unwrap_or(2);
    // The same paper twice counts once.
    let points: BTreeMap<u8, Point> =
        shares.iter().filter_map(|share| Some((share.number(), share.point()?))).collect();
    let together = Sharks(needed);
    let seed = together.recover(points.values()).map_err(|_| Unjoined::TooFew(needed))?;
    let seed = Zeroizing::new(seed);
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| Unjoined::Mixed)?;
    let key = OrganKey::of_seed(seed);
    if which(&key.public()) == first.which() { Ok(key) } else { Err(Unjoined::Mixed) }
}

impl Share {
    /// Which of the shares it is, from 1 on.
    pub fn number(&self) -> u8 {
        self.0.get(1).copied().unwrap_or(0)
    }

    fn which(&self) -> [u8; 4] {
        self.0.get(2..6).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    }

    fn point(&self) -> Option<Point> {
        let mut bytes = Zeroizing::new(vec![self.number()]);
        bytes.extend_from_slice(self.0.get(6..LENGTH - CHECK)?);
        Point::try_from(bytes.as_slice()).ok()
    }

    /// As it is written on paper.
    pub fn to_text(&self) -> Zeroizing<String> {
        let plain = Zeroizing::new(BASE32_NOPAD.encode(&self.0));
        let groups: Vec<&str> = plain
            .as_bytes()
            .chunks(4)
            .filter_map(|group| std::str::from_utf8(group).ok())
            .collect();
        Zeroizing::new(groups.join("-"))
    }

    /// Reads what was typed; nothing if a letter is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        let plain = Zeroizing::new(letters.collect::<String>().to_ascii_uppercase());
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(plain.as_bytes()).ok()?);
        let (inside, is) = bytes.split_at_checked(LENGTH - CHECK)?;
        (is == check(inside)).then(|| Self(bytes.clone()))
    }

    /// What tells that somebody has written it down, and nothing else.
    pub fn fingerprint(&self) -> Hash {
        Hash::of(&[b"liandong share written v1", &self.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_so_many_shares_give_the_key_and_one_fewer_gives_none() {
        let (public, shares) = split(3, 5, &Entropy::System).unwrap();
        for out in 0..5 {
            for other in 0..out {
                let three: Vec<Share> = (0..5)
                    .filter(|at| ![out, other].contains(at))
                    .map(|at| Share::parse(&shares[at].to_text()).unwrap())
                    .collect();
                assert_eq!(join(&three).unwrap().public(), public);
                assert_eq!(join(&three[..2]).unwrap_err(), Unjoined::TooFew(3));
                let twice = [three[0].clone(), three[0].clone(), three[1].clone()];
                assert_eq!(join(&twice).unwrap_err(), Unjoined::TooFew(3));
            }
        }
        let (_, others) = split(3, 5, &Entropy::System).unwrap();
        let mixed = [shares[0].clone(), shares[1].clone(), others[2].clone()];
        assert_eq!(join(&mixed).unwrap_err(), Unjoined::Mixed);
        for (needed, officers) in [(1, 3), (4, 3), (2, 1), (2, 16)] {
            assert!(split(needed, officers, &Entropy::System).is_none(), "{needed} of {officers}");
        }
    }

    #[test]
    fn a_share_that_was_typed_wrongly_does_not_read() {
        let (_, shares) = split(2, 3, &Entropy::System).unwrap();
        let text = shares[0].to_text();
        assert_eq!(Share::parse(&text.to_lowercase().replace('-', " ")).as_ref(), Some(&shares[0]));
        for at in 0..text.len() {
            let mut letters = text.as_bytes().to_vec();
            if letters[at] == b'-' {
                continue;
            }
            letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
            assert!(Share::parse(std::str::from_utf8(&letters).unwrap()).is_none(), "letter {at}");
        }
        assert!(Share::parse(&text[..text.len() - 1]).is_none() && Share::parse("").is_none());
    }
}
