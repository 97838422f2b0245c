//! `liandong-audit`: exports logs, and verifies them without any office.
//!
//! Exit codes are never mixed: 0 it holds, 1 tampering is proven, 2 it was called wrongly,
//! 3 it cannot be concluded, 4 the policy is not met.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use auditor::{
    export::{Exported, export},
    prove::{check, prove},
    verify::{Finding, Question, Report, verify},
};
use clap::{Parser, Subcommand, ValueEnum};
use ledger::{note::Note, policy::Policy};
use serde_json::{Value, json};

/// 联动核验:导出各单位日志,脱离任何单位独立核验。
/// Takes logs out of offices and proves, without any office, that nobody changed them.
#[derive(Parser)]
#[command(name = "liandong-audit", version)]
struct Arguments {
    /// 以 JSON 输出 Say it as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// 导出日志(在单位的机器上运行) Take logs out of stores, on the machine of the office
    Export {
        /// The folder of the export; logs that are there already stay.
        into: PathBuf,
        /// Every office that this file names (`run/up.json`).
        #[arg(long, conflicts_with_all = ["data", "keys"])]
        up: Option<PathBuf>,
        /// The data folder of one office.
        #[arg(long, requires = "keys")]
        data: Option<PathBuf>,
        /// Its key folder.
        #[arg(long, requires = "data")]
        keys: Option<PathBuf>,
    },
    /// 核验导出 Verify an export
    Verify {
        /// The folder of the export.
        export: PathBuf,
        /// 审计方自己保管的策略 The auditor's own policy (C2SP tlog-policy), never the export's
        #[arg(long)]
        policy: Option<PathBuf>,
        /// 以前保存的签名头 A head that the auditor kept from before; may be repeated
        #[arg(long)]
        since: Vec<PathBuf>,
        /// 逐条核对签名 Which single entries' signatures are checked too
        #[arg(long, default_value = "sample")]
        event_sigs: Signatures,
        /// 允许尚未联签的末尾条数 How many entries may stand behind the last cosigned head
        #[arg(long, default_value_t = 500)]
        tail: u64,
    },
    /// 出具某一条目的存在证明 Prove that an entry stands in a log (tlog-proof)
    Prove {
        /// The folder of the export.
        export: PathBuf,
        /// The log: `liandong/<office>/<epoch>`.
        log: String,
        /// The entry's sequence, from 1.
        sequence: u64,
        /// Where the proof goes; the entry goes beside it, `.entry`.
        #[arg(long)]
        out: PathBuf,
    },
    /// 核对存在证明 Check such a proof
    Check {
        /// The proof.
        proof: PathBuf,
        /// The entry's exact bytes.
        entry: PathBuf,
        /// The auditor's own policy.
        #[arg(long)]
        policy: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Signatures {
    /// 全部
    All,
    /// 每五十条一条
    Sample,
    /// 不核对
    None,
}

/// It was called wrongly, or a file could not be read.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if json {
                println!("{}", json!({"error": error.to_string()}));
            } else {
                eprintln!("{error}");
            }
            ExitCode::from(USAGE)
        }
    }
}

fn run(arguments: Arguments) -> io::Result<u8> {
    let json = arguments.json;
    match arguments.what {
        What::Export { into, up, data, keys } => {
            let mut offices = up.as_deref().map(running).transpose()?.unwrap_or_default();
            offices.extend(data.zip(keys));
            take(&offices, &into, json)?;
            Ok(0)
        }
        What::Verify { export, policy, since, event_sigs, tail } => {
            let question = Question {
                policy: policy.as_deref().map(policy_of).transpose()?,
                since: since.iter().map(|path| note_of(path)).collect::<io::Result<_>>()?,
                signatures: match event_sigs {
                    Signatures::All => 1,
                    Signatures::Sample => 50,
                    Signatures::None => 0,
                },
                tail,
            };
            let report = verify(&export, &question)?;
            if json {
                let mut body = json!(report);
                body["exit"] = report.exit().into();
                println!("{body}");
            } else {
                say(&report);
            }
            Ok(report.exit())
        }
        What::Prove { export, log, sequence, out } => {
            let (proof, entry) = prove(&export, &log, sequence)?;
            fs::write(&out, proof)?;
            fs::write(out.with_extension("entry"), entry)?;
            Ok(0)
        }
        What::Check { proof, entry, policy } => {
            let (policy, proof) =
                (policy_of(&policy)?, String::from_utf8_lossy(&read(&proof)?).into_owned());
            let said = check(&proof, &read(&entry)?, &policy);
            let (code, body) = match &said {
                Ok(said) if said.enough => (0, json!(said)),
                Ok(said) => (4, json!(said)),
                Err((code, why)) => (*code, json!({"why": why})),
            };
            println!("{body}");
            Ok(code)
        }
    }
}

/// The data and key folders of the offices that run.
fn running(up: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let up: Value = serde_json::from_slice(&read(up)?)?;
    let offices = up["offices"].as_array().cloned().unwrap_or_default();
    let folders = offices.iter().filter_map(|office| {
        let path = |name: &str| office[name].as_str().map(PathBuf::from);
        path("data").zip(path("keys"))
    });
    Ok(folders.collect())
}

/// Exports the logs of these offices.
fn take(offices: &[(PathBuf, PathBuf)], into: &Path, json: bool) -> io::Result<()> {
    if offices.is_empty() {
        return Err(io::Error::other("--up FILE, or --data DIR --keys DIR"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (data, keys) in offices {
        let done = runtime.block_on(export(data, keys, into)).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", data.display()))
        })?;
        if json {
            println!("{}", json!(done));
        } else {
            let Exported { origin, entries, cosigned } = done;
            println!("{origin}  {entries} 条 entries  {cosigned} 次联签 cosignatures");
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn policy_of(path: &Path) -> io::Result<Policy> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Policy::parse(&text).map_err(|bad| io::Error::other(format!("{}: {bad}", path.display())))
}

fn note_of(path: &Path) -> io::Result<Note> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Note::parse(&text).map_err(|bad| io::Error::other(format!("{}: {bad}", path.display())))
}

/// The report for whoever reads it at a terminal.
fn say(report: &Report) {
    for (origin, held) in &report.logs {
        let times = [held.from, held.to].map(|at| at.map(|at| at.to_string()).unwrap_or_default());
        println!(
            "{origin}  {} 条 entries  {} … {}  见证至 witnessed up to {}",
            held.entries, times[0], times[1], held.witnessed
        );
    }
    for (title, found) in [
        ("已证实的改动 Tampering that is proven", &report.broken),
        ("未达到策略要求 The policy is not met", &report.unmet),
        ("无法定论 Cannot be concluded", &report.open),
    ] {
        if !found.is_empty() {
            println!("{title}:");
        }
        for Finding { log, index, code, detail } in found {
            let at = index.map(|index| format!(" #{}", index + 1)).unwrap_or_default();
            println!("  {log}{at}  {code}: {detail}");
        }
    }
    if !report.unchecked.is_empty() {
        println!("未核对 Not checked:");
    }
    for what in &report.unchecked {
        println!("  {what}");
    }
    println!(
        "{}",
        match report.exit() {
            0 => "成立 It holds.",
            1 => "不成立:有改动 It does not hold: something was changed.",
            4 => "未达到策略要求 The policy is not met.",
            _ => "无法定论 It cannot be concluded.",
        }
    );
}
