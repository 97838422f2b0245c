//! A backup of one office, made while it runs or stands.
//!
//! The store is copied by its own engine as of one moment; the papers come after it,
//! because a paper is on the disk before an entry names it. The manifest is written
//! last: a folder without one is no backup. Keys go their own way, and `sent-up-to`
//! goes nowhere: put back, it would hide that the log is behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use event_store::{Engine, Reader, Readers};
use kernel::{OfficeId, Timestamp, clock::wall, sign::Hash};
use serde::{Deserialize, Serialize};
use vault::Vault;

use crate::{config::OfficeConfig, joining::Membership};

/// The vault's folder below the keys.
pub const VAULT: &str = "vault";
pub(super) const ESCROW: &str = "escrow";
/// The manifest's name.
pub const MANIFEST: &str = "backup.json";
pub(super) const FORM: &str = "liandong-backup-1";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub form: String,
    /// The office.
    pub office: OfficeId,
    /// `store` or `keys`.
    pub what: String,
    /// When it was made, by the machine's clock.
    pub made: Timestamp,
    /// The version of the program.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// The last own sequence in it.
    pub head: u64,
    /// Every file.
    pub files: Vec<File>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path below the backup's folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub hash: Hash,
}

/// The engine and place of an office's store.
pub fn engine(config: &OfficeConfig, membership: &Membership) -> Engine {
    config.engine(&membership.seat.office)
}

/// Backs the store and the papers up into a folder below `into`, named after the office.
pub async fn store(
    config: &OfficeConfig,
    membership: &Membership,
    into: &Path,
) -> Result<Manifest, String> {
    let engine = engine(config, membership);
    let folder = fresh(into, &membership.seat.office)?;
    let (name, head) = match &engine {
        Engine::Sqlite(data) => {
            if !data.join("office.db").exists() {
                return Err(format!("{}: there is no store", data.display()));
            }
            ("sqlite", copied(&engine, &folder.join("office.db")).await?)
        }
        Engine::Postgres { url, schema } => {
            // Asked before, so that the dump holds at least so much.
            let mut reader = Readers::new(1).take(&engine).await.map_err(said)?;
            let head = head(&mut reader, "writer").await?;
            let target = format!("--file={}", folder.join("office.dump").display());
            let schema = format!("--schema={schema}");
            run("pg_dump", url, &["--format=custom", "--no-owner", &schema, &target])?;
            ("postgres", head)
        }
    };
    for papers in ["papers", "hub"] {
        copy_all(&config.data.join(papers), &folder.join(papers)).map_err(said)?;
    }
    seal(&folder, membership, "store", name, head)
}

/// Copies the key folder, without `sent-up-to`, into a folder below `into`.
pub fn keys(
    config: &OfficeConfig,
    membership: &Membership,
    into: &Path,
) -> Result<Manifest, String> {
    let folder = fresh(into, &membership.seat.office)?;
    for entry in fs::read_dir(&config.keys).map_err(said)? {
        let entry = entry.map_err(said)?;
        let name = entry.file_name();
        let passing = name.to_string_lossy();
        if passing == "sent-up-to" || passing.ends_with(".next") || !entry.path().is_file() {
            continue;
        }
        copy(&entry.path(), &folder.join(&name)).map_err(said)?;
    }
    escrow(&config.keys.join(VAULT), &folder.join(ESCROW))?;
    seal(&folder, membership, "keys", "", 0)
}

/// Copies what the officers' papers open; the running office may write it anew meanwhile.
fn escrow(vault: &Path, into: &Path) -> Result<(), String> {
    for _ in 0..5 {
        let files = Vault::escrowed(vault).map_err(said)?;
        if files.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(into).map_err(said)?;
        let copied: io::Result<()> = files
            .iter()
            .try_for_each(|file| copy(file, &into.join(file.file_name().unwrap_or_default())));
        let still = Vault::escrowed(vault).map_err(said)?;
        if copied.is_ok() && still.first() == files.first() {
            return Ok(());
        }
        fs::remove_dir_all(into).map_err(said)?;
    }
    Err(format!("{}: changes all the time", vault.display()))
}

