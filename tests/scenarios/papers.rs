//! Papers on networks that fail: what came is not sent again, and only the right whole
//! becomes a paper.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hyper::{HeaderMap, Method};
use kernel::{Entropy, OfficeId, clock::wall, sign::Hash};
use messaging::{keys::Keys, papers::MAX_PAPER};
use serde_json::{Value, json};
use tests::{
    chance::Chance,
    proxy::{Proxy, Way, Weather},
    town::{CITY, DISTRICT, TOWN, Town},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use web::client::Client;

const PIECE: usize = 256 * 1024;

fn paper(size: usize, seed: u64) -> (Vec<u8>, Hash) {
    let chance = Chance::new(seed);
    let mut bytes: Vec<u8> =
        (0..size.div_ceil(8)).flat_map(|_| chance.next().to_le_bytes()).collect();
    bytes.truncate(size);
    let hash = Hash::of(&[&bytes]);
    (bytes, hash)
}

/// An answer: status, headers, body.
struct Answer(u16, HeaderMap, Vec<u8>);

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.1.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.2).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

async fn ask(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Answer, String> {
    use http_body_util::BodyExt;
    let response = Client::default().open(method, url, headers, body).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Answer(parts.status.as_u16(), parts.headers, body.to_vec()))
}

fn range(first: usize, end: usize, total: usize) -> String {
    format!("bytes {first}-{}/{total}", end - 1)
}

/// A clerk of the township, who may reach the office by another port.
struct Clerk {
    token: String,
    url: String,
}

impl Clerk {
    fn of(town: &Town) -> Self {
        let id = OfficeId::parse(&town.id(TOWN)).unwrap();
        let token = deploy::token::make(&town.keys(TOWN), &id, "COM").unwrap();
        Self { token: format!("Bearer {token}"), url: town.url(TOWN) }
    }

    async fn ask(
        &self,
        method: Method,
        hash: &Hash,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut all = vec![("authorization", self.token.as_str())];
        all.extend_from_slice(headers);
        ask(method, &format!("{}/api/papers/{hash}", self.url), &all, body).await
    }

    async fn put(&self, hash: &Hash, at: &str, body: &[u8]) -> Result<Answer, String> {
        self.ask(Method::PUT, hash, &[("content-range", at)], body.to_vec()).await
    }

    /// Where it stands; `None` if it is whole.
    async fn stands(&self, hash: &Hash) -> Result<Option<usize>, String> {
        let answer = self.ask(Method::HEAD, hash, &[], Vec::new()).await?;
        Ok(match answer.0 {
            200 => None,
            404 => Some(answer.header("upload-offset").parse().unwrap()),
            other => panic!("{other}"),
        })
    }
}

/// A request to the hub that an office signs.
fn signed(
    town: &Town,
    code: &str,
    method: &Method,
    hash: &Hash,
    range: Option<&str>,
) -> Vec<(&'static str, String)> {
    let key = Keys::at(&town.keys(code)).unwrap().event_key(&Entropy::System).unwrap();
    let at = wall();
    let words = match range {
        None => format!("liandong paper v1\n{method}\n{hash}\n{at}"),
        Some(range) => format!("liandong paper v2\n{method}\n{hash}\n{range}\n{at}"),
    };
    let name = if *method == Method::PUT { "content-range" } else { "range" };
    let mut headers = vec![
        ("ld-office", town.id(code)),
        ("ld-time", at.to_string()),
        ("ld-signature", BASE64.encode(key.sign(words.as_bytes()))),
    ];
    headers.extend(range.map(|range| (name, range.to_owned())));
    headers
}

async fn at_hub(
    town: &Town,
    method: Method,
    hash: &Hash,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let url = format!("{}/hub/papers/{hash}", town.url(CITY));
    ask(method, &url, &headers, body.to_vec()).await.unwrap()
}

