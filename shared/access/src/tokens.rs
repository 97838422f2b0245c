//! Tokens: `EdDSA`, one issuer, one audience, at most eight hours.
//!
//! The library's usual validation accepts a missing audience, a list of issuers
//! and an expiry in the year 31,688,740; the checks below do not.

use std::sync::{PoisonError, RwLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use kernel::{OfficeId, Timestamp, clock::wall, sign::Hash};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest life of a token, in seconds.
pub const MAX_LIFE: i64 = 8 * 3600;
const LEEWAY: u64 = 5;

/// What a token says. Lists and numbers where a text belongs do not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The issuing office.
    pub iss: String,
    /// The office it is for: the same.
    pub aud: String,
    /// The person.
    pub sub: String,
    /// Issued at, seconds.
    pub iat: i64,
    /// Not before, seconds.
    pub nbf: i64,
    /// Ends, seconds.
    pub exp: i64,
    /// The session that it belongs to; none of a demo city's tokens for the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Whether it is for a demo city.
    #[serde(default)]
    pub demo: bool,
}

/// Makes and checks an office's tokens. One key signs; the one before it is known until
/// its last token has ended.
pub struct Tokens {
    office: OfficeId,
    demo: bool,
    keys: RwLock<Vec<Key>>,
}

struct Key {
    kid: String,
    public: Vec<u8>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// Until when its tokens count, in seconds; none for the key that signs.
    until: Option<i64>,
}

/// The fixed head of an Ed25519 private key in PKCS #8 (RFC 8410).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

impl Key {
    fn of(seed: &[u8; 32], until: Option<i64>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public = pair.public_key().as_ref().to_vec();
        let kid = Hash::of(&[b"liandong token key", &public]).to_string()[..16].to_owned();
        let encoding = EncodingKey::from_ed_der(&[&PKCS8[..], seed].concat());
        let decoding = DecodingKey::from_ed_der(&public);
        Some(Self { kid, public, encoding, decoding, until })
    }
}

/// The name of the key of a seed, as tokens carry it in `kid`.
pub fn key_name(seed: &[u8; 32]) -> Option<String> {
    Key::of(seed, None).map(|key| key.kid)
}

impl Tokens {
    /// Tokens of `office` under the key of a 32-byte seed.
    pub fn new(office: OfficeId, seed: &[u8; 32], demo: bool) -> Option<Self> {
        Some(Self { office, demo, keys: RwLock::new(vec![Key::of(seed, None)?]) })
    }

    /// Knows the key that signed before, too, until its last token has ended.
    pub fn before(&self, seed: &[u8; 32], until: i64) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let key = Key::of(seed, Some(until));
        let new = key.filter(|key| keys.iter().all(|known| known.kid != key.kid));
        keys.extend(new);
    }

    /// Lets another key sign; what the one before has signed counts `until`.
    pub fn turn(&self, seed: &[u8; 32], until: i64) {
        let Some(next) = Key::of(seed, None) else { return };
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.first().is_some_and(|signs| signs.kid == next.kid) {
            return;
        }
        for key in keys.iter_mut() {
            key.until.get_or_insert(until);
        }
        keys.insert(0, next);
    }

    /// The public keys whose tokens count, as JSON Web Keys.
    pub fn public(&self) -> Vec<Value> {
        let now = wall().0 / 1000;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let live = keys.iter().filter(|key| key.until.is_none_or(|until| now < until));
        live.map(|key| {
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid,
                "x": BASE64.encode(&key.public)})
        })
        .collect()
    }

    /// A token for a person, from now on by the machine's clock.
    pub fn issue(&self, person: &str, seconds: i64) -> Option<String> {
        self.issue_in(person, seconds, None)
    }

    /// The same for a session, with which the token ends.
    pub fn issue_in(&self, person: &str, seconds: i64, sid: Option<String>) -> Option<String> {
        let now = wall().0 / 1000;
        let office = self.office.to_string();
        let claims = Claims {
            iss: office.clone(),
            aud: office,
            sub: person.to_owned(),
            iat: now,
            nbf: now,
            exp: now + seconds.clamp(1, MAX_LIFE),
            sid,
            demo: self.demo,
        };
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let signs = keys.first()?;
        let header = Header { kid: Some(signs.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &signs.encoding).ok()
    }

    /// The claims of a token that holds now.
    pub fn check(&self, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[self.office.as_str()]);
        validation.set_audience(&[self.office.as_str()]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let Timestamp(now) = wall();
        let header = plain_header(token)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.iter().find(|key| header.kid.as_ref() == Some(&key.kid))?;
        if key.until.is_some_and(|until| until <= now / 1000) {
            return None;
        }
        let claims: Claims = decode::<Claims>(token, &key.decoding, &validation).ok()?.claims;
        let short =
            claims.exp.checked_sub(claims.iat).is_some_and(|life| (1..=MAX_LIFE).contains(&life));
        let begun = claims.iat <= now / 1000 + i64::try_from(LEEWAY).unwrap_or(0);
        (short && begun && claims.demo == self.demo && !claims.sub.is_empty()).then_some(claims)
    }
}

