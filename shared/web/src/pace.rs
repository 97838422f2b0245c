//! How fast one person, or one address that signs in, may ask.

use std::{net::IpAddr, num::NonZeroU32};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use kernel::Code;

use crate::wire::{Wire, household};

/// How many seconds' worth of requests may come at once.
const BURST: u32 = 10;
/// From how many remembered on those who asked little are forgotten.
const MANY: usize = 10_000;

/// The paces of one office.
#[derive(Debug)]
pub struct Pace {
    persons: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl Pace {
    /// The paces that the wire names.
    pub fn of(wire: &Wire) -> Self {
        let (each, tries) = (wire.requests_per_second, wire.sign_ins_per_minute);
        let persons = Quota::per_second(some(each)).allow_burst(some(each.saturating_mul(BURST)));
        Self {
            persons: RateLimiter::keyed(persons),
            addresses: RateLimiter::keyed(Quota::per_minute(some(tries))),
        }
    }

    /// Counts a request of a person.
    pub fn person(&self, person: &str) -> Result<(), Code> {
        if self.persons.len() > MANY {
            self.persons.retain_recent();
        }
        self.persons.check_key(&person.to_owned()).map_err(|_| Code::TooManyRequests)
    }

    /// Counts an attempt to sign in.
    pub fn sign_in(&self, from: IpAddr) -> Result<(), Code> {
        if self.addresses.len() > MANY {
            self.addresses.retain_recent();
        }
        self.addresses.check_key(&household(from)).map_err(|_| Code::TooManyRequests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_pace_of_his_own() {
        let wire = Wire { requests_per_second: 2, sign_ins_per_minute: 3, ..Wire::default() };
        let pace = Pace::of(&wire);
        let came = (0..50).filter(|_| pace.person("p1").is_ok()).count();
        assert!((20..25).contains(&came), "{came}");
        assert!(pace.person("p2").is_ok());
        let from = |n: u8| IpAddr::from([10, 0, 0, n]);
        assert_eq!((0..9).filter(|_| pace.sign_in(from(1)).is_ok()).count(), 3);
        assert!(pace.sign_in(from(2)).is_ok());
        let of = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        assert_eq!((0..9).filter(|n| pace.sign_in(of(*n)).is_ok()).count(), 3);
    }
}
