//! Tokens: `EdDSA`, one issuer, one audience, at most eight hours.
//!
//! The library's usual validation accepts a missing audience, a list of issuers
//! and an expiry in the year 31,688,740; the checks below do not.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use kernel::{OfficeId, Timestamp, clock::wall};
use serde::{Deserialize, Serialize};

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

/// Makes and checks an office's tokens.
pub struct Tokens {
    office: OfficeId,
    demo: bool,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// The fixed head of an Ed25519 private key in PKCS #8 (RFC 8410).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

impl Tokens {
    /// Tokens of `office` under the key of a 32-byte seed.
    pub fn new(office: OfficeId, seed: &[u8; 32], demo: bool) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let encoding = EncodingKey::from_ed_der(&[&PKCS8[..], seed].concat());
        let decoding = DecodingKey::from_ed_der(pair.public_key().as_ref());
        Some(Self { office, demo, encoding, decoding })
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
        encode(&Header::new(Algorithm::EdDSA), &claims, &self.encoding).ok()
    }

    /// The claims of a token that holds now.
    pub fn check(&self, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[self.office.as_str()]);
        validation.set_audience(&[self.office.as_str()]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let claims: Claims = decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        let Timestamp(now) = wall();
        let short =
            claims.exp.checked_sub(claims.iat).is_some_and(|life| (1..=MAX_LIFE).contains(&life));
        let begun = claims.iat <= now / 1000 + i64::try_from(LEEWAY).unwrap_or(0);
        (short && begun && claims.demo == self.demo && !claims.sub.is_empty()).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tokens(seed: u8) -> Tokens {
        Tokens::new(OfficeId::parse("dddddddd").unwrap(), &[seed; 32], false).unwrap()
    }

    type Change = Box<dyn FnOnce(&mut Value)>;

    fn forged(algorithm: Algorithm, change: impl FnOnce(&mut Value)) -> String {
        let now = wall().0 / 1000;
        let mut claims = json!({"iss": "dddddddd", "aud": "dddddddd", "sub": "p1", "iat": now,
            "nbf": now, "exp": now + 600, "demo": false});
        change(&mut claims);
        match algorithm {
            Algorithm::HS256 => {
                let key = EncodingKey::from_secret(b"guess");
                encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
            }
            _ => encode(&Header::new(algorithm), &claims, &tokens(1).encoding).unwrap(),
        }
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
        let ed = Algorithm::EdDSA;
        assert!(tokens(1).check(&forged(ed, |_| {})).is_some(), "the base is good");
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
            ("list of aud", set("aud", json!(["dddddddd", "cccccccc"]))),
            ("list of one aud", set("aud", json!(["dddddddd"]))),
            ("list of iss", set("iss", json!(["dddddddd", "evil"]))),
            ("iss a number", set("iss", json!(5))),
            ("aud an object", set("aud", json!({"a": 1}))),
            ("ended", set("exp", json!(now - 50))),
            ("immortal", set("exp", json!(1_000_000_000_000_000_000_i64))),
            ("a float", set("exp", json!(1e18))),
            ("nine hours", set("exp", json!(now + 9 * 3600))),
            ("not yet", set("nbf", json!(now + 600))),
            ("nbf a text", set("nbf", json!("now"))),
            ("issued tomorrow", set("iat", json!(now + 86_400))),
            ("empty sub", set("sub", json!(""))),
            ("demo", set("demo", json!(true))),
            ("more", set("admin", json!(true))),
        ];
        for (what, change) in changes {
            assert!(tokens(1).check(&forged(ed, change)).is_none(), "{what}");
        }
        assert!(tokens(1).check(&forged(Algorithm::HS256, |_| {})).is_none(), "another algorithm");
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJwMSJ9.";
        assert!(tokens(1).check(none).is_none(), "no algorithm");
    }
}
