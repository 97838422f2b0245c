//! How an export lies on the disk.
//!
//! ```text
//! logs/<office>-<epoch>/checkpoint     the newest signed head
//!                       cosigned       cosigned heads, the oldest first, a JSON object a line
//!                       keys           the verifier keys of the log and of the office as a witness
//!                       tile/0/…       leaf tiles (C2SP tlog-tiles)
//!                       tile/entries/… the entries themselves, in bundles (C2SP tlog-tiles)
//!                       evidence/*.fork forks that the office had found
//!                       listing        the SHA-256 of each of these files
//!                       manifest       a note over the listing and the time, signed by the log's key
//! policy.hint                          the offices' keys as they say them, to be pinned
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use kernel::{Timestamp, sign::Hash};

/// The first line of a manifest.
const FORM: &str = "liandong export v1";

/// What the log's key signs over an export made at a time.
pub fn manifest(origin: &str, listing: &[u8], made: Timestamp) -> String {
    format!("{}made {made}\n", undated(origin, listing))
}

fn undated(origin: &str, listing: &[u8]) -> String {
    format!("{FORM}\n{origin}\n{}\n", Hash::of(&[listing]))
}

/// Whether a manifest is over this listing of this log.
pub(crate) fn is_over(manifest: &str, origin: &str, listing: &[u8]) -> bool {
    let rest = manifest.strip_prefix(&undated(origin, listing));
    rest.is_some_and(|rest| rest.is_empty() || made(manifest).is_some())
}

/// When an export was made, by its manifest; an early one does not say.
pub(crate) fn made(manifest: &str) -> Option<Timestamp> {
    let last = manifest.strip_suffix('\n')?.lines().last()?;
    Timestamp::parse(last.strip_prefix("made ")?)
}

/// A bundle of entries: for each its length in two bytes, then its bytes.
pub fn bundle(entries: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(io::Error::other)?;
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle, if it is one.
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

/// Every file below a folder with its path from there, in order.
pub fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), folder.to_owned())];
    while let Some((name, at)) = open.pop() {
        for entry in fs::read_dir(at)? {
            let entry = entry?;
            let name = match name.as_str() {
                "" => entry.file_name().to_string_lossy().into_owned(),
                above => format!("{above}/{}", entry.file_name().to_string_lossy()),
            };
            if entry.file_type()?.is_dir() {
                open.push((name, entry.path()));
            } else {
                found.push((name, entry.path()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether it is a file itself: no link, and nothing that waits for a writer.
pub(crate) fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|of| of.is_file())
}

/// What a folder has otherwise than its listing says. What the tree is made of is held
/// against the tree, not read here.
pub(crate) fn unlisted(folder: &Path, listing: &str) -> io::Result<Vec<String>> {
    let said: BTreeMap<&str, &str> = listing
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(hash, name)| (name, hash)))
        .collect();
    let here: BTreeMap<String, PathBuf> = files(folder)?.into_iter().collect();
    let mut found = Vec::new();
    for (name, hash) in &said {
        let as_said = match here.get(*name) {
            Some(_) if name.starts_with("tile/") => true,
            Some(path) => Hash::of(&[&fs::read(path)?]).to_string() == **hash,
            None => false,
        };
        if !as_said {
            found.push(format!("{name} is changed or gone"));
        }
    }
    for name in here.keys().filter(|name| !said.contains_key(name.as_str()) && !beside(name)) {
        found.push(format!("{name} is new"));
    }
    Ok(found)
}

/// Whether a file speaks of the listing and so is not in it.
fn beside(name: &str) -> bool {
    ["listing", "manifest"].contains(&name)
}

/// The listing of a log's folder: a line for each file but the two that speak of it.
pub fn listing(folder: &Path) -> io::Result<String> {
    let mut text = String::new();
    for (name, path) in files(folder)? {
        if !beside(&name) {
            text += &format!("{} {name}\n", Hash::of(&[&fs::read(path)?]));
        }
    }
    Ok(text)
}