/// The township files a paper that its clerk has uploaded; the review's id at the district.
async fn file(town: &Town, hash: &Hash, period: &str) -> String {
    let api = town.api(TOWN);
    let new = json!({"set": "staff", "period": period, "due": "2024-06-30"});
    api.post("COM", "/api/filings", period, None, &new).await.unwrap();
    let filing = format!("{}-staff-{period}", town.id(TOWN));
    let path = format!("/api/filings/{filing}");
    let version = async || api.get("COM", &path).await.unwrap()["version"].to_string();
    let item = json!({"code": "A4", "hash": hash, "media": "application/pdf", "name": "a.pdf"});
    let at = version().await;
    api.post("COM", &format!("{path}/items"), &format!("i{period}"), Some(&at), &item)
        .await
        .unwrap();
    let at = version().await;
    api.post("COM", &format!("{path}/submit"), &format!("s{period}"), Some(&at), &json!({}))
        .await
        .unwrap();
    format!("{}-{filing}", town.id(DISTRICT))
}

async fn until_receipted(town: &Town, review: &str) {
    let path = format!("/api/filing-reviews/{review}");
    town.until("the filing is receipted", || async {
        let row = town.api(DISTRICT).get("FILE", &path).await.unwrap_or_default();
        row["state"] == "receipted"
    })
    .await;
}

