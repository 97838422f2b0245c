//! 外部见证 An outside auditor's witness: asks offices for the heads of their logs, and
//! cosigns each that goes on from the one before. The office that knows its key keeps the
//! cosignature beside those of other offices.
//!
//! ```text
//! <folder>/witness.key     32 bytes, made at the first turn, never leaves the folder
//!          witness.json    what was cosigned last of each log; on the disk before anything else
//!          heads/<log>     the newest head with its cosignature: an anchor for `--since`
//!          forks/<log>.fork  two heads that contradict each other
//! ```
//! What a reader would get wrong: a witness whose `witness.json` is gone while its key is
//! there signs nothing. It would be led into a fork; it gets a new folder and a new key.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::Method;
use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner, Verifier},
    proof::AddCheckpoint,
    witness::{Judged, Seen, judge},
};
use serde::Serialize;
use web::client::{Client, Reply};

const KEY: &str = "witness.key";
const STATE: &str = "witness.json";
/// How long an office may take: one that never answers holds up no other.
const PATIENCE: Duration = Duration::from_secs(20);

/// A log that is watched.
#[derive(Debug)]
struct Watched {
    /// The office's address.
    url: String,
    /// The log's verifier key, as the auditor pinned it.
    key: Verifier,
}

/// What came of one log in one turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// The log.
    pub log: String,
    /// How many entries its newest cosigned head has.
    pub size: u64,
    /// A stable word: `cosigned`, `unchanged`, `behind`, `fork`, `silent` or `refused`.
    pub code: &'static str,
    /// Whether the office keeps the cosignature.
    pub counts: bool,
    /// Why, where there is more to say.
    pub detail: String,
}

/// The witness.
pub struct Witness {
    folder: PathBuf,
    signer: NoteSigner,
    logs: Vec<Watched>,
    seen: BTreeMap<String, Seen>,
    /// The heads that their offices keep, by log.
    kept: BTreeMap<String, String>,
    client: Client,
    /// Held as long as the witness is at work: two would forget what the other signed.
    _lock: File,
}

