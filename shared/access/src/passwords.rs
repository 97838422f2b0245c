//! Passwords: Argon2id, hashed off the async threads and few at a time.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use kernel::{Code, Refusal};
use tokio::sync::Semaphore;

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
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    });
    let hashed = hashed.await.map_err(|_| Refusal::new(Code::Internal))?;
    hashed.map_err(|_| Code::Internal.into())
}

/// Whether the password belongs to the hash. A missing hash costs as much time.
pub async fn verify(password: &str, hash: Option<&str>) -> bool {
    let _permit = AT_ONCE.acquire().await;
    let (password, hash) = (password.to_owned(), hash.map(str::to_owned));
    let checked = tokio::task::spawn_blocking(move || {
        if let Some(hash) = hash {
            PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
            })
        } else {
            let _ = Argon2::default().hash_password(password.as_bytes());
            false
        }
    });
    checked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
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
    }
}
