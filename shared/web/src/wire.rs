//! What an office's configuration says of its wire: certificates, proxies, paces.
//!
//! What a reader would get wrong: whoever is the peer of a connection is not always who
//! asks. Behind a proxy that the configuration names, and only there, the header counts.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use axum::http::HeaderMap;
use kernel::sign::Hash;
use messaging::tls::{Tls, in_the_clear, leaves_the_machine};
use serde::{Deserialize, Serialize};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::TLS13,
    },
};

/// The wire of one office.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wire {
    /// Its certificate; without one it serves on this machine only.
    pub tls: Option<Tls>,
    /// The proxies whose `X-Forwarded-For` counts.
    pub proxies: Vec<IpAddr>,
    /// Requests of one person in a second, over a longer while.
    pub requests_per_second: u32,
    /// Attempts to sign in from one address in a minute.
    pub sign_ins_per_minute: u32,
    /// After how many seconds without a request a session ends.
    pub idle_seconds: u32,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            tls: None,
            proxies: Vec::new(),
            requests_per_second: 50,
            sign_ins_per_minute: 60,
            idle_seconds: 1800,
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| format!("{}: {error}", path.display()))?;
    if read.is_empty() {
        return Err(format!("{}: holds no certificate", path.display()));
    }
    Ok(read)
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(Arc::new(roots))
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Wire {
    /// The same without paces: where one person stands for many.
    pub fn unhurried() -> Self {
        Self { requests_per_second: 1_000_000, sign_ins_per_minute: 1_000_000, ..Self::default() }
    }

    /// Whether browsers come to the office by TLS, here or at a proxy before it.
    pub fn is_secret(&self) -> bool {
        self.tls.is_some() || !self.proxies.is_empty()
    }

    /// Whether this wire may carry what goes to these addresses, or why not.
    pub fn permits(&self, listen: &str, city: &str, hub: &str) -> Result<(), String> {
        if self.tls.is_none() && leaves_the_machine(listen) {
            return Err(format!(
                "{listen} is not on this machine's loopback: name a certificate (wire.tls) or listen on 127.0.0.1"
            ));
        }
        if in_the_clear(city, "https") {
            return Err(format!("{city} leaves this machine in the clear: use https://"));
        }
        if !hub.is_empty() && in_the_clear(hub, "tls") {
            return Err(format!("{hub} leaves this machine in the clear: use tls://"));
        }
        Ok(())
    }

    /// What takes connections in: TLS 1.3 only; whoever connects shows a certificate.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, String> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let roots = authorities(tls.clients())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let verifier =
            if tls.without_certificate { verifier.allow_unauthenticated() } else { verifier };
        let verifier = verifier.build().map_err(|error| error.to_string())?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&tls.certificate)?, key(&tls.key)?)
            .map_err(|error| format!("{}: {error}", tls.certificate.display()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// How the office asks others: it shows its own certificate.
    pub fn asks(&self) -> Result<Option<ClientConfig>, String> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities(&tls.authority)?)
            .with_client_auth_cert(certificates(&tls.certificate)?, key(&tls.key)?)
            .map_err(|error| format!("{}: {error}", tls.certificate.display()))?;
        Ok(Some(config))
    }
}

/// Asks whom this authority has signed, and shows no certificate of its own.
pub(crate) fn trusting(authority: &Path) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities(authority)?)
        .with_no_client_auth();
    Ok(config)
}

/// The fingerprint of a certificate: SHA-256 of its DER bytes.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Hash {
    Hash::of(&[certificate.as_ref()])
}

/// The fingerprint of the first certificate of a PEM text.
pub fn fingerprint_of(pem: &str) -> Option<Hash> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| fingerprint(&der))
}

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The fingerprint of the certificate that it showed.
    pub certificate: Option<Hash>,
}

impl Peer {
    /// From which address is asked: the peer's, or, if that is a proxy of the
    /// configuration, the last one of the header that is none.
    pub fn asks_from(&self, wire: &Wire, headers: &HeaderMap) -> IpAddr {
        let mut from = self.address.ip().to_canonical();
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let named = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
        for name in named {
            if !wire.proxies.contains(&from) {
                break;
            }
            let Ok(next) = name.trim().parse::<IpAddr>() else { break };
            from = next.to_canonical();
        }
        from
    }
}

/// Whose an address is: of the sixth version a whole network is one household's.
pub fn household(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(of) => IpAddr::from((u128::from(of) >> 64 << 64).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, proxies: &[&str], header: &[&str]) -> String {
        let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let wire = Wire { proxies, ..Wire::default() };
        let mut headers = HeaderMap::new();
        for line in header {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let address = SocketAddr::new(peer.parse().unwrap(), 1);
        Peer { address, certificate: None }.asks_from(&wire, &headers).to_string()
    }

    #[test]
    fn only_a_proxy_of_the_configuration_speaks_for_others() {
        assert_eq!(from("10.0.0.9", &[], &["10.1.1.1"]), "10.0.0.9", "nobody is a proxy");
        assert_eq!(from("10.0.0.9", &["10.0.0.1"], &["10.1.1.1"]), "10.0.0.9", "another is");
        assert_eq!(from("10.0.0.1", &["10.0.0.1"], &["10.1.1.1"]), "10.1.1.1");
        assert_eq!(from("10.0.0.1", &["10.0.0.1"], &["6.6.6.6, 10.1.1.1"]), "10.1.1.1", "the last");
        assert_eq!(from("10.0.0.1", &["10.0.0.1"], &["6.6.6.6", "10.1.1.1"]), "10.1.1.1");
        let two = ["10.0.0.1", "10.0.0.2"];
        assert_eq!(from("10.0.0.1", &two, &["6.6.6.6, 10.1.1.1, 10.0.0.2"]), "10.1.1.1");
        assert_eq!(from("10.0.0.1", &["10.0.0.1"], &["garbage"]), "10.0.0.1");
        assert_eq!(from("::ffff:10.0.0.1", &["10.0.0.1"], &["10.1.1.1"]), "10.1.1.1");
    }

    #[test]
    fn nothing_leaves_the_machine_in_the_clear() {
        let (wire, near) = (Wire::default(), "127.0.0.1:8400");
        let (city, hub) = ("http://127.0.0.1:8400", "nats://127.0.0.1:4222");
        assert!(wire.permits(near, city, hub).is_ok());
        assert!(wire.permits("0.0.0.0:8400", city, hub).is_err());
        assert!(wire.permits(near, "http://10.0.0.1:8400", hub).is_err());
        assert!(wire.permits(near, city, "nats://10.0.0.1:4222").is_err());
        assert!(wire.permits(near, "https://10.0.0.1:8400", "tls://10.0.0.1:4222").is_ok());
    }
}