/// How much of a file is there.
fn length(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn ratio(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap()) / f64::from(u32::try_from(MAX_PAPER).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_paper_arrives_over_connections_that_are_cut_again_and_again() {
    let town = Town::start().await;
    let (bytes, hash) = paper(MAX_PAPER, 1);
    let sent = town.api(TOWN).upload("COM", bytes.clone()).await.unwrap();
    assert_eq!(sent, hash.to_string());
    let (up, down) = (&town.roads[TOWN], &town.roads[DISTRICT]);
    for road in [up, down] {
        road.set(Weather::CutAfter(700_000));
    }
    let before = (up.carried(Way::ToHub), down.carried(Way::ToOffice));
    let review = file(&town, &hash, "2024").await;
    until_receipted(&town, &review).await;
    let sent = ratio(up.carried(Way::ToHub) - before.0);
    let fetched = ratio(down.carried(Way::ToOffice) - before.1);
    println!("sent {sent:.3}, fetched {fetched:.3} of its size");
    assert!(sent > 1.0 && sent < 1.2, "{sent}");
    assert!(fetched > 1.0 && fetched < 1.2, "{fetched}");
    let name = hash.to_string();
    let there = town.data(DISTRICT).join("papers").join(&name[..2]).join(&name);
    assert_eq!(std::fs::read(there).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_hub_and_receiver_may_all_start_again_in_the_middle() {
    let mut town = Town::start().await;
    let (bytes, hash) = paper(MAX_PAPER, 2);
    town.api(TOWN).upload("COM", bytes).await.unwrap();
    for code in [TOWN, DISTRICT] {
        town.roads[code].set(Weather::Slow(8));
    }
    let before =
        (town.roads[TOWN].carried(Way::ToHub), town.roads[DISTRICT].carried(Way::ToOffice));
    let review = file(&town, &hash, "2024").await;
    let partial = |office: &str, folder: &str, sender: String| {
        town.data(office).join(folder).join(sender).join(hash.to_string())
    };
    let at_hub = partial(CITY, "hub/papers.partial", format!("office-{}", town.id(TOWN)));
    let fetched = partial(DISTRICT, "papers.partial", "hub".to_owned());
    let size = MAX_PAPER as u64;
    town.until("a quarter is at the hub", || async { length(&at_hub) > size / 4 }).await;
    town.stop_office(TOWN).await;
    town.start_office(TOWN).await;
    town.until("half is at the hub", || async { length(&at_hub) > size / 2 }).await;
    town.stop_office(CITY).await;
    assert!(length(&at_hub) >= size / 2, "what came is kept");
    town.start_office(CITY).await;
    town.until("a half is at the receiver", || async { length(&fetched) > size / 2 }).await;
    town.stop_office(DISTRICT).await;
    assert!(length(&fetched) >= size / 2, "what came is kept");
    town.start_office(DISTRICT).await;
    until_receipted(&town, &review).await;
    let sent = ratio(town.roads[TOWN].carried(Way::ToHub) - before.0);
    let back = ratio(town.roads[DISTRICT].carried(Way::ToOffice) - before.1);
    println!("sent {sent:.3}, fetched {back:.3} of its size");
    assert!(sent < 1.2, "{sent}");
    assert!(back < 1.2, "{back}");
    assert!(!at_hub.exists() && !fetched.exists(), "nothing is left over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_goes_on_where_the_connection_ended_both_ways() {
    let mut town = Town::start().await;
    let (bytes, hash) = paper(3_000_000, 3);
    let mut clerk = Clerk::of(&town);
    let road = Proxy::seeded(clerk.url.rsplit(':').next().unwrap().parse().unwrap(), 3).await;
    clerk.url = format!("http://127.0.0.1:{}", road.port);
    // Fewer bytes than a piece has: no piece ever arrives in one go.
    road.set(Weather::CutAfter(150_000));
    let (mut cuts, mut restarts) = (0, 0);
    loop {
        let Ok(stands) = clerk.stands(&hash).await else { continue };
        let Some(have) = stands else { break };
        if have > bytes.len() / 2 && restarts == 0 {
            restarts += 1;
            town.stop_office(TOWN).await;
            town.start_office(TOWN).await;
            let after = clerk.stands(&hash).await.unwrap().unwrap();
            assert!(after >= have, "{after} of {have} after the restart");
        }
        let first = have.min(bytes.len() - 1);
        let end = (first + PIECE).min(bytes.len());
        let sent = clerk.put(&hash, &range(first, end, bytes.len()), &bytes[first..end]).await;
        if let Ok(answer) = sent {
            assert!(matches!(answer.0, 200..=202 | 409), "{}", answer.code());
        } else {
            cuts += 1;
            assert!(cuts < 300, "it never arrives");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let sent = road.carried(Way::ToHub);
    assert!(cuts > 10 && restarts == 1, "{cuts} cuts");
    assert!(sent < 6_000_000, "{sent} bytes, where {cuts} restarts from zero would be 60 MB");

    // Back the same way.
    let tag = format!("\"{hash}\"");
    let mut got = Vec::new();
    while got.len() < bytes.len() {
        let from = format!("bytes={}-{}", got.len(), got.len() + 99_999);
        let asked = [("range", from.as_str()), ("if-range", tag.as_str())];
        let Ok(answer) = clerk.ask(Method::GET, &hash, &asked, Vec::new()).await else { continue };
        assert_eq!((answer.0, answer.header("etag")), (206, tag.as_str()));
        let end = (got.len() + 100_000).min(bytes.len());
        assert_eq!(answer.header("content-range"), range(got.len(), end, bytes.len()));
        got.extend(answer.2);
    }
    assert_eq!(got, bytes);
    road.heal();
    let beyond = [("range", "bytes=3000000-")];
    let answer = clerk.ask(Method::GET, &hash, &beyond, Vec::new()).await.unwrap();
    assert_eq!((answer.0, answer.code().as_str()), (416, "range-not-satisfiable"));
    assert_eq!(answer.header("content-range"), "bytes */3000000");
    let other = [("range", "bytes=5-9"), ("if-range", "\"other\"")];
    let answer = clerk.ask(Method::GET, &hash, &other, Vec::new()).await.unwrap();
    assert_eq!((answer.0, answer.2.len()), (200, bytes.len()));
    let answer = clerk.ask(Method::HEAD, &hash, &[], Vec::new()).await.unwrap();
    assert_eq!((answer.0, answer.header("content-length")), (200, "3000000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_follow_is_refused_and_nothing_is_lost_by_it() {
    let town = Town::start().await;
    let (bytes, hash) = paper(300_000, 4);
    let clerk = Clerk::of(&town);
    let put = async |at: &str, body: &[u8]| {
        let answer = clerk.put(&hash, at, body).await.unwrap();
        (answer.0, answer.code(), answer.header("upload-offset").to_owned())
    };
    let is = |answer: (u16, String, String), status: u16, code: &str, have: &str| {
        assert_eq!((answer.0, answer.1.as_str(), answer.2.as_str()), (status, code, have));
    };
    is(put("bytes 100-199/300000", &bytes[100..200]).await, 409, "paper-piece-misplaced", "0");
    is(put("bytes 0-99999/300000", &bytes[..100_000]).await, 202, "", "100000");
    is(
        put("bytes 0-99999/300000", &bytes[..100_000]).await,
        409,
        "paper-piece-misplaced",
        "100000",
    );
    is(put("bytes 100000-199999/20971521", &bytes[..100_000]).await, 413, "too-large", "");
    for unclear in ["bytes 5-4/300000", "bytes 0-300000/300000", "bytes */300000", "x"] {
        is(put(unclear, &bytes[..1]).await, 400, "bad-request", "");
    }
    is(put("bytes 100000-100009/300000", &bytes[..3]).await, 400, "bad-request", "");
    assert_eq!(clerk.stands(&hash).await.unwrap(), Some(100_000), "as it was");

    // A stray request does not stop the one at work.
    let address = clerk.url.replace("http://", "");
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT /api/papers/{hash} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\
         content-range: bytes 100000-149999/300000\r\ncontent-length: 50000\r\n\r\n",
        clerk.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&bytes[100_000..120_000]).await.unwrap();
    town.until("it is at work", || async { clerk.stands(&hash).await.unwrap() == Some(120_000) })
        .await;
    is(
        put("bytes 0-99999/300000", &bytes[..100_000]).await,
        409,
        "paper-piece-misplaced",
        "120000",
    );
    slow.write_all(&bytes[120_000..150_000]).await.unwrap();
    let mut answer = [0; 13];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202 ");

    // The wrong whole is thrown away, counted, and is not the paper.
    let wrong = put("bytes 150000-299999/300000", &bytes[..150_000]).await;
    is(wrong, 422, "paper-mismatch", "0");
    assert_eq!(clerk.stands(&hash).await.unwrap(), Some(0));
    let answer = clerk.ask(Method::GET, &hash, &[], Vec::new()).await.unwrap();
    assert_eq!(answer.0, 404);
    let seen = town.api(TOWN).get("SYS", "/api/operations").await.unwrap();
    assert_eq!(seen["intake"]["paper-mismatch"], 1, "{seen}");
    let whole = clerk.ask(Method::PUT, &hash, &[], bytes[1..].to_vec()).await.unwrap();
    assert_eq!((whole.0, whole.code().as_str()), (422, "paper-mismatch"));

    // All came, and then the process ended before it looked at the whole: the last piece,
    // sent again, asks for that.
    is(put("bytes 0-99999/300000", &bytes[..100_000]).await, 202, "", "100000");
    let partial = town.data(TOWN).join("papers.partial");
    let mut senders = std::fs::read_dir(&partial).unwrap().map(|entry| entry.unwrap().path());
    let sender = senders.find(|path| path.join(hash.to_string()).exists()).unwrap();
    std::fs::write(sender.join(hash.to_string()), &bytes).unwrap();
    assert_eq!(clerk.stands(&hash).await.unwrap(), Some(300_000));
    is(put("bytes 299999-299999/300000", &bytes[299_999..]).await, 201, "", "");
    is(put("bytes 0-299999/300000", &bytes).await, 200, "", "");
    assert_eq!(clerk.stands(&hash).await.unwrap(), None);
    let seen = town.api(TOWN).get("SYS", "/api/operations").await.unwrap();
    assert_eq!(seen["papers"]["unfinished"], 0, "{seen}");
    assert!(
        !partial.join("whole").exists()
            || std::fs::read_dir(partial.join("whole")).unwrap().next().is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_takes_only_what_an_office_signed_for_a_paper_it_was_named_for() {
    let mut town = Town::start().await;
    let (bytes, hash) = paper(300_000, 5);
    let (first, rest) = (range(0, 100_000, 300_000), range(100_000, 300_000, 300_000));
    let code = |answer: Answer| (answer.0, answer.code());
    let put = Method::PUT;

    // Before an entry names it, nobody may.
    let early = signed(&town, TOWN, &put, &hash, Some(&first));
    let answer = at_hub(&town, Method::PUT, &hash, &early, &bytes[..100_000]).await;
    assert_eq!(code(answer), (404, "paper-unauthorised".to_owned()));

    // The office's own transfer is kept away, so that this test can be the office.
    town.roads[TOWN].cut();
    town.api(TOWN).upload("COM", bytes.clone()).await.unwrap();
    let review = file(&town, &hash, "2024").await;
    let grants = town.data(CITY).join("hub/grants").join(hash.to_string()).join(town.id(TOWN));
    town.until("the entry is at the hub", || async { grants.exists() }).await;
    let piece = signed(&town, TOWN, &put, &hash, Some(&first));
    let answer = at_hub(&town, Method::PUT, &hash, &piece, &bytes[..100_000]).await;
    assert_eq!((answer.0, answer.header("upload-offset")), (202, "100000"));

    // Caught, the signature is good for nothing else: not again, not for other bytes, not
    // for the whole, not to fetch.
    let again = at_hub(&town, Method::PUT, &hash, &piece, &vec![7; 100_000]).await;
    assert_eq!((again.0, again.header("upload-offset")), (409, "100000"));
    let mut moved = piece.clone();
    moved[3].1.clone_from(&rest);
    let moved = at_hub(&town, Method::PUT, &hash, &moved, &bytes[100_000..]).await;
    assert_eq!(code(moved), (401, "not-signed-in".to_owned()));
    let whole = at_hub(&town, Method::PUT, &hash, &piece[..3], &bytes).await;
    assert_eq!(code(whole), (401, "not-signed-in".to_owned()));
    let fetched = at_hub(&town, Method::GET, &hash, &piece[..3], &[]).await;
    assert_eq!(code(fetched), (401, "not-signed-in".to_owned()));

    // The city's inspection office was not named: it is not told that there is something.
    for (method, at) in
        [(Method::PUT, Some(rest.as_str())), (Method::GET, None), (Method::HEAD, None)]
    {
        let other = signed(&town, CITY, &method, &hash, at);
        let body = if at.is_some() { &bytes[100_000..] } else { &[] };
        let answer = at_hub(&town, method, &hash, &other, body).await;
        assert_eq!((answer.0, answer.header("upload-offset")), (404, ""));
    }

    // Wrong bytes from the right office are thrown away; the right ones arrive, over a
    // restart of the hub.
    let piece = signed(&town, TOWN, &put, &hash, Some(&rest));
    let wrong = at_hub(&town, Method::PUT, &hash, &piece, &vec![7; 200_000]).await;
    assert_eq!(code(wrong), (422, "paper-mismatch".to_owned()));
    let piece = signed(&town, TOWN, &put, &hash, Some(&first));
    let answer = at_hub(&town, Method::PUT, &hash, &piece, &bytes[..100_000]).await;
    assert_eq!(answer.0, 202);
    town.stop_office(CITY).await;
    town.start_office(CITY).await;
    let look = signed(&town, TOWN, &Method::HEAD, &hash, None);
    let answer = at_hub(&town, Method::HEAD, &hash, &look, &[]).await;
    assert_eq!((answer.0, answer.header("upload-offset")), (404, "100000"));
    // The receiver has all of some other bytes: it throws them away and fetches the paper.
    let fetched = town.data(DISTRICT).join("papers.partial/hub");
    std::fs::create_dir_all(&fetched).unwrap();
    std::fs::write(fetched.join(hash.to_string()), vec![7; 300_000]).unwrap();
    let piece = signed(&town, TOWN, &put, &hash, Some(&rest));
    let answer = at_hub(&town, Method::PUT, &hash, &piece, &bytes[100_000..]).await;
    assert_eq!(answer.0, 204);
    until_receipted(&town, &review).await;
    let seen = town.api(DISTRICT).get("SYS", "/api/operations").await.unwrap();
    assert_eq!(seen["intake"]["paper-mismatch"], 1, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paper_that_the_hub_lost_or_spoiled_comes_again() {
    let town = Town::start().await;
    let (bytes, hash) = paper(100_000, 7);
    town.api(TOWN).upload("COM", bytes.clone()).await.unwrap();
    town.roads[DISTRICT].cut();
    let review = file(&town, &hash, "2024").await;
    let name = hash.to_string();
    let at_hub = town.data(CITY).join("hub/papers").join(&name[..2]).join(&name);
    town.until("it is at the hub", || async { at_hub.exists() }).await;
    std::fs::write(&at_hub, vec![7; 100_000]).unwrap();
    town.roads[DISTRICT].heal();
    until_receipted(&town, &review).await;
    let spoiled = at_hub.with_extension("spoiled");
    assert!(spoiled.exists() && std::fs::read(&at_hub).unwrap() == bytes);
}

/// A demo city of processes, as `deploy/up` starts it.
struct Processes {
    up: std::process::Child,
    data: std::path::PathBuf,
}

impl Processes {
    fn start() -> Self {
        let folder = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set");
        let data = std::env::temp_dir().join(format!("liandong-killed-{}", std::process::id()));
        let mut up = std::process::Command::new(std::path::Path::new(&folder).join("liandong"));
        up.arg("--data").arg(&data);
        up.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        Self { up: up.spawn().unwrap(), data }
    }

    fn township(&self) -> Option<Value> {
        let up = std::fs::read(self.data.join("run/up.json")).ok()?;
        let up: Value = serde_json::from_slice(&up).ok()?;
        let mut offices = up["offices"].as_array()?.iter();
        offices.find(|office| office["tier"] == "township").cloned()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _ =
            std::process::Command::new("kill").arg("-INT").arg(self.up.id().to_string()).status();
        let _ = self.up.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_in_the_middle_of_a_piece_has_what_came() {
    let city = Processes::start();
    let began = std::time::Instant::now();
    let wait = async || {
        assert!(began.elapsed() < Duration::from_mins(3), "it does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    while city.township().is_none() {
        wait().await;
    }
    let office = city.township().unwrap();
    let text = |name: &str| office[name].as_str().unwrap().to_owned();
    let id = OfficeId::parse(&text("id")).unwrap();
    let token = deploy::token::make(std::path::Path::new(&text("keys")), &id, "COM").unwrap();
    let clerk = Clerk { token: format!("Bearer {token}"), url: text("url") };
    let (bytes, hash) = paper(1_000_000, 6);
    let mut slow = TcpStream::connect(clerk.url.replace("http://", "")).await.unwrap();
    let head = format!(
        "PUT /api/papers/{hash} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\
         content-range: bytes 0-999999/1000000\r\ncontent-length: 1000000\r\n\r\n",
        clerk.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&bytes[..600_000]).await.unwrap();
    while clerk.stands(&hash).await != Ok(Some(600_000)) {
        wait().await;
    }
    let pid = office["pid"].to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let have = loop {
        match clerk.stands(&hash).await {
            Ok(have) => break have,
            Err(_) => wait().await,
        }
    };
    assert_eq!(have, Some(600_000), "after a kill");
    let rest = range(600_000, 1_000_000, 1_000_000);
    let answer = clerk.put(&hash, &rest, &bytes[600_000..]).await.unwrap();
    assert_eq!(answer.0, 201, "{}", answer.code());
    let answer = clerk.ask(Method::GET, &hash, &[], Vec::new()).await.unwrap();
    assert_eq!(answer.2, bytes);
}
