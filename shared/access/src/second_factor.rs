//! 第二要素 The second factor: codes by time (RFC 6238: SHA-1, six digits, 30 s), as every
//! authenticator knows them.
//!
//! The secret lies nowhere: it follows from the office's own key, the person and a
//! number, so that a copy of the store opens nothing.

use kernel::sign::Hash;
use totp_rs::{Builder, Secret, Totp};

/// Bytes of a secret.
const LENGTH: usize = 20;
/// Steps before and after the present one whose codes count too.
const SKEW: u16 = 1;

fn totp(seed: &Hash) -> Option<Totp> {
    let secret = Secret::from(seed.0.get(..LENGTH)?.to_vec());
    Builder::new().with_secret(secret).with_skew(SKEW).build().ok()
}

/// The secret in base32, as people type it into an authenticator.
pub fn secret(seed: &Hash) -> String {
    Secret::from(seed.0[..LENGTH].to_vec()).to_base32()
}

/// The address that an authenticator reads: `otpauth://totp/…`.
pub fn address(seed: &Hash, account: &str, office: &str) -> String {
    let secret = secret(seed);
    format!(
        "otpauth://totp/Liandong%20{office}:{account}?secret={secret}&issuer=Liandong%20{office}"
    )
}

/// The step of a code that counts at a second of the machine's clock. Whoever takes it
/// remembers the step: a code counts once.
pub fn step(seed: &Hash, code: &str, second: u64) -> Option<u64> {
    totp(seed)?.check(code.trim(), second)
}

/// The code at a second, as an authenticator shows it.
pub fn code(seed: &Hash, second: u64) -> Option<String> {
    Some(totp(seed)?.generate(second).to_string())
}

/// The same for a secret in base32.
pub fn code_of(secret: &str, second: u64) -> Option<String> {
    let secret = Secret::try_from_base32(secret).ok()?;
    Some(Builder::new().with_secret(secret).build().ok()?.generate(second).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six digits.
        let mut seed = Hash([0; 32]);
        seed.0[..20].copy_from_slice(b"12345678901234567890");
        for (second, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            assert_eq!(code(&seed, second).unwrap(), expected);
            assert_eq!(code_of(&secret(&seed), second).unwrap(), expected);
            assert_eq!(step(&seed, expected, second), Some(second / 30));
        }
    }

    #[test]
    fn a_code_counts_for_its_step_and_one_beside_it() {
        let seed = Hash([7; 32]);
        let code = code(&seed, 3000).unwrap();
        assert_eq!(step(&seed, &code, 3000 + 30), Some(100));
        assert_eq!(step(&seed, &code, 3000 - 1), Some(100));
        assert_eq!(step(&seed, &code, 3000 + 60), None);
        assert_eq!(step(&seed, "", 3000), None);
        assert_eq!(step(&Hash([8; 32]), &code, 3000), None);
    }
}
