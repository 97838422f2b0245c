//! Passwords: Argon2id, hashed off the async threads and few at a time.

use std::sync::LazyLock;

use argon2::{
    ARGON2ID_IDENT, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use kernel::{Code, Entropy, Refusal};
use tokio::sync::Semaphore;
use vault::slow::argon2id;

/// The shortest password, in characters.
pub const SHORTEST: usize = 12;
/// The fewest different characters.
const FEWEST: usize = 6;
static AT_ONCE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// The hash of a new password, in PHC form.
pub async fn hash(password: &str) -> Result<String, Refusal> {
    let count = password.chars().count();
    let kinds = password.chars().collect::<std::collections::BTreeSet<char>>().len();
    if count < SHORTEST || kinds < FEWEST || password.len() > 512 {
        return Err(Code::WeakPassword.into());
    }
    let _permit = AT_ONCE.acquire().await;
    let password = password.to_owned();
    let hashed = tokio::task::spawn_blocking(move || fresh(&password));
    let hashed = hashed.await.map_err(|_| Refusal::new(Code::Internal))?;
    hashed.ok_or_else(|| Code::Internal.into())
}

/// The PHC form of a password under a fresh salt.
fn fresh(password: &str) -> Option<String> {
    let (salt, params) = (Entropy::System.bytes16(), Params::DEFAULT);
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    argon2id(password.as_bytes(), &salt, params.clone(), &mut out)?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(Salt::new(&salt).ok()?),
        hash: Some(Output::new(&out).ok()?),
    };
    Some(hash.to_string())
}

/// Whether a password gives the hash that is kept; the comparison takes the same time
/// wherever they differ.
fn gives(password: &str, kept: &str) -> Option<bool> {
    let kept = PasswordHash::new(kept).ok()?;
    let (salt, hash) = (kept.salt.as_ref()?, kept.hash.as_ref()?);
    let known = kept.algorithm == ARGON2ID_IDENT && kept.version == Some(Version::V0x13.into());
    let mut out = vec![0; hash.len()];
    argon2id(password.as_bytes(), salt, Params::try_from(&kept).ok()?, &mut out)?;
    Some(known && Output::new(&out).ok()? == *hash)
}

/// Whether the password belongs to the hash. A missing hash costs as much time.
pub async fn verify(password: &str, hash: Option<&str>) -> bool {
    let _permit = AT_ONCE.acquire().await;
    let (password, hash) = (password.to_owned(), hash.map(str::to_owned));
    let checked = tokio::task::spawn_blocking(move || {
        if let Some(hash) = hash {
            gives(&password, &hash).unwrap_or(false)
        } else {
            let _ = fresh(&password);
            false
        }
    });
    checked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use argon2::{
        Argon2,
        password_hash::{PasswordHasher, PasswordVerifier},
    };

    use super::*;

    #[tokio::test]
    async fn a_password_is_long_and_verifies() {
        assert_eq!(hash("short").await.unwrap_err().code, Code::WeakPassword);
        assert_eq!(hash("aaaabbbbccccdddd").await.unwrap_err().code, Code::WeakPassword);
        let phc = hash("漫川关的雨下了一整夜还没停").await.unwrap();
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        assert!(verify("漫川关的雨下了一整夜还没停", Some(&phc)).await);
        assert!(!verify("漫川关的雨下了一整夜", Some(&phc)).await);
        assert!(!verify("anything at all", None).await);
        // What the library itself made and would make is the same.
        let theirs = Argon2::default().hash_password("漫川关的雨".as_bytes()).unwrap().to_string();
        assert!(verify("漫川关的雨", Some(&theirs)).await);
        let theirs = PasswordHash::new(&phc).unwrap();
        let password = "漫川关的雨下了一整夜还没停".as_bytes();
        assert!(Argon2::default().verify_password(password, &theirs).is_ok());
        for bad in ["", "$argon2id$", &phc[..phc.len() - 4], &phc.replace("argon2id", "argon2i")] {
            assert!(!verify("漫川关的雨下了一整夜还没停", Some(bad)).await, "{bad}");
        }
    }
}
