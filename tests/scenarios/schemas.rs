//! Every service keeps what its own description promises, asked by schemathesis.

use std::{path::Path, process::Stdio};

use tests::town::{CITY, DISTRICT, TOWN, Town};

/// Asks every route of an office, as somebody with a role; what did not agree.
async fn asked(town: &Town, code: &str, role: &str) -> Result<(), String> {
    let program = std::env::var("LIANDONG_SCHEMATHESIS")
        .expect("LIANDONG_SCHEMATHESIS is not set: run ./deploy/test");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis");
    let bearer = format!("Authorization: Bearer {}", town.api(code).token(role).unwrap());
    let done = tokio::process::Command::new(program)
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["run", &format!("{}/api/openapi.json", town.url(code))])
        .args(["--header", &bearer, "--checks", "all", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "4", "--seed", "7", "--no-shrink", "--continue-on-failure"])
        .args(["--no-color", "--request-timeout", "20"])
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&town.folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    eprintln!("{code} as {role}: {}", said.lines().rev().take(14).collect::<Vec<_>>().join(" | "));
    let said = said + &String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(said) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_keeps_what_its_description_promises() {
    let (town, mut broken) = (Town::start().await, Vec::new());
    for (code, role) in [
        (CITY, "SYS"),
        (CITY, "SECADM"),
        (CITY, "PLAN"),
        (DISTRICT, "PLAN"),
        (DISTRICT, "FILE"),
        (TOWN, "COM"),
    ] {
        if let Err(said) = asked(&town, code, role).await {
            broken.push(format!("{code} as {role}: {said}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
