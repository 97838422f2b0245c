//! Papers: files named by the SHA-256 of their bytes.
//!
//! An entry names the hash; the bytes go over HTTPS, in pieces, and go on where they
//! stopped. At the hub a paper may be fetched by the offices that an entry named as
//! its readers, and by nobody else.
//!
//! What a reader would get wrong: bytes that have not all come are not a paper. They
//! lie in a folder of their own, and only what has its name's hash leaves it.

mod arrival;
mod claim;
mod grants;
mod unfinished;
mod wanted;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kernel::sign::Hash;
use tokio::task::spawn_blocking;

pub use arrival::{Arrival, Refused};
pub use grants::Grants;
pub(crate) use grants::named;
pub use unfinished::Sender;
pub use wanted::Wanted;

/// The largest paper, in bytes.
pub const MAX_PAPER: usize = 20 * 1024 * 1024;

/// A folder of papers.
#[derive(Clone, Debug)]
pub struct Papers {
    folder: PathBuf,
}

impl Papers {
    /// Papers in a folder, which is made when the first one comes.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        let name = hash.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Keeps bytes; they are on the disk when this returns.
    pub async fn keep(&self, bytes: Vec<u8>) -> io::Result<Hash> {
        let mut arrival = self.begin().await?;
        arrival.write(&bytes).await?;
        let kept = arrival.finish(None).await?;
        kept.map(|(hash, _)| hash).ok_or_else(|| io::Error::other("a hash was asked for"))
    }

    /// The bytes, if they are here and still what their name says.
    pub async fn get(&self, hash: &Hash) -> io::Result<Option<Vec<u8>>> {
        match tokio::fs::read(self.path(hash)).await {
            Ok(bytes) if Hash::of(&[&bytes]) == *hash => Ok(Some(bytes)),
            Ok(_) => self.spoiled(hash),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many bytes it has, if they are here and still what their name says. Reads
    /// them all, but holds few of them at a time.
    pub async fn check(&self, hash: &Hash) -> io::Result<Option<u64>> {
        let path = self.path(hash);
        let read = move || Hash::of_all(fs::File::open(path)?);
        match spawn_blocking(read).await.map_err(io::Error::other)? {
            Ok((size, found)) if found == *hash => Ok(Some(size)),
            Ok(_) => self.spoiled(hash),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file and its size, unread.
    pub async fn open(&self, hash: &Hash) -> io::Result<Option<(tokio::fs::File, u64)>> {
        match tokio::fs::File::open(self.path(hash)).await {
            Ok(file) => {
                let size = file.metadata().await?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the paper is here.
    pub fn has(&self, hash: &Hash) -> bool {
        self.path(hash).exists()
    }

    /// How many bytes it has, if it is here; nobody looks at them.
    pub async fn size(&self, hash: &Hash) -> io::Result<Option<u64>> {
        match tokio::fs::metadata(self.path(hash)).await {
            Ok(file) => Ok(Some(file.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a paper; one that is not here is gone already.
    pub fn forget(&self, hash: &Hash) -> io::Result<()> {
        match fs::remove_file(self.path(hash)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Sets aside a file that is not its paper any more: from now on the paper is not
    /// here, and may come again.
    fn spoiled<T>(&self, hash: &Hash) -> io::Result<Option<T>> {
        let path = self.path(hash);
        tracing::error!(paper = %hash, "a paper's bytes do not have its hash any more");
        fs::rename(&path, path.with_extension("spoiled"))?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
