//! Randomness as an argument, so that a test can fix it.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Where ids and salts come from.
#[derive(Debug)]
pub enum Entropy {
    /// The machine's generator.
    System,
    /// A fixed sequence for tests.
    Seeded(Mutex<u64>),
}

const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl Entropy {
    /// A fixed sequence that starts from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Mutex::new(seed))
    }

    /// 16 fresh bytes.
    ///
    /// # Panics
    /// If the machine has no randomness left to give, which no caller can mend.
    pub fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        match self {
            Self::System => {
                let filled = SystemRandom::new().fill(&mut bytes);
                assert!(filled.is_ok(), "the machine's random generator failed");
            }
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for half in bytes.chunks_mut(8) {
                    half.copy_from_slice(&splitmix(&mut state).to_be_bytes());
                }
            }
        }
        bytes
    }

    /// `length` (at most 16) letters and digits that are easy to read aloud.
    pub fn word(&self, length: usize) -> String {
        let bytes = self.bytes16();
        bytes.iter().take(length).map(|b| char::from(LETTERS[usize::from(b % 32)])).collect()
    }

    /// A random id in the form of a version 4 UUID.
    pub fn uuid(&self) -> String {
        let mut b = self.bytes16();
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(b));
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// One step of Sebastiano Vigna's `SplitMix64`.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_words_again() {
        assert_eq!(Entropy::seeded(7).word(8), Entropy::seeded(7).word(8));
        assert_ne!(Entropy::System.uuid(), Entropy::System.uuid());
    }
}
