//! 封存 What is sealed stays so: marked secrets through a whole town, an identity that two
//! open and that is destroyed for ever.

use std::{fs, path::Path};

use kernel::sealed::Scope;
use serde_json::{Value, json};
use tests::{
    chancery::Chancery,
    town::{CITY, DISTRICT, TOWN, Town},
};

/// One secret in every form in which it could lie about.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
    let wide: Vec<u16> = secret.encode_utf16().collect();
    let escaped = wide.iter().fold(String::new(), |all, unit| all + &format!("\\u{unit:04x}"));
    let mut all = vec![
        bytes.to_vec(),
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        wide.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        escaped.into_bytes(),
    ];
    // In base64 a text looks in three ways, by where it begins.
    for before in 0..3 {
        let text = BASE64.encode([&b"   "[..before], bytes].concat());
        let clean = &text[[0, 2, 3][before]..text.len() - 4];
        all.push(clean.as_bytes().to_vec());
    }
    all
}

/// Where any of the secrets lies below a folder, and how many files and bytes were read.
fn found(folder: &Path, secrets: &[String]) -> (Vec<String>, usize, usize) {
    let needles: Vec<(usize, Vec<u8>)> = secrets
        .iter()
        .enumerate()
        .flat_map(|(at, secret)| forms(secret).into_iter().map(move |form| (at, form)))
        .collect();
    let (mut hits, mut files, mut read) = (Vec::new(), 0, 0);
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for item in fs::read_dir(&next).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let Ok(bytes) = fs::read(&path) else { continue };
            (files, read) = (files + 1, read + bytes.len());
            hits.extend(
                hits_in(&bytes, &needles).map(|at| format!("{}: {}", path.display(), secrets[at])),
            );
        }
    }
    (hits, files, read)
}

/// Which secrets are in these bytes: every form begins with four bytes that are looked for
/// all at once.
fn hits_in<'n>(
    bytes: &[u8],
    needles: &'n [(usize, Vec<u8>)],
) -> impl Iterator<Item = usize> + use<'n> {
    let mut at_hand: std::collections::HashMap<[u8; 4], Vec<&(usize, Vec<u8>)>> =
        std::collections::HashMap::new();
    for needle in needles {
        at_hand.entry(needle.1[..4].try_into().unwrap()).or_default().push(needle);
    }
    let mut hits = std::collections::BTreeSet::new();
    for (place, window) in bytes.windows(4).enumerate() {
        let key: [u8; 4] = window.try_into().unwrap();
        for (which, needle) in at_hand.get(&key).into_iter().flatten() {
            if bytes[place..].starts_with(needle) {
                hits.insert(*which);
            }
        }
    }
    hits.into_iter()
}

