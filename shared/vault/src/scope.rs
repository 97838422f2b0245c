//! Scope keys: what a case, or one person's identity, is sealed under.

use std::fmt;

use kernel::{Entropy, sealed::Scope};
use zeroize::Zeroizing;

use crate::fresh;

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
