//! The store: what is kept is there again, what was forgotten is nowhere.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{disk::put, *};
use crate::{OrganKey, grant::Purpose};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("liandong-vault-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let named = |file: fs::DirEntry| {
            (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap())
        };
        fs::read_dir(&self.0).unwrap().map(|file| named(file.unwrap())).collect()
    }

    fn put_back(&self, files: &BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in files {
            put(&self.0.join(name), bytes).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn key(text: &str, byte: u8) -> ScopeKey {
    ScopeKey::of(scope(text), [byte; 32])
}

#[test]
fn what_is_kept_is_there_after_a_start() {
    for passphrase in [None, Some(&b"wu kou xiang chuan"[..])] {
        let folder = Folder::new(if passphrase.is_some() { "locked" } else { "open" });
        let vault = Vault::open(&folder.0, passphrase).unwrap();
        let organ = OrganKey::of_seed(&[3; 32]);
        let purpose = Purpose { id: "g1", what: "receipt" };
        let grant = Grant::to(&key("case:x#1", 7), &organ.public(), &purpose).unwrap();
        vault.keep(&key("case:x#1", 7)).unwrap();
        vault.keep_grant("g1", &scope("case:x#1"), &grant).unwrap();
        drop(vault);
        let vault = Vault::open(&folder.0, passphrase).unwrap();
        assert_eq!(vault.key(&scope("case:x#1")).unwrap().secret(), &[7; 32]);
        assert_eq!(vault.grant("g1"), Some(grant));
        assert!(vault.key(&scope("case:x#2")).is_none() && vault.grant("g2").is_none());
        // One key and one file, whatever was written before.
        assert_eq!(folder.files().len(), 2);
    }
}

#[test]
fn what_was_forgotten_opens_from_no_copy_taken_afterwards() {
    let folder = Folder::new("forget");
    let vault = Vault::open(&folder.0, None).unwrap();
    vault.keep(&key("subject:s1#1", 7)).unwrap();
    vault.keep(&key("subject:s2#1", 8)).unwrap();
    let organ = OrganKey::of_seed(&[3; 32]);
    let purpose = Purpose { id: "g1", what: "opening" };
    let grant = Grant::to(&key("subject:s1#1", 7), &organ.public(), &purpose).unwrap();
    vault.keep_grant("g1", &scope("subject:s1#1"), &grant).unwrap();
    let before = folder.files();
    assert!(vault.forget(&[scope("subject:s1#1")]).unwrap());
    let after = folder.files();
    assert!(after.len() == 2 && before.keys().all(|name| !after.contains_key(name)));
    assert!(!vault.forget(&[scope("subject:s1#1")]).unwrap());
    assert!(vault.key(&scope("subject:s1#1")).is_none() && vault.grant("g1").is_none());
    assert_eq!(vault.key(&scope("subject:s2#1")).unwrap().secret(), &[8; 32]);
    // The sealed file of before, in some backup, under the keys that there are now: noise.
    drop(vault);
    let sealed: BTreeMap<_, _> =
        before.into_iter().filter(|(name, _)| name.ends_with("sealed")).collect();
    folder.put_back(&sealed);
    let vault = Vault::open(&folder.0, None).unwrap();
    assert!(vault.key(&scope("subject:s1#1")).is_none());
    assert_eq!(vault.key(&scope("subject:s2#1")).unwrap().secret(), &[8; 32]);
    assert_eq!(folder.files().len(), 2, "the file of before is gone");
}

#[test]
fn a_stop_between_two_steps_loses_nothing() {
    let folder = Folder::new("steps");
    let vault = Vault::open(&folder.0, None).unwrap();
    vault.keep(&key("case:x#1", 7)).unwrap();
    let old = folder.files();
    vault.keep(&key("case:x#2", 8)).unwrap();
    drop(vault);
    // What was added is written whole at the next start.
    drop(Vault::open(&folder.0, None).unwrap());
    let new = folder.files();
    let part = |files: &BTreeMap<String, Vec<u8>>, half: &str| -> BTreeMap<String, Vec<u8>> {
        files
            .iter()
            .filter(|(n, _)| n.ends_with(half))
            .map(|(n, b)| (n.clone(), b.clone()))
            .collect()
    };
    // Key written; key and file written; the old key gone, the old file not yet.
    let steps = [
        (old.clone(), part(&new, "key"), 1),
        (old.clone(), new.clone(), 2),
        (part(&old, "sealed"), new.clone(), 2),
        (old, BTreeMap::from([("vault-9.key.next".to_owned(), vec![1; 5])]), 1),
    ];
    for (n, (one, two, keys)) in steps.into_iter().enumerate() {
        for file in fs::read_dir(&folder.0).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        folder.put_back(&one);
        folder.put_back(&two);
        let vault = Vault::open(&folder.0, None).unwrap();
        assert!(vault.key(&scope("case:x#1")).is_some(), "step {n}");
        assert_eq!(vault.key(&scope("case:x#2")).is_some(), keys == 2, "step {n}");
        vault.keep(&key("case:x#3", 9)).unwrap();
        drop(vault);
        assert!(Vault::open(&folder.0, None).unwrap().key(&scope("case:x#3")).is_some());
    }
}

#[test]
fn a_store_that_others_can_read_or_that_was_changed_does_not_open() {
    let folder = Folder::new("lax");
    let vault = Vault::open(&folder.0, Some(b"one")).unwrap();
    vault.keep(&key("case:x#1", 7)).unwrap();
    drop(vault);
    let refused = |passphrase: Option<&[u8]>| Vault::open(&folder.0, passphrase).err().unwrap();
    assert!(matches!(refused(Some(b"two")), Unkept::Shut(_)));
    assert!(matches!(refused(None), Unkept::Shut(_)));
    let file = folder.0.join("vault-1.sealed");
    let good = fs::read(&file).unwrap();
    let mut bent = good.clone();
    bent[5] ^= 1;
    put(&folder.0.join("vault-1.sealed"), &bent).unwrap();
    assert!(matches!(refused(Some(b"one")), Unkept::Shut(_)));
    put(&folder.0.join("vault-1.sealed"), &good).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(&file, 0o640).unwrap();
    assert!(matches!(refused(Some(b"one")), Unkept::Lax(_)));
    mode(&file, 0o600).unwrap();
    mode(&folder.0, 0o750).unwrap();
    assert!(matches!(refused(Some(b"one")), Unkept::Lax(_)));
    mode(&folder.0, 0o700).unwrap();
    let elsewhere = folder.0.join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert!(matches!(refused(Some(b"one")), Unkept::Lax(_)));
    fs::rename(&elsewhere, &file).unwrap();
    assert!(Vault::open(&folder.0, Some(b"one")).unwrap().key(&scope("case:x#1")).is_some());
}

#[test]
fn what_does_not_come_to_the_disk_is_not_kept_and_not_forgotten() {
    let folder = Folder::new("disk");
    let vault = Vault::open(&folder.0, None).unwrap();
    vault.keep(&key("case:x#1", 7)).unwrap();
    let away = folder.0.with_extension("away");
    fs::rename(&folder.0, &away).unwrap();
    assert!(matches!(vault.keep(&key("case:x#2", 8)), Err(Unkept::Disk(_))));
    assert!(matches!(vault.forget(&[scope("case:x#1")]), Err(Unkept::Disk(_))));
    assert!(vault.key(&scope("case:x#2")).is_none() && vault.key(&scope("case:x#1")).is_some());
    fs::rename(&away, &folder.0).unwrap();
    vault.keep(&key("case:x#2", 8)).unwrap();
    drop(vault);
    assert!(Vault::open(&folder.0, None).unwrap().key(&scope("case:x#2")).is_some());
}

#[test]
fn a_store_whose_newest_key_is_missing_begins_nothing_anew() {
    let folder = Folder::new("lone");
    let vault = Vault::open(&folder.0, None).unwrap();
    vault.keep(&key("case:x#1", 1)).unwrap();
    drop(vault);
    let files = folder.files();
    let newest = files.keys().find(|name| name.strip_suffix(".key").is_some()).unwrap().clone();
    fs::remove_file(folder.0.join(&newest)).unwrap();
    assert!(matches!(Vault::open(&folder.0, None), Err(Unkept::Shut(_))));
    // Nothing was written over: with its key it opens again.
    folder.put_back(&files);
    let vault = Vault::open(&folder.0, None).unwrap();
    assert!(vault.key(&scope("case:x#1")).is_some());
}

#[test]
fn what_is_added_is_one_more_line_until_the_next_start_or_forgetting() {
    let folder = Folder::new("added");
    let vault = Vault::open(&folder.0, None).unwrap();
    for n in 1..=4 {
        vault.keep(&key(&format!("case:x#{n}"), n)).unwrap();
    }
    let files = folder.files();
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["vault-1.added", "vault-1.key", "vault-1.sealed"]
    );
    // The same name with another key: the one before does not stay anywhere.
    vault.keep(&key("case:x#3", 99)).unwrap();
    assert_eq!(folder.files().keys().collect::<Vec<_>>(), ["vault-2.key", "vault-2.sealed"]);
    drop(vault);

    // Cut off at each byte: what was whole before the cut is there, and nothing is begun anew.
    let added = &files["vault-1.added"];
    let line = (added.len() - 16) / 3;
    for cut in (0..added.len()).step_by(7) {
        let mut short = files.clone();
        short.insert("vault-1.added".to_owned(), added[..cut].to_vec());
        clear(&folder);
        folder.put_back(&short);
        let vault = Vault::open(&folder.0, None).unwrap();
        let there = (1..=4).filter(|n| vault.key(&scope(&format!("case:x#{n}"))).is_some());
        assert!(there.count() > cut.saturating_sub(16) / (line + 2), "{cut}");
        assert!(!folder.files().contains_key("vault-1.added"), "written whole again");
    }
    let unfilled = [&added[..added.len() - 20], &[0; 20]].concat();
    let tails = [[added.clone(), vec![0; 64]].concat(), unfilled];
    // One bit of chance, of a length, of its complement, of what is sealed.
    let bent = [3, 16, 19, 22, 60].map(|at| bend(added, at));
    for (sound, bent) in tails
        .map(|tail| (true, tail))
        .into_iter()
        .chain(bent.map(|bent| (false, bent)))
        .chain([(false, swap(added))])
    {
        let mut other = files.clone();
        other.insert("vault-1.added".to_owned(), bent);
        clear(&folder);
        folder.put_back(&other);
        let opened = Vault::open(&folder.0, None);
        assert_eq!(opened.is_ok(), sound, "a tail of noughts was never filled");
        if sound {
            assert!(opened.unwrap().key(&scope("case:x#3")).is_some());
        }
    }
}

fn clear(folder: &Folder) {
    for file in fs::read_dir(&folder.0).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
}

fn bend(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bent = bytes.to_vec();
    bent[at] ^= 1;
    bent
}

/// The first two lines change places.
fn swap(bytes: &[u8]) -> Vec<u8> {
    let length = |at: usize| 8 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let first = 16 + length(16);
    let second = first + length(first);
    [&bytes[..16], &bytes[first..second], &bytes[16..first], &bytes[second..]].concat()
}

#[test]
fn officers_together_get_back_what_organs_hold_and_nothing_that_lies_apart() {
    let folder = Folder::new("escrow");
    let vault = Vault::open(&folder.0, Some(b"one")).unwrap();
    let organ = vault.organ("discipline-organ").unwrap();
    let officers: Vec<String> = ["p1", "p2", "p3"].map(str::to_owned).into();
    assert!(vault.prepare_escrow("one", &officers, 4).unwrap().is_none());
    assert!(Vault::escrowed(&folder.0).unwrap().is_empty(), "no escrow, nothing to copy");
    let other = vault.prepare_escrow("two", &officers, 2).unwrap().unwrap();
    let begun = vault.prepare_escrow("three", &officers, 2).unwrap().unwrap();
    assert_eq!(vault.prepare_escrow("three", &officers, 2).unwrap(), Some(begun), "a repeat");
    assert!(vault.escrow().is_none() && vault.share("p1").is_none(), "none counts yet");
    assert!(vault.begin_escrow(&begun).unwrap() && vault.begin_escrow(&begun).unwrap());
    assert!(!vault.begin_escrow(&other).unwrap(), "what did not come to count is gone");
    let shares: Vec<Share> = officers.iter().map(|who| vault.share(who).unwrap()).collect();
    vault.forget_share("p1", &shares[1].fingerprint()).unwrap();
    assert!(vault.share("p1").is_some(), "another one's paper");
    for (who, share) in officers.iter().zip(&shares) {
        vault.forget_share(who, &share.fingerprint()).unwrap();
    }
    assert!(vault.share("p1").is_none());
    let purpose = Purpose { id: "g1", what: "draft" };
    let grant = Grant::to(&key("case:x#1", 7), &organ.public(), &purpose).unwrap();
    vault.keep_grant("g1", &scope("case:x#1"), &grant).unwrap();
    vault.keep(&key("subject:s1#1", 8)).unwrap();
    vault.make_person("p1", "丹江口的水今年又涨了三尺").unwrap();

    // The disk is lost; a copy of the escrow's files is there, and two papers.
    let copied = Folder::new("escrow-copied");
    for file in Vault::escrowed(&folder.0).unwrap() {
        put(&copied.0.join(file.file_name().unwrap()), &fs::read(&file).unwrap()).unwrap();
    }
    drop(vault);
    clear(&folder);
    let found = escrow::join(&shares[1..]).unwrap();
    assert!(escrow::join(&shares[..1]).is_err());
    assert_eq!(Vault::recover(&copied.0, &found, &folder.0, Some(b"two")).unwrap(), 1);
    let vault = Vault::open(&folder.0, Some(b"two")).unwrap();
    assert_eq!(vault.organ("discipline-organ").unwrap().public(), organ.public());
    assert_eq!(vault.grant("g1"), Some(grant));
    assert!(vault.key(&scope("subject:s1#1")).is_none() && vault.persons().is_empty());
    assert!(vault.escrow().is_none(), "the shares were seen: another escrow is to be begun");
    // A vault that is open, or there, is not written over.
    let again = || Vault::recover(&copied.0, &found, &folder.0, Some(b"two")).unwrap_err();
    assert!(matches!(again(), Unkept::InUse(_)));
    drop(vault);
    let before = folder.files();
    assert!(matches!(again(), Unkept::Taken(_)));
    assert_eq!(folder.files(), before);
}

#[test]
fn a_persons_key_opens_by_the_persons_password_alone() {
    let folder = Folder::new("person");
    let vault = Vault::open(&folder.0, None).unwrap();
    let public = vault.make_person("p1", "丹江口的水今年又涨了三尺").unwrap();
    drop(vault);
    let vault = Vault::open(&folder.0, None).unwrap();
    assert!(vault.person("p1", "丹江口的水去年落了三尺半").is_none());
    assert!(vault.person("p2", "丹江口的水今年又涨了三尺").is_none());
    let own = vault.person("p1", "丹江口的水今年又涨了三尺").unwrap();
    let digest = kernel::sign::Hash::of(&[b"statement"]);
    let signature = own.sign_prehash(&digest).unwrap();
    assert!(public.verifies(&digest.0, &signature.0));
    vault.forget_person("p1").unwrap();
    assert!(vault.person("p1", "丹江口的水今年又涨了三尺").is_none());
}
