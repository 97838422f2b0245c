//! A paper on its way in: written as it comes, a paper only when it is whole and has
//! its hash.

use std::{fs, io, path::PathBuf};

use kernel::sign::Hash;
use tokio::{fs::File, io::AsyncWriteExt, task::spawn_blocking};

use super::{MAX_PAPER, Papers, claim::Claim};

/// Why bytes were not written.
#[derive(Debug)]
pub enum Refused {
    /// It would be larger than a paper may be.
    TooLarge,
    /// The disk.
    Disk(io::Error),
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooLarge => Self::new(io::ErrorKind::FileTooLarge, "larger than a paper"),
            Refused::Disk(error) => error,
        }
    }
}

/// An unfinished paper, open at its end.
pub struct Arrival {
    papers: Papers,
    path: PathBuf,
    file: File,
    have: u64,
    /// Of one that may go on later.
    claim: Option<Claim>,
    /// Whether it cannot go on.
    once: bool,
}

impl Arrival {
    pub(super) async fn new(
        papers: Papers,
        path: PathBuf,
        file: File,
        claim: Option<Claim>,
    ) -> io::Result<Self> {
        let have = file.metadata().await?.len();
        let once = claim.is_none();
        Ok(Self { papers, path, file, have, claim, once })
    }

    /// How many bytes are here.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// Throws away what lies behind byte `end`.
    pub async fn keep_first(&mut self, end: u64) -> io::Result<()> {
        if end < self.have {
            self.file.set_len(end).await?;
            self.have = end;
        }
        Ok(())
    }

    /// Returns when the same sender goes on with it on another connection.
    pub async fn superseded(&mut self) {
        match &mut self.claim {
            Some(claim) => claim.superseded().await,
            None => std::future::pending().await,
        }
    }

    /// Writes what came.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if self.have + bytes.len() as u64 > MAX_PAPER as u64 {
            return Err(Refused::TooLarge);
        }
        self.file.write_all(bytes).await.map_err(Refused::Disk)?;
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Stops here for now: what came is on the disk when this returns.
    pub async fn pause(mut self) -> io::Result<u64> {
        self.file.flush().await?;
        self.file.sync_data().await?;
        Ok(self.have)
    }

    /// The same for a caller who is gone: what came is in the file, and nobody was told
    /// that it is on the disk. Whoever waits to go on waits no longer than that.
    pub async fn leave(mut self) -> io::Result<u64> {
        self.file.flush().await?;
        Ok(self.have)
    }

    /// Makes it a paper: the hash and size of what came. Nothing if `hash` says
    /// otherwise; then what came is thrown away.
    pub async fn finish(mut self, hash: Option<&Hash>) -> io::Result<Option<(Hash, u64)>> {
        self.file.flush().await?;
        let (papers, path, expected) = (self.papers.clone(), self.path.clone(), hash.copied());
        // Nobody may write on while it is read, even if nobody waits for the answer.
        let claim = self.claim.take();
        // Read again from the disk: most of it may have come before this process began.
        let finish = move || {
            let _claim = claim;
            let (size, hash) = Hash::of_all(fs::File::open(&path)?)?;
            if expected.is_some_and(|expected| expected != hash) {
                fs::remove_file(&path)?;
                return Ok(None);
            }
            let paper = papers.path(&hash);
            let here = fs::File::open(&paper).and_then(Hash::of_all);
            if here.is_ok_and(|(_, here)| here == hash) {
                fs::remove_file(&path)?;
                return Ok(Some((hash, size)));
            }
            fs::File::open(&path)?.sync_all()?;
            let folder = paper.parent().unwrap_or(&papers.folder);
            fs::create_dir_all(folder)?;
            fs::rename(&path, &paper)?;
            fs::File::open(folder)?.sync_all()?;
            fs::File::open(&papers.folder)?.sync_all()?;
            Ok(Some((hash, size)))
        };
        spawn_blocking(finish).await.map_err(io::Error::other)?
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.once {
            // If it became a paper, nothing has this name any more.
            let _ = fs::remove_file(&self.path);
        }
    }
}
