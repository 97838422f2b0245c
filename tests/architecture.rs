//! The shape of the workspace, checked. A rule that nobody checks is a wish.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Who may know whom. A crate that is not listed may know nobody.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("telemetry", &["kernel"]),
    ("policy", &["kernel"]),
    ("vault", &["kernel"]),
    ("ledger", &["kernel"]),
    ("domain", &["kernel"]),
    ("event-store", &["kernel", "telemetry"]),
    ("messaging", &["kernel", "domain", "event-store", "ledger", "telemetry"]),
    ("access", &["kernel", "domain", "event-store", "vault"]),
    ("web", &["kernel", "domain", "event-store", "access", "messaging", "telemetry", "vault"]),
    (
        "desks",
        &[
            "kernel",
            "domain",
            "policy",
            "event-store",
            "access",
            "ledger",
            "messaging",
            "telemetry",
            "vault",
            "web",
        ],
    ),
    ("pages", &["access", "domain", "kernel", "web"]),
    // It folds what each tier folds.
    (
        "auditor",
        &[
            "city",
            "desks",
            "district",
            "domain",
            "event-store",
            "kernel",
            "ledger",
            "township",
            "web",
        ],
    ),
    ("process", &["desks", "event-store", "kernel", "messaging", "telemetry", "web"]),
    ("testkit", &["kernel", "event-store"]),
    ("city", &["desks", "event-store", "kernel", "pages", "process", "web"]),
    ("district", &["desks", "event-store", "kernel", "pages", "process", "web"]),
    ("township", &["desks", "event-store", "kernel", "pages", "process", "web"]),
    ("deploy", &["access", "desks", "domain", "kernel", "messaging", "web"]),
];

/// What rules must never touch: anything that waits, or that a test cannot fix.
const IMPURE: &[&str] = &[
    "async ",
    ".await",
    "sqlx",
    "axum",
    "tokio",
    "async_nats",
    "SystemTime",
    "wall()",
    "Entropy",
    "HashMap",
    "HashSet",
];

#[test]
fn crates_know_only_whom_they_may() {
    let root = root();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(&root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut strays = Vec::new();
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "tests" {
            continue;
        }
        seen += 1;
        let allowed = MAY_KNOW.iter().find(|(known, _)| *known == name).map_or(&[][..], |it| it.1);
        for dependency in package["dependencies"].as_array().unwrap() {
            let inside = !dependency["path"].is_null() && dependency["kind"].is_null();
            let other = dependency["name"].as_str().unwrap();
            if inside && !allowed.contains(&other) {
                strays.push(format!("{name} may not know {other}"));
            }
        }
    }
    assert_eq!((seen, strays), (MAY_KNOW.len(), Vec::<String>::new()));
}

#[test]
fn the_rules_wait_for_nothing() {
    let mut strays = Vec::new();
    for folder in ["shared/domain", "shared/policy"] {
        for file in sources(&root().join(folder)) {
            for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(found) = IMPURE.iter().find(|word| code.contains(**word)) {
                    strays.push(format!("{}:{}: {found}", file.display(), number + 1));
                }
            }
        }
    }
    assert_eq!(strays, Vec::<String>::new());
}

#[test]
fn only_one_place_knows_nats_and_one_knows_sql_engines() {
    let mut strays = Vec::new();
    for file in sources(&root().join("shared")).into_iter().chain(sources(&root().join("services")))
    {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.display().to_string();
        let nats = text.contains("async_nats::") && !path.contains("messaging/src/nats/");
        let sql = text.contains("sqlx::") && !path.contains("event-store/src/db.rs");
        if nats || sql {
            strays.push(path);
        }
    }
    assert_eq!(strays, Vec::<String>::new());
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| {
        let folder = fs::read_dir(root().join("migrations").join(engine)).unwrap();
        folder.map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
}

#[test]
fn every_event_that_a_rule_can_issue_has_a_binding() {
    let mut missing = Vec::new();
    let mut seen = 0;
    let aggregates = sources(&root().join("shared/domain/src")).into_iter();
    let others = ["event-store/src/intake.rs", "policy/src/decision.rs"];
    for file in aggregates.chain(others.map(|file| root().join("shared").join(file))) {
        let text = fs::read_to_string(&file).unwrap();
        let Some(family) = between(&text, "const FAMILY: &'static str = \"", "\"") else {
            continue;
        };
        let names = text.split("fn name(").nth(1).unwrap().split("fn decide").next().unwrap();
        for name in names.split('"').skip(1).step_by(2) {
            seen += 1;
            if domain::binding::bindings(&kernel::decider::kind(family, name)).is_none() {
                missing.push(format!("{family}.{name}"));
            }
        }
        // What happens to custody, happens in two families.
        if names.contains("Event::Custody(event) => event.name()") {
            for name in ["offered", "offer-withdrawn", "offer-returned", "released"] {
                seen += 1;
                if domain::binding::bindings(&kernel::decider::kind(family, name)).is_none() {
                    missing.push(format!("{family}.{name}"));
                }
            }
        }
    }
    assert_eq!((seen, missing), (domain::binding::TABLE.len(), Vec::<String>::new()));
}

#[test]
fn a_file_fits_in_one_sitting() {
    const LINES: usize = 400;
    let mut counts = Vec::new();
    for folder in ["services", "shared", "deploy", "tests"] {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            // Tests are told in one go; the rule is for what they test.
            let path = file.strip_prefix(root()).unwrap().display().to_string();
            let is_test = path.ends_with("tests.rs") || path.contains("tests/");
            if !is_test {
                counts.push((code.lines().count(), path));
            }
        }
    }
    let long: Vec<_> = counts.iter().filter(|(lines, _)| *lines > LINES).collect();
    assert!(long.is_empty(), "{long:?}");
    counts.sort();
    let (ninth, _) = &counts[counts.len() * 9 / 10];
    assert!(*ninth <= 300, "nine files of ten have at most 300 lines, not {ninth}");
}

#[test]
fn the_top_level_is_what_the_readme_says() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "README.zh-CN.md",
        "LICENSE",
        "CHANGELOG.md",
        "services",
        "shared",
        "deploy",
        "migrations",
        "tests",
        "target",
    ];
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.to_string_lossy().into_owned());
    let strays: Vec<_> =
        names.filter(|name| !name.starts_with('.') && !known.contains(&name.as_str())).collect();
    assert_eq!(strays, Vec::<String>::new());
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split(start).nth(1)?.split(end).next()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
