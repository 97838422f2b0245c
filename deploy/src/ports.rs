//! Ports that nobody uses, the same ones again at the next start if they are free.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
};

use crate::output::say;

/// Ports by name.
#[derive(Debug)]
pub(crate) struct Ports {
    kept: BTreeMap<String, u16>,
    taken: BTreeSet<u16>,
}

impl Ports {
    /// Starts from the ports of the last time.
    pub(crate) fn new(kept: BTreeMap<String, u16>) -> Self {
        Self { kept, taken: BTreeSet::new() }
    }

    /// A free port for `name`: the one it had, else the next from `from` on.
    pub(crate) fn take(&mut self, name: &str, from: u16) -> Result<u16, String> {
        let before = self.kept.get(name).copied();
        let free = before.into_iter().chain(from..=u16::MAX).find(|port| {
            !self.taken.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok()
        });
        let port = free.ok_or("no port is free")?;
        if let Some(before) = before.filter(|before| *before != port) {
            say(&format!("port {before} of {name} is in use: {port} instead"));
        }
        self.taken.insert(port);
        self.kept.insert(name.to_owned(), port);
        Ok(port)
    }

    /// The ports to keep.
    pub(crate) fn kept(&self) -> &BTreeMap<String, u16> {
        &self.kept
    }
}
