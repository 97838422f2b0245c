//! Disks that are taken away: by a power cut, or by somebody who fills them.
//!
//! These tests mount disks, which takes root, /dev/fuse and loop devices; where
//! they can't, `./deploy/test` says so and does not count them. More cuts, and
//! PostgreSQL: `cargo run -p tests --bin crash power`.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use event_store::Office;
use kernel::Code;
use tests::crash::{
    cuts::{Mounted, Trial, record},
    script::{Place, turn},
    tally::{Outcome, Tally, sound},
};

const SEED: u64 = 7;

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("liandong-{name}-{}", std::process::id()))
}

const QUIET: Trial =
    Trial { postgres: false, turns: 6, lose_syncs: false, write_error: None, restart: false };

fn cut(name: &str, trial: Trial, cuts: usize) -> (PathBuf, Vec<Outcome>) {
    let folder = folder(name);
    let recording = record(&folder, trial);
    let outcomes = recording.cut(&recording.moments(cuts, SEED), SEED);
    (folder, outcomes)
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_answered() {
    let (folder, outcomes) = cut("power", QUIET, 12);
    sound(&outcomes, 60, "crash power --turns 6 --image");
    let _ = fs::remove_dir_all(folder);
}

/// The rig must be able to see loss, else it proves nothing.
#[test]
fn a_power_cut_after_syncs_that_did_nothing_is_seen() {
    let (folder, outcomes) = cut("unsynced", Trial { lose_syncs: true, ..QUIET }, 6);
    assert!(Tally::of(&outcomes).lost > 0, "{}", Tally::of(&outcomes));
    let _ = fs::remove_dir_all(folder);
}

/// A disk of 16 MiB, another file on it that takes all its space, and the office.
async fn a_full_disk(mounted: Mounted) {
    let disk = mounted.folder().to_owned();
    let place = Place { folder: disk.join("office"), postgres: None };
    let office = Office::open(place.setting(&place.keys())).await.unwrap();
    let [drafts, feedback] = turn(0);
    let answer = drafts[0].ask(&office).await.unwrap();
    let ballast = disk.join("ballast");
    fill(&ballast);
    let mut refused = 0;
    let mut recorded = 1;
    for number in 1..200 {
        for command in &turn(number)[0] {
            match command.ask(&office).await {
                Ok(_) => recorded += 1,
                Err(refusal) => {
                    assert_eq!((refusal.code, refusal.code.status()), (Code::DiskFull, 507));
                    refused += 1;
                }
            }
        }
        if refused > 30 {
            break;
        }
    }
    assert!(refused > 30, "{recorded} commands were recorded on a full disk");
    let mut reader = office.reader().await.unwrap();
    let rows = reader.rows("SELECT COUNT(*) FROM entries", vec![]).await.unwrap();
    assert_eq!(rows[0].count(0).unwrap(), recorded, "reading goes on");
    assert_eq!(drafts[0].ask(&office).await.unwrap(), answer, "what was answered is answered");
    drop(reader);
    assert_eq!(office.check_views().await.unwrap(), None);
    fs::remove_file(ballast).unwrap();
    feedback[0].ask(&office).await.unwrap();
    assert_eq!(office.check_views().await.unwrap(), None);
    assert!(office.head() > recorded, "it records again without a restart");
    place.setting(&place.keys()).readers.forget(&place.engine());
}

/// Takes all the space there is.
fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(ballast).unwrap();
    for size in [1 << 16, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    let _ = file.sync_all();
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_only_writes_tmpfs() {
    let folder = folder("full-tmpfs");
    a_full_disk(Mounted::new("tmpfs", &folder, &["-t", "tmpfs", "-o", "size=16m"])).await;
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_only_writes_ext4() {
    let folder = folder("full-ext4");
    let image = folder.with_extension("img");
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    tests::crash::program::must("mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()]);
    a_full_disk(Mounted::new(image.to_str().unwrap(), &folder, &["-o", "loop"])).await;
    let _ = fs::remove_file(image);
}