fn secret(number: usize) -> String {
    format!("Qz{:08x}xK{number:04}", number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_marked_secret_is_found_anywhere_in_the_clear() {
    let mut town = Town::start().await;
    let mut secrets: Vec<String> = Vec::new();
    let mut mark = || {
        secrets.push(secret(secrets.len()));
        secrets.last().unwrap().clone()
    };
    {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        for (office, authority) in [(DISTRICT, json!("own")), (CITY, json!("upper"))] {
            let registry = desk.hire_signer(office, "NDI_REG", "office").await;
            for _ in 0..10 {
                let id = marked_clue(&desk, &team, &authority, &mut mark).await;
                for step in ["seal", "offer"] {
                    desk.done(&team.custodian, &format!("/api/clues/{id}/{step}"), json!({})).await;
                }
                let case = desk.delivered(&registry, &id).await;
                let at = format!("/api/clue-cases/{case}");
                let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
                assert_eq!(accepted.status, 200, "{}", accepted.json());
            }
        }
        let liaison = desk.hire(DISTRICT, "LO", &format!("round:{}", team.round)).await;
        for _ in 0..20 {
            let sender = json!({"name": mark(), "contact": mark(), "other": mark()});
            let new = json!({"round": team.round, "task": "k1", "sender": sender});
            desk.done(&liaison, "/api/identities", new).await;
        }
        // A body that does not fit is refused, and what it held is not kept either.
        let bad =
            json!({"round": team.round, "task": "k1", "sender": {"name": mark(), "x": mark()}});
        assert_eq!(desk.post(&liaison, "/api/identities", bad).await.status, 422);
        for office in [CITY, DISTRICT, TOWN] {
            let metrics = town.api(office).get("SYS", "/api/operations").await.unwrap().to_string();
            assert!(secrets.iter().all(|secret| !metrics.contains(secret)));
        }
    }
    for office in [TOWN, DISTRICT, CITY] {
        town.stop_office(office).await;
    }
    town.kill_hub().await;
    assert!(secrets.len() >= 140, "{}", secrets.len());
    let (hits, files, bytes) = found(&town.folder, &secrets);
    eprintln!(
        "{} secrets, 9 forms, {files} files, {bytes} bytes, {} hits",
        secrets.len(),
        hits.len()
    );
    assert_eq!(hits, Vec::<String>::new());
    // The search itself finds what is there, in each form.
    let planted = town.folder.join("planted");
    for form in forms(&secrets[7]) {
        fs::write(&planted, [b"abc", form.as_slice(), b"def"].concat()).unwrap();
        assert_eq!(found(&town.folder, &secrets).0.len(), 1);
    }
}

async fn marked_clue(
    desk: &Chancery<'_>,
    team: &tests::chancery::Team,
    authority: &Value,
    mark: &mut impl FnMut() -> String,
) -> String {
    let mut draft = Chancery::draft_of(team, authority, "");
    draft["saying"] = json!({"objects": [{"name": mark(), "post": mark()}], "text": mark(),
        "evidence": [mark()]});
    let made = desk.done(&team.member, "/api/clues", draft).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let judged = json!({"quality": "checkable", "with": [team.member.person]});
    desk.done(&team.leader, &format!("/api/clues/{id}/discuss"), judged).await;
    for signer in [&team.leader, &team.member] {
        let body = json!({"content": made["content"]});
        let signed = desk.signed(signer, &format!("/api/clues/{id}/sign"), body).await;
        assert_eq!(signed.status, 200, "{}", signed.json());
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_opens_for_two_and_is_destroyed_for_ever() {
    let mut town = Town::start().await;
    let id = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let liaison = desk.hire(DISTRICT, "LO", &format!("round:{}", team.round)).await;
        let sender = json!({"name": "某举报人", "contact": "13900000000", "other": ""});
        let new = json!({"round": team.round, "task": "k1", "sender": sender});
        let made = desk.done(&liaison, "/api/identities", new).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let at = format!("/api/identities/{id}");
        let content = format!("{at}/content");
        // Who sealed it does not read it back; neither does anybody alone.
        assert_eq!(desk.get(&liaison, &content).await.status, 403);
        for alone in [&team.leader, &team.custodian] {
            assert_eq!(desk.get(alone, &content).await.json()["code"], "identity-not-opened");
        }
        desk.done(&team.leader, &format!("{at}/ask"), json!({"reason": "tell-result"})).await;
        let same = desk.post(&team.leader, &format!("{at}/open"), json!({})).await;
        assert_eq!(same.json()["code"], "same-person");
        let second = desk.hire(DISTRICT, "TL", &format!("round:{}", team.round)).await;
        let same = desk.post(&second, &format!("{at}/open"), json!({})).await;
        assert_eq!(same.json()["code"], "same-organ");
        desk.done(&team.custodian, &format!("{at}/open"), json!({})).await;
        for one in [&team.leader, &team.custodian] {
            let read = desk.get(one, &content).await;
            assert_eq!(read.json()["sender"]["name"], "某举报人", "{}", read.json());
        }
        assert_eq!(desk.get(&second, &content).await.json()["code"], "identity-not-opened");
        let log = town.api(DISTRICT).get("AUDADM", "/api/reads?limit=500").await.unwrap();
        assert!(log.to_string().contains(&format!("identity/{id}")), "{log}");

        desk.done(&team.leader, &format!("{at}/ask-destruction"), json!({})).await;
        let alone = desk.post(&team.leader, &format!("{at}/destroy"), json!({})).await;
        assert_eq!(alone.json()["code"], "same-person");
        desk.done(&team.custodian, &format!("{at}/destroy"), json!({})).await;
        assert_eq!(desk.get(&team.leader, &content).await.json()["code"], "identity-destroyed");
        assert_eq!(desk.get(&team.leader, &at).await.json()["state"], "destroyed");
        id
    };
    // With every key that there is now, nothing opens it; the views come out the same.
    town.stop_office(DISTRICT).await;
    let vault = vault::Vault::open(&town.keys(DISTRICT).join("vault"), None).unwrap();
    let scope = Scope::parse(&format!("subject:{id}#1")).unwrap();
    assert!(vault.key(&scope).is_none());
    let office = town.id(DISTRICT);
    assert!(vault.grant(&format!("{scope}@{office}/inspection-office")).is_none());
    assert!(town.views_agree(DISTRICT).await);
}
