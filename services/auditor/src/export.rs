//! 导出 Takes the log of one office out of its store, as it was signed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use event_store::{Engine, Readers, log};
use kernel::Fact;
use ledger::{
    book::Book,
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner},
    tile::{Place, Tile, WIDTH},
};

use crate::forms::{bundle, listing, manifest};

/// The files of signed heads in a key folder, by the life of the log.
const HEAD: &str = "checkpoint-";

/// What was taken out.
#[derive(Debug, serde::Serialize)]
pub struct Exported {
    /// The log.
    pub origin: String,
    /// How many entries.
    pub entries: u64,
    /// How many cosignatures of its heads.
    pub cosigned: usize,
}

fn odd(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

fn write(path: PathBuf, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}

/// Exports the log of the office whose store lies in `data` and whose keys lie in `keys`:
/// as many entries as its last signed head has. What is there of this log is replaced.
/// A store that is not in the data folder is named by its `engine`.
pub async fn export(
    engine: Option<&Engine>,
    data: &Path,
    keys: &Path,
    into: &Path,
) -> io::Result<Exported> {
    if engine.is_none() && !data.join("office.db").exists() {
        return Err(odd("there is no SQLite store here; for one in PostgreSQL say where it is"));
    }
    let here = Engine::Sqlite(data.to_owned());
    let engine = engine.unwrap_or(&here);
    let epoch = life(keys)?;
    let ledger = data.join("ledger").join(epoch.to_string());
    // Read before the head: what is cosigned is never longer than what is signed.
    let cosigned = cosigned(&ledger)?;
    let head = fs::read_to_string(keys.join(format!("{HEAD}{epoch}")))?;
    let note = Note::parse(&head).map_err(odd)?;
    let said = Checkpoint::parse(&note.text).map_err(odd)?;
    let office = said.origin.split('/').nth(1).ok_or_else(|| odd("the head is of no log"))?;
    // Beside the logs: what is there of this one stays until the new one is whole.
    let folder = into.join(format!(".{office}-{epoch}.new"));
    gone(&folder)?;
    fs::create_dir_all(&folder)?;
    write(folder.join("checkpoint"), head.as_bytes())?;
    write(folder.join("cosigned"), cosigned.as_bytes())?;
    let seed = |name: &str| -> io::Result<[u8; 32]> {
        fs::read(keys.join(name))?.try_into().map_err(|_| odd(format!("{name}: not 32 bytes")))
    };
    let signer = NoteSigner::of_seed(&said.origin, Kind::Note, &seed("log.key")?).map_err(odd)?;
    let name = format!("liandong/{office}/witness");
    let witness = NoteSigner::of_seed(&name, Kind::Cosignature, &seed("witness.key")?);
    let witness = witness.map_err(odd)?.verifier();
    write(folder.join("keys"), format!("{}\n{witness}\n", signer.verifier()).as_bytes())?;
    entries(engine, office, &folder, said.size).await?;
    tiles(&ledger, &folder, said.size)?;
    forks(&data.join("ledger/forks"), &folder.join("evidence"))?;
    let listing = listing(&folder)?;
    write(folder.join("listing"), listing.as_bytes())?;
    let text = manifest(&said.origin, listing.as_bytes(), kernel::clock::wall());
    let line = signer.sign(&text, 0);
    write(folder.join("manifest"), Note { text, lines: vec![line] }.to_string().as_bytes())?;
    let place = into.join("logs").join(format!("{office}-{epoch}"));
    fs::create_dir_all(into.join("logs"))?;
    gone(&place)?;
    fs::rename(&folder, &place)?;
    hint(into)?;
    Ok(Exported { origin: said.origin, entries: said.size, cosigned: cosigned.lines().count() })
}

/// Removes a folder, if it is there.
fn gone(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The life of the log whose head was signed last.
fn life(keys: &Path) -> io::Result<u32> {
    let mut lives = Vec::new();
    for file in fs::read_dir(keys)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        lives.extend(name.strip_prefix(HEAD).and_then(|life| life.parse::<u32>().ok()));
    }
    lives.into_iter().max().ok_or_else(|| odd("no head of this log was signed yet"))
}

/// The cosigned heads, without lines that were not written to their end.
fn cosigned(ledger: &Path) -> io::Result<String> {
    let text = match fs::read_to_string(ledger.join("cosigned")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        read => read.unwrap_or_default(),
    };
    let whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    Ok(text.lines().filter(whole).fold(String::new(), |all, line| all + line + "\n"))
}

/// What the offices of an export say of their keys, as a policy: whoever pins it compares the
/// keys with the offices first.
fn hint(into: &Path) -> io::Result<()> {
    let (mut logs, mut witnesses, mut names) = (String::new(), String::new(), String::new());
    let mut folders: Vec<PathBuf> =
        fs::read_dir(into.join("logs"))?.map(|one| Ok(one?.path())).collect::<io::Result<_>>()?;
    folders.sort();
    for folder in folders {
        let keys = fs::read_to_string(folder.join("keys"))?;
        let (Some(log), Some(witness)) = (keys.lines().next(), keys.lines().nth(1)) else {
            continue;
        };
        let office = witness.split('/').nth(1).unwrap_or_default();
        logs += &format!("log {log}\n");
        if !names.split(' ').any(|name| name == office) {
            witnesses += &format!("witness {office} {witness}\n");
            names += &format!(" {office}");
        }
    }
    let text = format!(
        "# As the offices say: compare each key with its office before you pin it.\n\
         {logs}{witnesses}group witnesses any{names}\nquorum witnesses\n"
    );
    fs::write(into.join("policy.hint"), text)
}

/// The entries, from the store.
async fn entries(engine: &Engine, office: &str, folder: &Path, size: u64) -> io::Result<()> {
    let mut reader = Readers::new(1).take(engine).await.map_err(odd)?;
    let last = log::own_last(&mut reader).await.map_err(odd)?;
    let whose = last.and_then(|own| Fact::of_entry(&own.entry).ok());
    // One that does not read is taken as it is: the verification says so.
    if whose.is_some_and(|(fact, _)| fact.at.origin.as_str() != office) {
        return Err(odd(format!("the store is another office's than the keys, {office}")));
    }
    let (mut after, mut index) = (0, 0);
    while after < size {
        let many = usize::try_from((size - after).min(WIDTH)).map_err(odd)?;
        let more = log::own_after(&mut reader, after, many).await.map_err(odd)?;
        let Some(last) = more.last() else { break };
        after = last.sequence;
        let width = u16::try_from(more.len()).map_err(odd)?;
        let bytes: Vec<Vec<u8>> = more.into_iter().map(|own| own.entry).collect();
        let place = Place { index, width };
        write(folder.join(format!("tile/entries/{place}")), &bundle(&bytes)?)?;
        index += 1;
    }
    Ok(())
}

/// The leaves as the office signed them: not made from the entries, so that an entry that
/// was changed since is known by its place.
fn tiles(ledger: &Path, folder: &Path, size: u64) -> io::Result<()> {
    let book = Book::open(ledger)?;
    if book.size() < size {
        return Err(odd("the tree lies behind its head: try again in a moment"));
    }
    for tile in Tile::all(size).filter(|tile| tile.level == 0) {
        if let Some(bytes) = book.tile(&tile)? {
            write(folder.join(tile.to_string()), &bytes)?;
        }
    }
    Ok(())
}

fn forks(from: &Path, to: &Path) -> io::Result<()> {
    let read = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    for file in read {
        let file = file?;
        write(to.join(file.file_name()), &fs::read(file.path())?)?;
    }
    Ok(())
}
