//! Idempotency: a command that was answered is answered the same again.

use std::collections::HashMap;

use kernel::sign::Hash;

use crate::{StoreError, db::Conn, log};

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

/// Answers by scope, each with the hash of the body it answered.
pub(crate) type Given = HashMap<String, (Hash, Answer)>;

/// What was answered under these scopes before: one question for a whole batch.
pub(crate) async fn given(conn: &mut Conn, scopes: &[&str]) -> Result<Given, StoreError> {
    let mut given = Given::new();
    for scopes in scopes.chunks(log::MOST_KEYS) {
        let names = log::places(conn, scopes.len(), 1);
        let asked = scopes.iter().chain(std::iter::repeat(&scopes[0])).take(names.len());
        let sql = format!(
            "SELECT scope, body_hash, status, etag, body FROM answers WHERE scope IN ({})",
            names.join(",")
        );
        for row in conn.rows(&sql, asked.map(|scope| (*scope).into()).collect()).await? {
            let status = u16::try_from(row.int(2)?).unwrap_or(500);
            let answer = Answer { status, etag: row.text(3)?, body: row.blob(4)? };
            given.insert(row.text(0)?, (log::to_hash(&row.blob(1)?)?, answer));
        }
    }
    Ok(given)
}