/// Copies a SQLite store as of one moment and looks whether the copy is sound: how far
/// its log goes.
async fn copied(engine: &Engine, copy: &Path) -> Result<u64, String> {
    let mut reader = Readers::new(1).take(engine).await.map_err(said)?;
    let copy = copy.display().to_string();
    reader.rows("VACUUM INTO $1", vec![copy.as_str().into()]).await.map_err(said)?;
    reader.rows("ATTACH $1 AS copy", vec![copy.into()]).await.map_err(said)?;
    let rows = reader.rows("PRAGMA copy.quick_check", vec![]).await.map_err(said)?;
    let verdict = rows.first().map_or(Ok(String::new()), |row| row.text(0)).map_err(said)?;
    if verdict != "ok" {
        return Err(format!("the copy is damaged: {verdict}"));
    }
    head(&mut reader, "copy.writer").await
}

async fn head(reader: &mut Reader, table: &str) -> Result<u64, String> {
    let sql = format!("SELECT sequence FROM {table} WHERE id = 1");
    let rows = reader.rows(&sql, vec![]).await.map_err(said)?;
    rows.first().ok_or("the store has no writer's row")?.count(0).map_err(said)
}

fn fresh(into: &Path, office: &OfficeId) -> Result<PathBuf, String> {
    let folder = into.join(office.as_str());
    if folder.exists() {
        return Err(format!("{}: is there already; a backup overwrites nothing", folder.display()));
    }
    fs::create_dir_all(&folder).map_err(said)?;
    private(&folder).map_err(said)?;
    Ok(folder)
}

fn seal(
    folder: &Path,
    membership: &Membership,
    what: &str,
    engine: &str,
    head: u64,
) -> Result<Manifest, String> {
    let mut files = Vec::new();
    list(folder, folder, &mut files).map_err(said)?;
    files.sort_by(|one: &File, two| one.path.cmp(&two.path));
    let manifest = Manifest {
        form: FORM.to_owned(),
        office: membership.seat.office.clone(),
        what: what.to_owned(),
        made: wall(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.to_owned(),
        head,
        files,
    };
    let bytes = serde_json::to_vec_pretty(&manifest).map_err(said)?;
    fs::write(folder.join(MANIFEST), bytes).map_err(said)?;
    synced(&folder.join(MANIFEST)).map_err(said)?;
    synced(folder).map_err(said)?;
    Ok(manifest)
}

/// Every file below `folder`, synced and hashed.
fn list(top: &Path, folder: &Path, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(top, &path, files)?;
            continue;
        }
        synced(&path)?;
        let (size, hash) = Hash::of_all(fs::File::open(&path)?)?;
        let path = path.strip_prefix(top).unwrap_or(&path).display().to_string();
        files.push(File { path, size, hash });
    }
    synced(folder)
}

pub(super) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        // A name with a dot holds papers of which some bytes are missing.
        if path.extension().is_some() {
            continue;
        }
        if path.is_dir() {
            copy_all(&path, &target)?;
        } else {
            copy(&path, &target)?;
        }
    }
    synced(to)
}

pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    synced(to)
}

pub(super) fn synced(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn private(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    let _ = folder;
    Ok(())
}

/// Runs one of PostgreSQL's own programs, of the newest version that is here. The
/// password goes by the environment: everybody on a machine sees arguments.
pub(super) fn run(program: &str, url: &str, arguments: &[&str]) -> Result<(), String> {
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        found.map(|entry| entry.path().join("bin").join(program)).collect();
    found.retain(|path| path.exists());
    found.sort();
    let path = found.pop().unwrap_or_else(|| PathBuf::from(program));
    let (url, password) = parted(url);
    let mut command = Command::new(&path);
    command.args(arguments).arg(format!("--dbname={url}"));
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    let output = command.output().map_err(|error| {
        format!("{program} is missing ({error}): install PostgreSQL's client programs, of the server's version or newer")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// An address without its password, and the password.
fn parted(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((who, host)) = rest[..end].rsplit_once('@') else { return whole() };
    let Some((user, password)) = who.split_once(':') else { return whole() };
    (format!("{scheme}://{user}@{host}{}", &rest[end..]), Some(plain(password)))
}

/// Percent-encoding undone.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let code = others.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.filter(|_| *first == b'%').and_then(|c| u8::from_str_radix(c, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_the_address() {
        let of = |url| parted(url);
        assert_eq!(
            of("postgres://u:p%40%2fw@h:5432/db?sslmode=require"),
            ("postgres://u@h:5432/db?sslmode=require".into(), Some("p@/w".into()))
        );
        for open in ["postgres://u@h/db?host=/tmp/a:b", "postgres://h/db", "host=h"] {
            assert_eq!(of(open), (open.into(), None));
        }
    }
}
