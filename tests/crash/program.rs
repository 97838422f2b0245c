//! Starting the office under test, and its audit.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::audit::Verdict;

/// Where `crash-office` lies: beside this program, or a folder above a test.
pub fn office() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let beside = here.parent().unwrap();
    let places = [beside, beside.parent().unwrap()].map(|folder| folder.join("crash-office"));
    places
        .into_iter()
        .find(|path| path.exists())
        .expect("crash-office is built beside this program")
}

/// Audits a folder against what the office said.
pub fn audit(folder: &Path, turns: usize, said: &str, postgres: &[String]) -> Verdict {
    let file = folder.with_extension("said");
    std::fs::write(&file, said).unwrap();
    let output = Command::new(office())
        .arg("check")
        .arg(folder)
        .arg(turns.to_string())
        .arg(&file)
        .args(postgres)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| Verdict {
        torn: vec![format!("the audit failed: {}", String::from_utf8_lossy(&output.stderr))],
        ..Verdict::default()
    })
}

/// Runs a system program that must succeed; what it printed.
pub fn must(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
