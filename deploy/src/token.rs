//! `deploy/up token`: a demo person's token, for the shell.

use std::path::{Path, PathBuf};

use access::{Tokens, tokens::MAX_LIFE};
use kernel::OfficeId;
use messaging::directory::Pin;
use serde::Deserialize;
use serde_json::Value;

use crate::output;

/// A person registered at the first start.
#[derive(Clone, Debug, Deserialize)]
pub struct FirstPerson {
    /// The account.
    pub account: String,
    /// The id.
    pub person: String,
    /// The roles.
    pub roles: Vec<String>,
    /// The one-time link.
    pub link: String,
}

/// The people of an office's first start.
pub fn people(keys: &Path) -> Result<Vec<FirstPerson>, String> {
    read(&keys.join("first-sign-in.json"))
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// A token of the first person who holds `role` at the office of a key folder.
pub fn make(keys: &Path, office: &OfficeId, role: &str) -> Result<String, String> {
    let pin: Pin = read(&keys.join("pin.json"))?;
    if !pin.demo {
        return Err("this is a real city: people sign in there".to_owned());
    }
    let people = people(keys)?;
    let plain = domain::post::plain(role);
    let holds = |person: &&FirstPerson| {
        person.roles.iter().any(|held| held == role || domain::post::plain(held) == plain)
    };
    let person = people.iter().find(holds).ok_or_else(|| {
        let known: Vec<_> = people.iter().flat_map(|person| person.roles.clone()).collect();
        format!("nobody holds {role} there; roles: {}", known.join(", "))
    })?;
    issued(keys, office, &person.person)
}

/// A token of a person of the office of a key folder.
pub(crate) fn of_person(keys: &Path, office: &OfficeId, person: &str) -> Result<String, String> {
    let pin: Pin = read(&keys.join("pin.json"))?;
    if !pin.demo {
        return Err("this is a real city: people sign in there".to_owned());
    }
    issued(keys, office, person)
}

fn issued(keys: &Path, office: &OfficeId, person: &str) -> Result<String, String> {
    let seed = std::fs::read(keys.join("jwt.key")).map_err(|error| format!("jwt.key: {error}"))?;
    let seed: [u8; 32] = seed.try_into().map_err(|_| "jwt.key does not read")?;
    let tokens = Tokens::new(office.clone(), &seed, true).ok_or("jwt.key does not read")?;
    tokens.issue(person, MAX_LIFE).ok_or_else(|| "no token could be made".to_owned())
}

/// Prints a token for an office of a started city.
pub fn print(data: &Path, office: &str, role: &str) -> Result<(), String> {
    let up: Value = read(&data.join("run/up.json"))?;
    let named = |it: &&Value| ["id", "code", "name"].iter().any(|field| it[*field] == office);
    let offices = up["offices"].as_array().cloned().unwrap_or_default();
    let found = offices.iter().find(named).ok_or_else(|| format!("there is no office {office}"))?;
    let id = found["id"].as_str().and_then(OfficeId::parse).ok_or("up.json names no id")?;
    let keys = PathBuf::from(found["keys"].as_str().unwrap_or_default());
    output::print(&make(&keys, &id, role)?);
    Ok(())
}
