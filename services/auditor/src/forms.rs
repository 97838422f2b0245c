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
//!                       manifest       a note over the listing, signed by the log's key
//! policy.hint                          the offices' keys as they say them, to be pinned
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kernel::sign::Hash;

/// The first line of a manifest.
pub const FORM: &str = "liandong export v1";

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

/// The listing of a log's folder: a line for each file but the two that speak of it.
pub fn listing(folder: &Path) -> io::Result<String> {
    let mut text = String::new();
    for (name, path) in files(folder)? {
        if !["listing", "manifest"].contains(&name.as_str()) {
            text += &format!("{} {name}\n", Hash::of(&[&fs::read(path)?]));
        }
    }
    Ok(text)
}
