//! Reads a shelf from its files, or from the copied ones that officers open together.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    Inside, Unkept,
    disk::{SALT, line_key, numbers, opened},
    shelf::bound,
};
use crate::{Escrow, OrganKey};

pub(super) fn path(folder: &Path, name: &str, number: u64, part: &str) -> PathBuf {
    folder.join(format!("{name}-{number}.{part}"))
}

/// What is on a shelf, and whether anything was added since it was written whole.
pub(super) fn read(
    folder: &Path,
    name: &str,
    number: u64,
    master: &[u8; 32],
) -> Result<(Inside, bool), Unkept> {
    let (file, bound) = (path(folder, name, number, "sealed"), bound(name, number));
    let plain = opened(master, 0, &bound, &fs::read(&file)?);
    let inside = plain.and_then(|plain| serde_json::from_slice::<Inside>(&plain).ok());
    let mut inside = inside.ok_or(Unkept::Shut(file))?;
    let file = path(folder, name, number, "added");
    let bytes = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((inside, false)),
        read => Zeroizing::new(read?),
    };
    let shut = || Unkept::Shut(file.clone());
    let Some((chance, mut rest)) = bytes.split_at_checked(SALT) else { return Ok((inside, true)) };
    let (key, mut turn) = (line_key(master, chance)?, 0);
    // A tail that a stop cut off, or that the disk never filled, was acknowledged to nobody.
    while rest.iter().any(|byte| *byte != 0) {
        let Some((length, after)) = line_length(rest, shut)? else { break };
        let Some((one, after)) = after.split_at_checked(length) else { break };
        turn += 1;
        let plain = opened(&key, turn, &bound, one);
        let what = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        match what {
            Some(what) => inside.take(what),
            None if after.is_empty() && one.ends_with(&[0; UNFILLED]) => break,
            None => return Err(shut()),
        }
        rest = after;
    }
    Ok((inside, true))
}

/// So many noughts at the end of the last line say that the disk did not fill it: a tag
/// that ends so comes once in 2^128.
const UNFILLED: usize = 16;

/// How long the next line is, and what follows its header; nothing if the header itself
/// was cut off. One whose complement does not fit was changed.
fn line_length(bytes: &[u8], shut: impl Fn() -> Unkept) -> Result<Option<(usize, &[u8])>, Unkept> {
    let Some((header, after)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let [a, b, c, d, complement @ ..] = *header;
    let length = u32::from_be_bytes([a, b, c, d]);
    if u32::from_be_bytes(complement) != !length {
        let unfilled = complement.iter().chain(after).all(|byte| *byte == 0);
        return if unfilled { Ok(None) } else { Err(shut()) };
    }
    Ok(Some((usize::try_from(length).unwrap_or(usize::MAX), after)))
}

/// The number under which an escrow is whole, if there is one.
pub(super) fn escrowed(folder: &Path, name: &str) -> Result<Option<u64>, Unkept> {
    let sealed = numbers(folder, name, "sealed")?;
    Ok(numbers(folder, name, "escrow")?.into_iter().rfind(|number| sealed.contains(number)))
}

/// What an escrow gives back: everything that stood on a shelf, by its copied files.
pub(super) fn recovered(
    folder: &Path,
    name: &'static str,
    key: &OrganKey,
) -> Result<Inside, Unkept> {
    let number = escrowed(folder, name)?;
    let number = number.ok_or_else(|| Unkept::Shut(path(folder, name, 0, "escrow")))?;
    let file = path(folder, name, number, "escrow");
    let escrow = Escrow(fs::read(&file)?);
    let master = escrow.open(key, &bound(name, number)).ok_or(Unkept::Shut(file))?;
    Ok(read(folder, name, number, &master)?.0)
}
