//! The wire: what leaves the machine is secret, and whoever connects shows who he is.

use std::sync::Arc;

use hyper::Method;
use messaging::{nats::connection::Connection, tls::Tls};
use serde_json::json;
use tests::{
    authority::Authority,
    town::{CITY, DISTRICT, Secrecy, Town},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        version,
    },
};
use web::{Wire, client::Client};

use crate::signing_in::{Door, PASSWORD, text};

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// What a client of this configuration hears at an office.
async fn hears(port: u16, config: ClientConfig) -> Result<String, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|e| e.to_string())?;
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|e| e.to_string())?;
    let ask = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(ask).await.map_err(|e| e.to_string())?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.map_err(|e| e.to_string())?;
    Ok(heard)
}

/// A client with the certificate of somebody, and TLS of these versions.
fn client(
    trusted: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    shown: Option<&Authority>,
) -> ClientConfig {
    let tls = shown.unwrap_or(trusted).issue("caller", false);
    let pem = |path| std::fs::read(path).unwrap();
    let mut roots = RootCertStore::empty();
    let root = std::fs::read(trusted.folder().join("authority.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    if shown.is_none() {
        return config.with_no_client_auth();
    }
    let chain = vec![CertificateDer::from_pem_slice(&pem(&tls.certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&pem(&tls.key)).unwrap();
    config.with_client_auth_cert(chain, key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_city_speaks_in_secret_to_whoever_shows_a_certificate() {
    let town = Town::secret().await;
    let authority = town.authority.as_ref().unwrap();
    // A fact goes its whole way: over HTTPS to the district, over TLS to the hub, to the city.
    let unit = json!([{"number": "o1", "name": "县直单位001", "level": "county",
        "valid_from": "2021-12-01"}]);
    let district = town.api(DISTRICT);
    district.post("PLAN", "/api/organizations", "u", None, &unit).await.unwrap();
    let round = json!({"number": "r1", "name": "r1", "kind": "regular", "organisation": "own",
        "reach": "direct"});
    let planned = district.post("PLAN", "/api/rounds", "r1", None, &round).await;
    planned.unwrap();
    town.until("the city hears the district over TLS", || async {
        let heard = town.api(CITY).get("SYS", "/api/neighbours").await.unwrap();
        heard.as_array().unwrap().iter().any(|n| !n["last_heard"].is_null())
    })
    .await;
    for office in [CITY, DISTRICT] {
        let port = port(&town.url(office));
        let good = client(authority, &[&version::TLS13], Some(authority));
        assert!(hears(port, good).await.unwrap().starts_with("HTTP/1.1 200"));
        let old = client(authority, &[&version::TLS12], Some(authority));
        assert!(hears(port, old).await.is_err(), "TLS 1.2");
        let nobody = client(authority, &[&version::TLS13], None);
        assert!(hears(port, nobody).await.is_err(), "no certificate");
        let other = Authority::at(&town.folder.join("other"));
        let stranger = client(authority, &[&version::TLS13], Some(&other));
        assert!(hears(port, stranger).await.is_err(), "another authority");
        let plain = format!("http://127.0.0.1:{port}/health/live");
        let reply = Client::default().send(Method::GET, &plain, &[], Vec::new()).await;
        assert!(reply.is_err(), "in the clear");
    }
    // The hub knows nobody without a certificate, whatever his credentials say.
    let hub = format!("tls://{}", town.hub_url().trim_start_matches("nats://"));
    let creds = std::fs::read_to_string(town.keys(DISTRICT).join("nats.creds")).unwrap();
    let id = town.id(DISTRICT);
    let certified = authority.issue("caller", false);
    // The stranger knows the hub, so that it is the hub who refuses.
    let other = Authority::at(&town.folder.join("other"));
    let stranger = Tls { authority: certified.authority.clone(), ..other.issue("x", false) };
    for (tls, comes_in) in [(&stranger, false), (&certified, true)] {
        let mut link = Connection::open(&hub, &id, &creds, Some(tls)).await.unwrap();
        let ready = tokio::time::timeout(std::time::Duration::from_secs(3), link.ready()).await;
        assert_eq!(ready.is_ok_and(|ready| ready.is_ok()), comes_in, "with {tls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_a_pace_of_his_own() {
    let wire = Wire { requests_per_second: 2, ..Wire::unhurried() };
    let town = Town::real_city_on(wire, Secrecy::Plain).await;
    let door = Door { town: &town, client: Client::default() };
    let mut tokens = Vec::new();
    for account in ["file", "plan"] {
        let body = json!({"link": door.link(account), "password": PASSWORD});
        tokens.push(text(&door.sign_in(body).await, "token"));
    }
    let mut said = Vec::new();
    for _ in 0..40 {
        said.push(door.get("/api/sessions", &tokens[0]).await.status);
    }
    let came = said.iter().filter(|status| **status == 200).count();
    assert!((19..30).contains(&came) && said.contains(&429), "{said:?}");
    assert_eq!(door.get("/api/sessions", &tokens[1]).await.status, 200, "another is not held up");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_known_proxy_each_address_has_its_own_pace() {
    let wire = Wire {
        sign_ins_per_minute: 3,
        proxies: vec!["127.0.0.1".parse().unwrap()],
        ..Wire::default()
    };
    let town = Town::real_city_on(wire, Secrecy::Plain).await;
    let (client, url) = (Client::default(), format!("{}/api/sign-in", town.url(CITY)));
    let mut said = Vec::new();
    for from in ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "6.6.6.6, 10.0.0.1"] {
        let body = json!({"account": "nobody", "password": "x"}).to_string().into_bytes();
        let headers = [("x-forwarded-for", from)];
        said.push(client.send(Method::POST, &url, &headers, body).await.unwrap().status);
    }
    assert_eq!(said, [401, 401, 401, 429, 401, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_and_an_address_have_a_pace() {
    let wire = Wire { requests_per_second: 2, sign_ins_per_minute: 5, ..Wire::default() };
    let town = Town::real_city_on(wire, Secrecy::Plain).await;
    let client = Client::default();
    let url = town.url(CITY);
    let body = || json!({"account": "nobody", "password": "x"}).to_string().into_bytes();
    let mut said = Vec::new();
    for _ in 0..8 {
        let reply = client.send(Method::POST, &format!("{url}/api/sign-in"), &[], body()).await;
        said.push(reply.unwrap().json()["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(said[..5], ["bad-credentials"; 5]);
    assert_eq!(said[5..], ["too-many-requests"; 3]);
    // A header that names another address counts for nothing without a proxy.
    let forged = [("x-forwarded-for", "10.9.8.7")];
    let reply = client.send(Method::POST, &format!("{url}/api/sign-in"), &forged, body()).await;
    assert_eq!(reply.unwrap().json()["code"], "too-many-requests");
}