impl Witness {
    /// A witness of the logs in a list, `<address> <verifier key>` a line; `#` begins a
    /// remark. A new folder gets a key under this name.
    pub fn open(folder: &Path, name: &str, list: &str, client: Client) -> io::Result<Self> {
        let mut logs = Vec::new();
        for (number, line) in (1..).zip(list.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let watched = line.split_once(' ').and_then(|(url, key)| {
                let url = url.trim_end_matches('/').to_owned();
                Some(Watched { url, key: Verifier::parse(key.trim()).ok()? })
            });
            let bad = || io::Error::other(format!("line {number}: <address> <verifier key>"));
            logs.push(watched.ok_or_else(bad)?);
        }
        if logs.is_empty() {
            return Err(io::Error::other("there is no log to watch"));
        }
        fs::create_dir_all(folder.join("heads"))?;
        fs::create_dir_all(folder.join("forks"))?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another witness works in this folder"))?;
        let (key, state) = (folder.join(KEY), folder.join(STATE));
        let new = !key.exists();
        if !new && !state.exists() {
            return Err(io::Error::other(
                "witness.json is gone: what was cosigned is not known. Begin a new folder, with a new key",
            ));
        }
        let seed: [u8; 32] = if new {
            kept(&state, b"{}")?;
            let seed = made_seed()?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key)?;
            file.write_all(&seed)?;
            file.sync_all()?;
            seed
        } else {
            let bytes = fs::read(&key)?;
            bytes.try_into().map_err(|_| io::Error::other("witness.key has not 32 bytes"))?
        };
        let signer =
            NoteSigner::of_seed(name, Kind::Cosignature, &seed).map_err(io::Error::other)?;
        let seen = serde_json::from_slice(&fs::read(state)?)?;
        let (folder, kept) = (folder.to_owned(), BTreeMap::new());
        Ok(Self { folder, signer, logs, seen, kept, client, _lock: lock })
    }

    /// The key that policies name.
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    /// One turn over all logs.
    pub async fn turn(&mut self) -> Vec<Turn> {
        let mut turns = Vec::new();
        for at in 0..self.logs.len() {
            let mut turn = match self.one(at).await {
                Ok(turn) => turn,
                Err(No { code, why }) => {
                    let log = self.logs[at].key.name().to_owned();
                    let size = self.size(&log);
                    Turn { log, size, code, counts: false, detail: why.to_string() }
                }
            };
            if matches!(turn.code, "cosigned" | "unchanged") {
                match self.bring(at).await {
                    Ok(counts) => turn.counts = counts,
                    Err(why) => turn.detail = why.to_string(),
                }
            }
            turns.push(turn);
        }
        turns
    }

    fn size(&self, log: &str) -> u64 {
        let seen = self.seen.get(log).and_then(|seen| Note::parse(&seen.head).ok());
        seen.and_then(|note| Checkpoint::parse(&note.text).ok()).map_or(0, |head| head.size)
    }

    async fn one(&mut self, at: usize) -> Result<Turn, No> {
        let Watched { url, key } = &self.logs[at];
        let log = key.name().to_owned();
        let epoch = log.rsplit('/').next().unwrap_or_default();
        let silent = |why| No { code: "silent", why };
        let head = self.get(&format!("{url}/log/{epoch}/checkpoint")).await.map_err(silent)?;
        let note = Note::parse(&head)?;
        let new = Checkpoint::parse(&note.text)?.size;
        let old = self.size(&log);
        let known = self.seen.contains_key(&log);
        let lines = if known && new > old {
            let path = format!("{url}/log/{epoch}/consistency?old={old}&new={new}");
            self.get(&path).await.map_err(silent)?
        } else {
            String::new()
        };
        let asked = AddCheckpoint::parse(&format!("old {old}\n{lines}\n{note}"));
        let asked = asked?;
        let judged = judge(self.seen.get(&log), &asked, key)?;
        let turn = |size, code, detail: &str| {
            Ok(Turn { log: log.clone(), size, code, counts: false, detail: detail.to_owned() })
        };
        match judged {
            Judged::GoesOn(said, _) if known && said.size == old => turn(old, "unchanged", ""),
            Judged::GoesOn(said, mut head) => {
                let seconds = u64::try_from(kernel::clock::wall().0 / 1000).unwrap_or_default();
                head.lines.push(self.signer.sign(&head.text, seconds));
                let seen = Seen { key: key.to_string(), head: head.to_string(), forked: false };
                self.keep(&log, seen)?;
                kept(&self.folder.join("heads").join(file(&log)), head.to_string().as_bytes())?;
                turn(said.size, "cosigned", "")
            }
            Judged::Forked(fork) => {
                let bytes = serde_json::to_vec_pretty(&fork)?;
                let path = self.folder.join("forks").join(format!("{}.fork", file(&log)));
                kept(&path, &bytes)?;
                if let Some(seen) = self.seen.get(&log).cloned() {
                    self.keep(&log, Seen { forked: true, ..seen })?;
                }
                turn(old, "fork", &path.display().to_string())
            }
            // Its newest is not cosigned by others yet, or it was put back to an older copy.
            Judged::Stale if new < old => turn(old, "behind", "it shows an older head"),
            Judged::Stale => {
                turn(old, "refused", "the new head does not go on from the one that was cosigned")
            }
        }
    }

    /// Brings the office what was cosigned of its log, once; whether it keeps it. One that
    /// does not know the key loses nothing: the head lies in `heads` all the same.
    async fn bring(&mut self, at: usize) -> io::Result<bool> {
        let Watched { url, key } = &self.logs[at];
        let log = key.name();
        let Some(Seen { head, .. }) = self.seen.get(log) else { return Ok(false) };
        if self.kept.get(log) == Some(head) {
            return Ok(true);
        }
        let epoch = log.rsplit('/').next().unwrap_or_default();
        let url = format!("{url}/log/{epoch}/cosignature");
        let body = serde_json::to_vec(&serde_json::json!({"head": head}))?;
        let headers = [("content-type", "application/json")];
        match self.ask(Method::POST, &url, &headers, body).await?.status {
            200 => self.kept.insert(log.to_owned(), head.clone()),
            // It may be told of the key later.
            403 | 404 => return Ok(false),
            status => return Err(io::Error::other(format!("{url}: {status}"))),
        };
        Ok(true)
    }

    fn keep(&mut self, log: &str, seen: Seen) -> io::Result<()> {
        self.seen.insert(log.to_owned(), seen);
        kept(&self.folder.join(STATE), &serde_json::to_vec_pretty(&self.seen)?)
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> io::Result<Reply> {
        let asked = self.client.send(method, url, headers, body);
        let answered = tokio::time::timeout(PATIENCE, asked).await;
        answered?.map_err(io::Error::other)
    }

    async fn get(&self, url: &str) -> io::Result<String> {
        let reply = self.ask(Method::GET, url, &[], Vec::new()).await?;
        if reply.status != 200 {
            return Err(io::Error::other(format!("{url}: {}", reply.status)));
        }
        String::from_utf8(reply.body.to_vec()).map_err(io::Error::other)
    }
}

/// Why a turn came to nothing.
struct No {
    code: &'static str,
    why: io::Error,
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for No {
    fn from(error: E) -> Self {
        Self { code: "refused", why: io::Error::other(error) }
    }
}

/// The file of a log.
fn file(log: &str) -> String {
    log.replace('/', "-")
}

fn made_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut seed)?;
    Ok(seed)
}

/// Writes a file whole or not at all, on the disk when this returns.
fn kept(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Hidden: whoever takes every head of the folder does not take half of one.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
