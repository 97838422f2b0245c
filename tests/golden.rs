//! What the auditor's program prints, held against files: every command, every way it ends.
//!
//! `LIANDONG_GOLDEN=write` writes the files anew; whoever does reads what changed.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read their programs from the environment")]

use std::{fmt::Write, fs, path::Path, process::Command};

use ledger::note::Kind;
use tests::exported::{DISTRICT, Folder, Written, export, policy};

/// A small history on the disk: `home`, an earlier export `before`, and the policy `pinned`.
struct Desk {
    folder: Folder,
    both: [Written; 2],
}

impl Desk {
    fn new(name: &str) -> Self {
        let folder = Folder::new(&format!("golden-{name}"));
        let both = export(&folder.0.join("home"));
        fs::write(folder.0.join("pinned"), policy(&both)).unwrap();
        Self { folder, both }
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.folder.0.join(path)
    }

    /// Runs the program in the folder, and says what it printed and how it ended.
    fn run(&self, arguments: &str) -> String {
        let program = std::env::var("LIANDONG_BIN").unwrap();
        let done = Command::new(Path::new(&program).join("liandong-audit"))
            .args(arguments.split(' '))
            .current_dir(&self.folder.0)
            .output()
            .unwrap();
        let mut said = format!("$ liandong-audit {arguments}\n");
        said += &String::from_utf8(done.stdout).unwrap();
        said += &String::from_utf8(done.stderr).unwrap();
        write!(said, "exit {}\n\n", done.status.code().unwrap()).unwrap();
        said
    }

    fn all(&self, commands: &[&str]) -> String {
        commands.iter().map(|command| self.run(command)).collect()
    }
}

