//! Papers: files named by the SHA-256 of their bytes.
//!
//! An entry names the hash; the bytes go over HTTPS. At the hub a paper may be
//! fetched by the offices that an entry named as its readers, and by nobody else.

use std::{
    io,
    path::{Path, PathBuf},
};

use kernel::{Audience, Fact, OfficeId, sign::Hash};
use serde::Deserialize;

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
        let hash = Hash::of(&[&bytes]);
        let path = self.path(&hash);
        let write = move || {
            if path.exists() {
                return Ok(());
            }
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let next = path.with_extension(format!("{:?}", std::thread::current().id()));
            let mut file = std::fs::File::create(&next)?;
            io::Write::write_all(&mut file, &bytes)?;
            file.sync_all()?;
            std::fs::rename(&next, &path)?;
            std::fs::File::open(folder)?.sync_all()
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        Ok(hash)
    }

    /// The bytes, if they are here and still what their name says.
    pub async fn get(&self, hash: &Hash) -> io::Result<Option<Vec<u8>>> {
        match tokio::fs::read(self.path(hash)).await {
            Ok(bytes) if Hash::of(&[&bytes]) == *hash => Ok(Some(bytes)),
            Ok(_) => {
                tracing::error!(paper = %hash, "a paper's bytes do not have its hash any more");
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the paper is here.
    pub fn has(&self, hash: &Hash) -> bool {
        self.path(hash).exists()
    }
}

/// Who may send and fetch which paper at the hub.
#[derive(Clone, Debug)]
pub struct Grants {
    folder: PathBuf,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    papers: Vec<Hash>,
}

/// The papers that an entry names.
pub(crate) fn named(fact: &Fact) -> Vec<Hash> {
    fact.read::<Named>().map(|named| named.papers).unwrap_or_default()
}

impl Grants {
    /// Grants in a folder beside the hub's papers.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Notes the readers of an entry that names papers; on the disk when this returns.
    pub(crate) async fn note(&self, fact: &Fact) {
        let (Audience::Up(reader) | Audience::To(reader)) = &fact.audience else { return };
        for hash in named(fact) {
            for office in [reader, &fact.at.origin] {
                let (all, office) = (self.folder.clone(), office.to_string());
                let folder = all.join(hash.to_string());
                let note = move || {
                    std::fs::create_dir_all(&folder)?;
                    std::fs::File::create(folder.join(office))?.sync_all()?;
                    std::fs::File::open(&folder)?.sync_all()?;
                    std::fs::File::open(&all)?.sync_all()
                };
                let noted = tokio::task::spawn_blocking(note).await;
                if let Err(error) = noted.unwrap_or_else(|lost| Err(io::Error::other(lost))) {
                    tracing::error!(paper = %hash, %error, "a paper's reader could not be noted");
                }
            }
        }
    }

    /// Whether an entry named this office as origin or reader of the paper.
    pub fn allow(&self, hash: &Hash, office: &OfficeId) -> bool {
        self.folder.join(hash.to_string()).join(office.as_str()).exists()
    }
}
