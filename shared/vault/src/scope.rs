//! Scope keys: what a case, or one person's identity, is sealed under.

use std::fmt;

use kernel::Entropy;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::fresh;

/// The name of a scope key: whose it is, and which epoch of it. Each change of who may
/// read opens a new epoch; what was sealed before stays with the old one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Of a case: `case:ID#1`.
    Case(String, u32),
    /// Of one person's identity: `subject:ID#1`.
    Subject(String, u32),
}

impl Scope {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (id, epoch) = rest.rsplit_once('#')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=120).contains(&id.len()) || !id.chars().all(plain) {
            return None;
        }
        let number: u32 = epoch.parse().ok().filter(|number| *number > 0)?;
        // One spelling: no sign, no leading nought.
        if number.to_string() != epoch {
            return None;
        }
        match kind {
            "case" => Some(Self::Case(id.to_owned(), number)),
            "subject" => Some(Self::Subject(id.to_owned(), number)),
            _ => None,
        }
    }

    /// The epoch after it.
    #[must_use]
    pub fn next(&self) -> Self {
        match self {
            Self::Case(id, epoch) => Self::Case(id.clone(), epoch + 1),
            Self::Subject(id, epoch) => Self::Subject(id.clone(), epoch + 1),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(id, epoch) => write!(f, "case:{id}#{epoch}"),
            Self::Subject(id, epoch) => write!(f, "subject:{id}#{epoch}"),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a scope is case:ID#N or subject:ID#N"))
    }
}

/// A scope key with its name. It is random and follows from nothing, so that who forgets
/// it cannot make it again; memory is wiped when it goes.
#[derive(Clone)]
pub struct ScopeKey {
    scope: Scope,
    secret: Zeroizing<[u8; 32]>,
}

impl ScopeKey {
    /// A fresh key.
    pub fn fresh(scope: Scope, entropy: &Entropy) -> Self {
        Self { scope, secret: Zeroizing::new(fresh(entropy)) }
    }

    /// The key of these bytes.
    pub fn of(scope: Scope, secret: [u8; 32]) -> Self {
        Self { scope, secret: Zeroizing::new(secret) }
    }

    /// Its name.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Its bytes, for the store that keeps it and the grant that gives it.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeKey({})", self.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_spelling() {
        for text in ["case:dddddddd-7#1", "subject:x#4294967295"] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "case",
            "case:x",
            "case:#1",
            "case:x#0",
            "case:x#01",
            "case:x#+1",
            "case:x y#1",
            "person:x#1",
            "case:x#4294967296",
        ] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
        assert_eq!(Scope::parse("case:x#1").unwrap().next().to_string(), "case:x#2");
    }

    #[test]
    fn a_key_is_never_shown() {
        let scope = Scope::parse("case:x#1").unwrap();
        let key = ScopeKey::of(scope.clone(), [7; 32]);
        assert_eq!(format!("{key:?}"), "ScopeKey(case:x#1)");
        let (one, two) = (
            ScopeKey::fresh(scope.clone(), &Entropy::System),
            ScopeKey::fresh(scope, &Entropy::System),
        );
        assert_ne!(one.secret(), two.secret());
    }
}
