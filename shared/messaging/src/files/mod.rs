//! The link by files, for networks that must not touch: a disc, a one-way gate.
//!
//! The same entries, notes and papers as over the wire travel in signed files,
//! [`parcel`]s. Each side's parcel says what it has taken in, and the other's next
//! one goes on from there; so a lost file, one that comes twice or out of order
//! loses and doubles nothing. What a reader would get wrong: nothing waits for an
//! answer, because there may never be one.

pub mod counter;
pub mod courier;
pub mod parcel;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use kernel::OfficeId;

/// How long a journey may take, if the configuration does not say.
pub const JOURNEY: Duration = Duration::from_hours(6);

/// The two folders that a carrier empties and fills.
#[derive(Clone, Debug)]
pub struct Tray {
    /// What is to be carried away.
    pub out: PathBuf,
    /// What was brought.
    pub brought: PathBuf,
}

impl Tray {
    /// The folders `out` and `in` below `folder`, made if they are missing.
    pub fn at(folder: &Path) -> io::Result<Self> {
        let tray = Self { out: folder.join("out"), brought: folder.join("in") };
        for folder in [&tray.out, &tray.brought, &tray.brought.join("done")] {
            fs::create_dir_all(folder)?;
        }
        fs::create_dir_all(tray.brought.join("refused"))?;
        Ok(tray)
    }

    /// Puts a file out; it is whole on the disk before it has its name.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        put(&self.out, name, bytes)
    }

    /// What was brought and ends with `.<kind>`, in the order of its names.
    pub fn brought(&self, kind: &str) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.brought)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == kind) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Puts a brought file away: to what is `done`, or to what is `refused`.
    pub fn put_away(&self, path: &Path, done: bool) -> io::Result<()> {
        let folder = self.brought.join(if done { "done" } else { "refused" });
        fs::rename(path, folder.join(path.file_name().unwrap_or_default()))
    }

    /// Carries what was put out to a medium, all of it or the parcels for one `office`;
    /// it is synced there before it is removed here.
    pub fn carry_out(&self, medium: &Path, office: &str) -> io::Result<Vec<String>> {
        Self::carry(&self.out, medium, office, true)
    }

    /// Carries what is for `office` from a medium, which keeps it.
    pub fn carry_in(&self, medium: &Path, office: &str) -> io::Result<Vec<String>> {
        Self::carry(medium, &self.brought, office, false)
    }

    fn carry(from: &Path, to: &Path, office: &str, remove: bool) -> io::Result<Vec<String>> {
        let mut carried = Vec::new();
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let parcel = name.ends_with(".parcel") && name.starts_with(office);
            let enrolment = name.ends_with(".application") || name.ends_with(".admitted");
            if entry.file_type()?.is_file() && (parcel || enrolment) {
                files.push(entry.path());
            }
        }
        files.sort();
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            put(to, &name, &fs::read(&path)?)?;
            if remove {
                fs::remove_file(&path)?;
            }
            carried.push(name);
        }
        Ok(carried)
    }
}

/// A parcel's name: for whom, by whom, its number.
fn name(to: &OfficeId, by: &OfficeId, number: u64) -> String {
    format!("{to}-{by}-{number:08}.parcel")
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let next = folder.join(format!("{name}.next"));
    let mut file = fs::File::create(&next)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&next, folder.join(name))?;
    fs::File::open(folder)?.sync_all()
}
