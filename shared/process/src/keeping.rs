//! Backups of the offices of one configuration, made and put back.

use std::path::Path;

use desks::{
    config::OfficeConfig,
    joining::{MEMBERSHIP, Membership},
    operations::{
        backup::{self, Manifest},
        restore,
    },
};
use messaging::keys::Keys;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{Failed, write_out};

/// An office's place in the tree, from its key folder.
fn membership(config: &OfficeConfig) -> Result<Membership, Failed> {
    let folder = &config.keys;
    let keys = Keys::at(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let membership = keys.read(MEMBERSHIP).map_err(|error| error.to_string())?;
    let why = "no office was enrolled with these keys; put its keys back first";
    Ok(membership.ok_or_else(|| format!("{}: {why}", folder.display()))?)
}

fn say(done: &str, manifest: &Manifest) {
    let Manifest { office, head, files, made, .. } = manifest;
    let size: u64 = files.iter().map(|file| file.size).sum();
    let count = files.len();
    write_out(&format!(
        "{office}: {done}: up to entry {head}, {count} files, {size} bytes, of {made}\n"
    ));
}

pub(crate) async fn backup(configs: &[OfficeConfig], folder: &Path) -> Result<(), Failed> {
    for config in configs {
        say("backed up", &backup::store(config, &membership(config)?, folder).await?);
    }
    Ok(())
}

pub(crate) async fn restore(configs: &[OfficeConfig], folder: &Path) -> Result<(), Failed> {
    for config in configs {
        say("put back", &restore::store(config, &membership(config)?, folder).await?);
    }
    Ok(())
}

pub(crate) fn backup_keys(configs: &[OfficeConfig], folder: &Path) -> Result<(), Failed> {
    for config in configs {
        say("keys copied", &backup::keys(config, &membership(config)?, folder)?);
    }
    Ok(())
}

pub(crate) fn restore_keys(configs: &[OfficeConfig], folder: &Path) -> Result<(), Failed> {
    let [config] = configs else {
        return Err(Failed(
            2,
            "name a configuration of one office: keys are put back singly".into(),
        ));
    };
    say("keys put back", &restore::keys(config, folder)?);
    Ok(())
}

/// What is typed is not shown, for as long as this lives; a pipe has no terminal to quiet.
struct Unseen(Option<Termios>);

impl Unseen {
    fn of_input() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet);
            write_out("one share a line, not shown as it is typed; an empty line ends\n");
        }
        Self(before)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}

pub(crate) fn recover_vault(configs: &[OfficeConfig], folder: &Path) -> Result<(), Failed> {
    let [config] = configs else {
        return Err(Failed(2, "name a configuration of one office: a vault is made singly".into()));
    };
    let _unseen = Unseen::of_input();
    let mut shares = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim().is_empty() {
            break;
        }
        shares.push(line);
    }
    let keys = restore::vault(config, folder, &shares)?;
    write_out(&format!("the vault is there again, with {keys} keys and grants of clues\n"));
    Ok(())
}
