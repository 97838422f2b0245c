//! Papers of which some bytes are here: by sender, because a sender's wrong bytes must
//! not spoil another's right ones.
//!
//! ```text
//! papers.partial/<sender>/<hash>      goes on where it stopped; gone after a week untouched
//! papers.partial/whole/<number>       one request from its first byte to its last
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use kernel::{Code, Entropy, OfficeId, Timestamp, clock::wall, sign::Hash};
use tokio::task::spawn_blocking;

use super::{Arrival, Papers, claim::Claim};

/// How many unfinished papers of one sender are kept; then one that was not touched for
/// a day gives way, or the new one is refused.
const MOST: usize = 16;
const IDLE: i64 = 24 * 3_600_000;
/// How long an unfinished paper is kept untouched, in milliseconds.
const OLD: i64 = 7 * 24 * 3_600_000;
/// The same for one that cannot go on.
const OLD_WHOLE: i64 = 3_600_000;
const WHOLE: &str = "whole";

/// Whose bytes they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender(String);

impl Sender {
    /// An office that sends to the hub.
    pub fn office(office: &OfficeId) -> Self {
        Self(format!("office-{office}"))
    }

    /// A person of this office.
    pub fn person(person: &str) -> Self {
        // An id is short, but nothing says that it could name a file.
        Self(format!("person-{}", &Hash::of(&[person.as_bytes()]).to_string()[..16]))
    }

    /// The hub, from which this office fetches.
    pub fn hub() -> Self {
        Self("hub".to_owned())
    }

    /// The name of the sender's folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Papers {
    pub(super) fn unfinished(&self) -> PathBuf {
        self.folder.with_extension("partial")
    }

    pub(super) fn of(&self, sender: &Sender, hash: &Hash) -> PathBuf {
        self.unfinished().join(sender.as_str()).join(hash.to_string())
    }

    /// How many bytes of an unfinished paper this sender has brought.
    pub async fn held(&self, sender: &Sender, hash: &Hash) -> io::Result<u64> {
        match tokio::fs::metadata(self.of(sender, hash)).await {
            Ok(file) => Ok(file.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// A paper that comes in one go; what is not finished is gone when it is dropped.
    pub async fn begin(&self) -> io::Result<Arrival> {
        let folder = self.unfinished().join(WHOLE);
        let path = folder.join(Entropy::System.uuid());
        let file = opened(folder, path.clone(), false).await?;
        Arrival::new(self.clone(), path, file, None).await
    }

    /// Goes on with a paper of this sender where it stopped. Whoever writes it now is
    /// told to stop, and waited for. Refused if the sender has too many of them.
    pub async fn resume(&self, sender: &Sender, hash: &Hash) -> io::Result<Result<Arrival, Code>> {
        let path = self.of(sender, hash);
        let Some(claim) = Claim::of(&path).await else { return Ok(Err(Code::PieceMisplaced)) };
        let folder = self.unfinished().join(sender.as_str());
        let (place, new) = (folder.clone(), path.clone());
        let room = move || make_room(&place, &new, wall());
        if !spawn_blocking(room).await.map_err(io::Error::other)?? {
            return Ok(Err(Code::PapersUnfinished));
        }
        let file = opened(folder, path.clone(), true).await?;
        Arrival::new(self.clone(), path, file, Some(claim)).await.map(Ok)
    }

    /// How many unfinished papers lie here, and their bytes.
    pub fn count_unfinished(&self) -> io::Result<(usize, u64)> {
        let files = all(&self.unfinished())?;
        Ok((files.len(), files.iter().map(|file| file.size).sum()))
    }

    /// Throws away what was not touched for a week; how many.
    pub async fn sweep(&self, now: Timestamp) -> io::Result<usize> {
        let folder = self.unfinished();
        let sweep = move || {
            let mut swept = 0;
            for file in all(&folder)? {
                let whole = file.path.parent().is_some_and(|parent| parent.ends_with(WHOLE));
                let old = if whole { OLD_WHOLE } else { OLD };
                if now.0 - file.touched >= old && !Claim::is_held(&file.path) {
                    fs::remove_file(&file.path)?;
                    swept += 1;
                }
            }
            Ok(swept)
        };
        spawn_blocking(sweep).await.map_err(io::Error::other)?
    }
}

struct Unfinished {
    path: PathBuf,
    size: u64,
    /// In milliseconds, by the machine's clock.
    touched: i64,
}

/// The files of every sender.
fn all(folder: &Path) -> io::Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    for sender in listed(folder)? {
        found.extend(files(&sender.path())?);
    }
    Ok(found)
}

fn files(folder: &Path) -> io::Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    for entry in listed(folder)? {
        let about = match entry.metadata() {
            // It was finished meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            about => about?,
        };
        let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let touched = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        found.push(Unfinished { path: entry.path(), size: about.len(), touched });
    }
    Ok(found)
}

fn listed(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether a sender's folder has room for this paper; makes some if it can.
fn make_room(folder: &Path, new: &Path, now: Timestamp) -> io::Result<bool> {
    if new.exists() {
        return Ok(true);
    }
    let here = files(folder)?;
    if here.len() < MOST {
        return Ok(true);
    }
    let idle = here.into_iter().filter(|file| now.0 - file.touched >= IDLE);
    match idle.filter(|file| !Claim::is_held(&file.path)).min_by_key(|file| file.touched) {
        Some(oldest) => fs::remove_file(oldest.path).map(|()| true),
        None => Ok(false),
    }
}

/// Opens an unfinished paper at its end; the name of one that may `go_on` is on the disk
/// when this returns.
async fn opened(folder: PathBuf, path: PathBuf, go_on: bool) -> io::Result<tokio::fs::File> {
    let open = move || {
        fs::create_dir_all(&folder)?;
        let new = go_on && !path.exists();
        let file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        if new {
            fs::File::open(&folder)?.sync_all()?;
        }
        Ok(tokio::fs::File::from_std(file))
    };
    spawn_blocking(open).await.map_err(io::Error::other)?
}
