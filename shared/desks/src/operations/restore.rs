//! Putting a backup back where nothing is.
//!
//! What a reader would get wrong: a restored store is older than what the office has
//! sent. It is put back as it is and refuses to record (`log-behind`) until its log is
//! whole again; nothing here makes it look newer than it is.

use std::{
    fs,
    path::{Component, Path},
};

use ::vault::{Share, Vault};
use event_store::Engine;
use kernel::sign::Hash;

use super::backup::{ESCROW, MANIFEST, Manifest, VAULT, copy_all, engine, run, said, synced};
use crate::{config::OfficeConfig, joining::Membership};

/// Puts an office's store and papers back; refuses where a store is.
pub async fn store(
    config: &OfficeConfig,
    membership: &Membership,
    from: &Path,
) -> Result<Manifest, String> {
    let folder = from.join(membership.seat.office.as_str());
    let manifest = proven(&folder, "store")?;
    let engine = engine(config, membership);
    let name = if matches!(engine, Engine::Sqlite(_)) { "sqlite" } else { "postgres" };
    if manifest.engine != name {
        let why =
            format!("the backup is of {}, the office is configured for {name}", manifest.engine);
        return Err(why);
    }
    let _lock = free(&engine).await?;
    for papers in ["papers", "hub"] {
        copy_all(&folder.join(papers), &config.data.join(papers)).map_err(said)?;
    }
    match &engine {
        Engine::Sqlite(data) => {
            // Whole or not at all: the name comes last.
            let next = data.join("office.db.restoring");
            fs::copy(folder.join("office.db"), &next).map_err(said)?;
            synced(&next).map_err(said)?;
            fs::rename(&next, data.join("office.db")).map_err(said)?;
            synced(data).map_err(said)?;
        }
        Engine::Postgres { url, .. } => {
            let dump = folder.join("office.dump").display().to_string();
            run("pg_restore", url, &["--single-transaction", "--no-owner", &dump])?;
        }
    }
    Ok(manifest)
}

/// Puts an office's keys back into an empty key folder.
pub fn keys(config: &OfficeConfig, from: &Path) -> Result<Manifest, String> {
    let manifest = proven(from, "keys")?;
    let taken = fs::read_dir(&config.keys).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(format!("{}: there are keys already", config.keys.display()));
    }
    let keys = messaging::keys::Keys::at(&config.keys).map_err(said)?;
    // The escrow's files are not put back: officers open them, by a step of its own.
    let kept = manifest.files.iter().filter(|file| !file.path.starts_with(ESCROW));
    for file in kept {
        let bytes = fs::read(from.join(&file.path)).map_err(said)?;
        keys.write(&file.path, &bytes).map_err(said)?;
    }
    Ok(manifest)
}

/// Makes the vault again of what a backup of the keys holds of its escrow and of the
/// officers' shares, as typed: how many scope keys there are in it. Refuses where one is.
pub fn vault(config: &OfficeConfig, from: &Path, shares: &[String]) -> Result<usize, String> {
    proven(from, "keys")?;
    let wrong = "份额抄写有误 / a share was not typed as it is on its paper";
    let read = |(at, text): (usize, &String)| {
        Share::parse(text).ok_or_else(|| format!("{}: {wrong}", at + 1))
    };
    let shares: Vec<Share> = shares.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let key = ::vault::escrow::join(&shares).map_err(said)?;
    let folder = config.keys.join(VAULT);
    crate::sealing::make_folder(&folder)?;
    let passphrase = crate::sealing::passphrase(config)?;
    let given = passphrase.as_ref().map(|text| text.trim_ascii_end());
    Vault::recover(&from.join(ESCROW), &key, &folder, given).map_err(said)
}

/// Reads a backup's manifest and holds every file against it.
pub fn proven(folder: &Path, what: &str) -> Result<Manifest, String> {
    let path = folder.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(said)?;
    if manifest.form != super::backup::FORM || manifest.what != what {
        return Err(format!("{}: not a backup of {what}", path.display()));
    }
    for file in &manifest.files {
        let within = Path::new(&file.path).components().all(|c| matches!(c, Component::Normal(_)));
        let path = folder.join(&file.path);
        let read = fs::File::open(&path).and_then(Hash::of_all);
        if !within || read.ok() != Some((file.size, file.hash)) {
            return Err(format!("{}: not what the manifest says", path.display()));
        }
    }
    Ok(manifest)
}

/// Refuses where a store is, or where a process has one open.
async fn free(engine: &Engine) -> Result<Option<fs::File>, String> {
    let lock = engine.lock().map_err(said)?;
    if !engine.exists().await.map_err(said)? {
        return Ok(lock);
    }
    Err(match engine {
        Engine::Sqlite(data) => {
            let why = "there is a store already; put it aside first, never delete it";
            format!("{}: {why}", data.display())
        }
        Engine::Postgres { schema, .. } => {
            let why = "there is such a schema already; rename it first, never drop it";
            format!("{schema}: {why}")
        }
    })
}
