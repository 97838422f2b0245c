//! Who an office is on the wire: the files of its certificate, and by whom others are known.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The certificate by which an office serves and asks; every file is PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, the office's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of the city, the hub and the other offices.
    pub authority: PathBuf,
    /// Who signs the certificates of those who may connect; without it, `authority`.
    #[serde(default)]
    pub clients: Option<PathBuf>,
    /// Whether somebody without a certificate may connect too.
    #[serde(default)]
    pub without_certificate: bool,
}

impl Tls {
    /// Who signs the certificates of those who may connect.
    pub fn clients(&self) -> &PathBuf {
        self.clients.as_ref().unwrap_or(&self.authority)
    }
}

/// Whether an address `host:port` or `scheme://host:port` leaves this machine.
pub fn leaves_the_machine(address: &str) -> bool {
    let place = address.split_once("://").map_or(address, |(_, place)| place);
    let place = place.split(['/', '?', '#']).next().unwrap_or_default();
    // Who signs in there stands before the place.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    !(host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
}

/// Whether an address, or one of several with commas between them, leaves this machine
/// by another scheme than the one that is secret on the way.
pub fn in_the_clear(addresses: &str, secret: &str) -> bool {
    addresses.split(',').map(str::trim).any(|address| {
        leaves_the_machine(address)
            && address.split_once("://").is_none_or(|(scheme, _)| scheme != secret)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_stays_on_this_machine() {
        for near in ["127.0.0.1:8400", "http://127.8.9.1:80/x", "localhost:1", "[::1]:8400"] {
            assert!(!leaves_the_machine(near), "{near}");
        }
        for far in ["0.0.0.0:8400", "10.0.0.5:8400", "https://city.example:443", "[::]:80", ""] {
            assert!(leaves_the_machine(far), "{far}");
        }
        // A name that begins like loopback, and an address that is none.
        assert!(leaves_the_machine("http://localhost.example:80"));
        assert!(leaves_the_machine("http://127.0.0.1.example:80"));
        assert!(leaves_the_machine("nats://127.0.0.1:x@hub.example"));
        assert!(leaves_the_machine("http://127.0.0.1:80@city.example"));
    }

    #[test]
    fn of_several_addresses_each_is_asked() {
        assert!(!in_the_clear("nats://127.0.0.1:4222, tls://10.0.0.2:4222", "tls"));
        assert!(in_the_clear("tls://10.0.0.1:4222,nats://10.0.0.2:4222", "tls"));
        assert!(in_the_clear("10.0.0.1:4222", "tls"));
    }
}
