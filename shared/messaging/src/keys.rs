//! An office's key folder, which lies outside its data folder.
//!
//! `sent-up-to` stands here too: it is written and synced before anything is
//! sent, so that a log put back from an older copy is noticed without the hub.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use kernel::{
    Entropy,
    sign::{EventKey, Hash, PublicKey, Ring},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{directory::Pin, lives};

/// The file of the office's first event key.
const EVENT_KEY: &str = "event.key";

/// How far the office has sent its log, noted before sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentUpTo {
    /// The life of the log.
    pub epoch: u32,
    /// The last sequence sent.
    pub sequence: u64,
    /// The leaf hash of that entry.
    pub hash: Hash,
    /// The key that signed then: a lost store does not know of the turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// Uses a folder, made for its owner alone.
    pub fn at(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A key of 32 bytes, made at the first use.
    pub fn secret(&self, name: &str, entropy: &Entropy) -> io::Result<[u8; 32]> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                return bytes.try_into().map_err(|_| {
                    let why = format!("{}: not 32 bytes", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, why)
                });
            }
            // Whatever else keeps it from being read, the key is still there.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let mut secret = [0; 32];
        secret[..16].copy_from_slice(&entropy.bytes16());
        secret[16..].copy_from_slice(&entropy.bytes16());
        self.write(name, &secret)?;
        Ok(secret)
    }

    /// The office's first key; made at the first use.
    pub fn event_key(&self, entropy: &Entropy) -> io::Result<EventKey> {
        event_key(&self.secret(EVENT_KEY, entropy)?)
    }

    /// Every key that has signed entries and notes, or may once the log turns to it.
    pub fn ring(&self, entropy: &Entropy) -> io::Result<Ring> {
        let ring = Ring::of(self.event_key(entropy)?);
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name().to_string_lossy().into_owned();
            let key = name.strip_prefix("event-").and_then(|name| name.strip_suffix(".key"));
            if key.is_some() {
                ring.add(event_key(&self.secret(&name, entropy)?)?);
            }
        }
        let next = lives::next(self)?;
        let signs = next.as_ref().map(|next| next.opening.member.key);
        for lost in next.into_iter().flat_map(|next| next.before) {
            ring.add_lost(lost);
        }
        // What the log itself says comes later; without a log, the newest that is known.
        let noted = self.sent_up_to()?.and_then(|sent| sent.key);
        if let Some(newest) = noted.into_iter().chain(signs).find(|key| ring.turn_to(&key.id())) {
            tracing::debug!(key = ?newest, "the key that signed last");
        }
        Ok(ring)
    }

    /// Makes another event key; it is on the disk when this returns.
    pub fn new_event_key(&self, entropy: &Entropy) -> io::Result<EventKey> {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&entropy.bytes16());
        seed[16..].copy_from_slice(&entropy.bytes16());
        let key = event_key(&seed)?;
        let id = u64::from_be_bytes(key.public().id());
        self.write(&format!("event-{id:016x}.key"), &seed)?;
        Ok(key)
    }

    /// What the enrolment pinned.
    pub fn pin(&self) -> io::Result<Option<Pin>> {
        self.read("pin.json")
    }

    /// How far the log was sent.
    pub fn sent_up_to(&self) -> io::Result<Option<SentUpTo>> {
        self.read("sent-up-to")
    }

    /// The credentials for the hub.
    pub fn creds(&self) -> io::Result<String> {
        fs::read_to_string(self.folder.join("nats.creds"))
    }

    /// Reads a JSON file; `None` if it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a JSON file; it is on the disk when this returns.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        self.write(name, &serde_json::to_vec(value)?)
    }

    /// Takes a file away, if it is there.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes a file; it is on the disk, whole, when this returns.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (path, next) = (self.folder.join(name), self.folder.join(format!("{name}.next")));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

fn event_key(seed: &[u8; 32]) -> io::Result<EventKey> {
    EventKey::from_seed(seed)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an event key does not read"))
}