/// Holds what was printed against its file.
#[track_caller]
fn golden(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var("LIANDONG_GOLDEN").as_deref() == Ok("write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, said).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap();
    assert_eq!(said, known, "{}", path.display());
}

#[test]
fn an_export_that_holds() {
    let desk = Desk::new("holds");
    let said = desk.all(&[
        "verify home --policy pinned --event-sigs all",
        "verify home --policy pinned --event-sigs none",
        "verify home",
        "--json verify home --policy pinned --event-sigs all",
    ]);
    golden("verify-holds.txt", &said);
}

#[test]
fn an_export_that_was_changed() {
    let desk = Desk::new("changed");
    let entries = auditor::forms::files(&desk.at("home/logs/dddddddd-1/tile/entries")).unwrap();
    let bundle = &entries[0].1;
    let bytes = fs::read(bundle).unwrap();
    let counted = b"\"rectified\":0";
    let at = bytes.windows(counted.len()).position(|some| some == counted).unwrap();
    let mut changed = bytes.clone();
    changed[at + counted.len() - 1] = b'2';
    fs::write(bundle, &changed).unwrap();
    let mut said = desk.all(&[
        "verify home --policy pinned",
        "--json verify home --policy pinned",
        "replay home --office cccccccc",
        "known-at home 2018-07-20 --office 611024 --view tally",
        "trace home dddddddd-cccccccc-staff-2018-1",
        "prove home liandong/dddddddd/1 3 --out three.proof",
    ]);
    fs::write(bundle, bytes).unwrap();
    // The end is cut off, and everything signed anew: the auditor's own head knows, if it
    // was cosigned before the export was made.
    let [city, district] = &desk.both;
    let cosigned_at = |seconds| {
        let (_, mut head) = district.head();
        head.lines.push(city.signer(Kind::Cosignature).sign(&head.text, seconds));
        head.to_string()
    };
    fs::write(desk.at("head"), cosigned_at(1_533_081_600)).unwrap();
    fs::write(desk.at("later"), cosigned_at(1_533_254_400)).unwrap();
    let mut shorter = tests::exported::history().into_iter().nth(1).unwrap();
    shorter.entries.truncate(12);
    fs::remove_dir_all(desk.at("home/logs/dddddddd-1")).unwrap();
    shorter.write(&desk.at("home"), city);
    said += &desk.all(&[
        "verify home --policy pinned",
        "verify home --policy pinned --since head",
        "verify home --policy pinned --since later",
    ]);
    golden("verify-changed.txt", &said);
}

/// Whoever carries an export may put anything into it.
#[test]
fn an_export_with_odd_files() {
    let desk = Desk::new("odd");
    let pipe = desk.at("home/logs/dddddddd-1/evidence");
    fs::create_dir(&pipe).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        pipe.join("p.fork"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::write(desk.at("home/logs/remark"), "a file").unwrap();
    let mut said = desk.run("verify home --policy pinned");
    fs::remove_file(pipe.join("p.fork")).unwrap();
    fs::remove_file(desk.at("home/logs/remark")).unwrap();
    fs::write(pipe.join("\u{1b}[31mred\u{7}"), "").unwrap();
    said += &desk.all(&["verify home --policy pinned", "--json verify home --policy pinned"]);
    golden("verify-odd.txt", &said);
}

#[test]
fn what_cannot_be_concluded_and_what_the_policy_lacks() {
    let desk = Desk::new("open");
    let cosigned = desk.at("home/logs/dddddddd-1/cosigned");
    let kept = fs::read(&cosigned).unwrap();
    fs::write(&cosigned, "").unwrap();
    let mut said = desk.run("verify home --policy pinned --tail 0");
    fs::write(&cosigned, kept).unwrap();
    fs::remove_dir_all(desk.at("home/logs/dddddddd-1")).unwrap();
    let stranger = desk.both[1].signer(Kind::Note).verifier();
    fs::write(desk.at("stranger"), format!("log {stranger}\nquorum none\n")).unwrap();
    said += &desk.all(&[
        "verify home --policy stranger",
        "replay home",
        "as-of home 2018-07-31 --office cccccccc --view reported",
    ]);
    golden("verify-open.txt", &said);
}

#[test]
fn the_past_of_an_export() {
    let desk = Desk::new("past");
    let said = desk.all(&[
        "replay home",
        "--json replay home --office 611024",
        "as-of home 2018-06-30 --office 商洛市委巡察办 --view coverage",
        "as-of home 2021-12-31 --office 611000 --view coverage",
        "as-of home 2018-06-30 --office 611024 --view tally",
        "as-of home 2018-06-30 --known-at 2018-06-30 --office 611024 --view tally",
        "as-of home 2018-06-24 --office 611024 --view tally",
        "as-of home 2018-06-24 --office 611024 --view tallies",
        "known-at home 2018-09-01 --office 611000 --view reported",
        "known-at home 99 --office 611000 --view reported",
        "known-at home 2018-06-30 --office 611000 --view reported",
        "known-at home 2018-07-05 --office 611000 --view reported",
        "known-at home 6 --office 611000 --view reported",
        "--json known-at home 2018-07-20 --office 611000 --view results --as-of 2018-07-01",
    ]);
    golden("past.txt", &said);
}

#[test]
fn what_is_found_and_how_exports_differ() {
    let desk = Desk::new("found");
    // An earlier export: the city took nothing in yet.
    let [mut city, mut district] = tests::exported::history();
    city.entries.truncate(4);
    district.entries.truncate(9);
    city.write(&desk.at("before"), &district);
    district.write(&desk.at("before"), &city);
    let said = desk.all(&[
        "trace home dddddddd-cccccccc-staff-2018-1",
        "--json trace home finding/dddddddd-f1",
        "trace home nothing",
        "find home --type figures",
        "find home --stream f1 --from 2018-07-01",
        "find home --text 90 --actor cccccccc-p1 --to 2018-01-03",
        "diff before home",
        "diff home before",
        "diff before home --office 611024 --view tally",
        "--json diff before home",
    ]);
    golden("found.txt", &said);
}

#[test]
fn proofs_and_usage() {
    let desk = Desk::new("proofs");
    let log = format!("liandong/{DISTRICT}/1");
    let stranger = desk.both[0].signer(Kind::Note).verifier();
    fs::write(desk.at("stranger"), format!("log {stranger}\nquorum none\n")).unwrap();
    let lacking = policy(&desk.both).replace("any any c d", "any all c d");
    fs::write(desk.at("lacking"), lacking).unwrap();
    let mut said = desk.run(&format!("prove home {log} 12 --out twelve.proof"));
    said += &fs::read_to_string(desk.at("twelve.proof")).unwrap();
    said += &desk.all(&[
        "check twelve.proof twelve.entry --policy pinned",
        "--json check twelve.proof twelve.entry --policy pinned",
        "check twelve.proof twelve.proof --policy pinned",
        "check twelve.proof twelve.entry --policy stranger",
        "check twelve.proof twelve.entry --policy lacking",
        "verify home --policy lacking",
        "prove home liandong/dddddddd/1 99 --out never.proof",
        "verify nowhere",
        "replay nowhere",
        "as-of home yesterday --office 611000 --view results",
        "as-of home 2018-06-30 --office 370000 --view results",
        "--json as-of home 2018-06-30 --office 370000 --view results",
        "check missing.proof missing.entry --policy pinned",
        "export into",
    ]);
    golden("proofs.txt", &said);
}

#[test]
fn the_report() {
    let desk = Desk::new("report");
    let matter = "dddddddd-cccccccc-staff-2018-1";
    let said = desk.run(&format!(
        "report home --policy pinned --event-sigs all --out report.html --made 2018-08-02 --trace {matter}"
    ));
    golden("report.txt", &said);
    golden("report.html", &fs::read_to_string(desk.at("report.html")).unwrap());
    let browser = std::env::var("LIANDONG_CHROMIUM").unwrap();
    desk.run(&format!("report home --out r.html --pdf r.pdf --browser {browser}"));
    let pdf = fs::read(desk.at("r.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 5_000, "{} bytes", pdf.len());
    let none = desk.run("report home --out r.html --pdf q.pdf --browser /nonexistent");
    assert!(none.contains("--browser") && none.ends_with("exit 2\n\n"), "{none}");
}

#[test]
fn what_the_program_says_of_itself() {
    let desk = Desk::new("itself");
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.run(&format!("completions {shell}"));
        assert!(script.contains("known-at") && script.ends_with("exit 0\n\n"), "{script}");
    }
    assert!(desk.run("man pages").ends_with("exit 0\n\n"));
    let pages: Vec<_> = fs::read_dir(desk.at("pages")).unwrap().collect();
    assert!(pages.len() > 10, "a page a command");
    assert!(desk.run("frob").ends_with("exit 2\n\n"));
}
