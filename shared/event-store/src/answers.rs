//! Idempotency: a command that was answered is answered the same again.

use kernel::sign::Hash;

/// What a command was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `ETag` of the touched stream, or nothing.
    pub etag: String,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// Under which name an answer is kept.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Person, route and key in one.
    pub scope: String,
    /// The hash of the request's body.
    pub body_hash: Hash,
}

impl Idempotency {
    /// The scope of one key: two persons, or two routes, may use the same key.
    pub fn new(person: &str, route: &str, key: &str, body: &[u8]) -> Self {
        let scope = Hash::of(&[person.as_bytes(), &[0], route.as_bytes(), &[0], key.as_bytes()]);
        Self { scope: scope.to_string(), body_hash: Hash::of(&[body]) }
    }
}
