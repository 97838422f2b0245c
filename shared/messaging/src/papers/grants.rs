//! Who may send and fetch which paper at the hub: whom an entry named.

use std::{io, path::PathBuf};

use kernel::{Audience, Fact, OfficeId, sign::Hash};
use serde::Deserialize;

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