/// The header of a token that names a key and brings none.
fn plain_header(token: &str) -> Option<Header> {
    let header = decode_header(token).ok()?;
    let brings = header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.cty.is_some();
    (header.alg == Algorithm::EdDSA && !brings).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tokens(seed: u8) -> Tokens {
        Tokens::new(OfficeId::parse("dddddddd").unwrap(), &[seed; 32], false).unwrap()
    }

    type Change = Box<dyn FnOnce(&mut Value)>;

    fn base() -> Value {
        let now = wall().0 / 1000;
        json!({"iss": "dddddddd", "aud": "dddddddd", "sub": "p1", "iat": now,
            "nbf": now, "exp": now + 600, "demo": false})
    }

    fn header() -> Header {
        Header { kid: key_name(&[1; 32]), ..Header::new(Algorithm::EdDSA) }
    }

    /// Signed with the office's own key.
    fn signed(header: &Header, claims: &Value) -> String {
        let key = Key::of(&[1; 32], None).unwrap();
        encode(header, claims, &key.encoding).unwrap()
    }

    fn forged(change: impl FnOnce(&mut Value)) -> String {
        let mut claims = base();
        change(&mut claims);
        signed(&header(), &claims)
    }

    /// Written by hand, with whatever signature.
    fn raw(header: &str, claims: &str, signature: &str) -> String {
        format!("{}.{}.{signature}", BASE64.encode(header), BASE64.encode(claims))
    }

    #[test]
    fn a_token_names_its_person() {
        let token = tokens(1).issue("p1", 600).unwrap();
        assert_eq!(tokens(1).check(&token).unwrap().sub, "p1");
        assert!(tokens(2).check(&token).is_none(), "another key");
        assert!(tokens(1).check(&format!("{token}x")).is_none());
        assert!(tokens(1).check("").is_none());
    }

    #[test]
    fn forged_claims_are_refused() {
        let now = wall().0 / 1000;
        assert!(tokens(1).check(&forged(|_| {})).is_some(), "the base is good");
        let set =
            |name: &'static str, value: Value| -> Change { Box::new(move |c| c[name] = value) };
        let without = |name: &'static str| -> Change {
            Box::new(move |c| drop(c.as_object_mut().unwrap().remove(name)))
        };
        let changes: Vec<(&str, Change)> = vec![
            ("no iss", without("iss")),
            ("no aud", without("aud")),
            ("no sub", without("sub")),
            ("no exp", without("exp")),
            ("no nbf", without("nbf")),
            ("no iat", without("iat")),
            ("other iss", set("iss", json!("cccccccc"))),
            ("other aud", set("aud", json!("cccccccc"))),
            ("empty aud", set("aud", json!(""))),
            ("null aud", set("aud", Value::Null)),
            ("list of aud", set("aud", json!(["dddddddd", "cccccccc"]))),
            ("list of one aud", set("aud", json!(["dddddddd"]))),
            ("list of iss", set("iss", json!(["dddddddd", "evil"]))),
            ("iss a number", set("iss", json!(5))),
            ("aud an object", set("aud", json!({"a": 1}))),
            ("ended", set("exp", json!(now - 50))),
            ("ends now", set("exp", json!(now - 6))),
            ("ends before it begins", set("exp", json!(now - 1))),
            ("immortal", set("exp", json!(1_000_000_000_000_000_000_i64))),
            ("beyond every number", set("exp", json!(u64::MAX))),
            ("below every number", set("iat", json!(i64::MIN))),
            ("a float", set("exp", json!(1e18))),
            ("exp a text", set("exp", json!("9999999999"))),
            ("nine hours", set("exp", json!(now + 9 * 3600))),
            ("not yet", set("nbf", json!(now + 600))),
            ("nbf a text", set("nbf", json!("now"))),
            ("issued tomorrow", set("iat", json!(now + 86_400))),
            ("empty sub", set("sub", json!(""))),
            ("sub a list", set("sub", json!(["p1"]))),
            ("sub null", set("sub", Value::Null)),
            ("demo", set("demo", json!(true))),
            ("sid a number", set("sid", json!(5))),
            ("more", set("admin", json!(true))),
            ("roles", set("roles", json!(["D_SEC"]))),
        ];
        assert!(changes.len() >= 34);
        for (what, change) in changes {
            assert!(tokens(1).check(&forged(change)).is_none(), "{what}");
        }
    }

    #[test]
    fn a_header_names_one_of_our_keys_and_brings_none() {
        let heads: Vec<(&str, Header)> = vec![
            ("no key named", Header { kid: None, ..header() }),
            ("another key named", Header { kid: key_name(&[2; 32]), ..header() }),
            ("a path for a key", Header { kid: Some("../../dev/null".into()), ..header() }),
            ("a key from afar", Header { jku: Some("https://evil.example".into()), ..header() }),
            ("a chain from afar", Header { x5u: Some("https://evil.example".into()), ..header() }),
            ("a chain inside", Header { x5c: Some(vec!["AA==".into()]), ..header() }),
            ("a token inside", Header { cty: Some("JWT".into()), ..header() }),
        ];
        for (what, header) in heads {
            assert!(tokens(1).check(&signed(&header, &base())).is_none(), "{what}");
        }
    }

    #[test]
    fn what_was_not_signed_by_the_key_is_refused() {
        let good = forged(|_| {});
        let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
        let kid = key_name(&[1; 32]).unwrap();
        let of = |alg: &str| format!("{{\"alg\":\"{alg}\",\"kid\":\"{kid}\"}}");
        let claims = base().to_string();
        let hmac = |header: &Header, key: &[u8]| {
            encode(header, &base(), &EncodingKey::from_secret(key)).unwrap()
        };
        let shared = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        let public = Key::of(&[1; 32], None).unwrap().public;
        let twice = format!("{{\"sub\":\"p2\",{}", &claims[1..]);
        let hands = vec![
            ("no algorithm", raw(&of("none"), &claims, "")),
            ("no algorithm in capitals", raw(&of("NONE"), &claims, "")),
            ("no algorithm, signed", raw(&of("none"), &claims, signature)),
            ("no signature", raw(&of("EdDSA"), &claims, "")),
            ("zeros", raw(&of("EdDSA"), &claims, &BASE64.encode([0; 64]))),
            ("a signature of something else", raw(&of("EdDSA"), &claims, signature)),
            ("another algorithm", hmac(&shared, b"guess")),
            ("the public key as a secret", hmac(&shared, &public)),
            ("sub twice", raw(&of("EdDSA"), &twice, signature)),
            ("four parts", format!("{good}.{signature}")),
            ("two parts", good.rsplit_once('.').unwrap().0.to_owned()),
            ("head alone", head.to_owned()),
            ("cut", good[..good.len() - 2].to_owned()),
            ("longer", format!("{good}AA")),
            ("spaces", format!(" {good}")),
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
            ("not base64", "€.€.€".to_owned()),
        ];
        for (what, token) in hands {
            assert!(tokens(1).check(&token).is_none(), "{what}");
        }
        assert!(tokens(2).check(&good).is_none(), "another office's key");
    }

    #[test]
    fn a_key_that_signed_before_counts_until_its_time() {
        let (tokens, now) = (tokens(1), wall().0 / 1000);
        let old = tokens.issue("p1", 600).unwrap();
        tokens.turn(&[2; 32], now + 600);
        assert!(tokens.check(&old).is_some());
        let new = tokens.issue("p1", 600).unwrap();
        assert!(tokens.check(&new).is_some());
        assert_eq!(tokens.public().len(), 2);
        tokens.turn(&[2; 32], now + 600);
        assert_eq!(tokens.public().len(), 2, "the same key takes over once");
        let again = self::tokens(2);
        again.before(&[1; 32], now - 1);
        assert!(again.check(&old).is_none(), "its time is over");
        assert!(again.check(&new).is_some());
        assert_eq!(again.public().len(), 1);
    }
}
