//! Chance with a seed: the same seed makes the same choices in the same order.

use std::sync::atomic::{AtomicU64, Ordering};

/// A sequence of choices (`SplitMix64`).
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `most`, which is not 0.
    pub fn below(&self, most: u64) -> u64 {
        self.next() % most
    }

    /// A place in something of this length, which is not 0.
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True once in `of` times.
    pub fn once_in(&self, of: usize) -> bool {
        self.index(of) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// A sequence of its own: who uses it does not change what others get.
    #[must_use]
    pub fn part(&self) -> Self {
        Self::new(self.next())
    }

    /// The same things in another order.
    pub fn shuffled<T: Clone>(&self, of: &[T]) -> Vec<T> {
        let mut keyed: Vec<(u64, T)> = of.iter().map(|it| (self.next(), it.clone())).collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, it)| it).collect()
    }
}
