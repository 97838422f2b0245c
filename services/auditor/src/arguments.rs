//! What the program can be asked.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use event_store::past::{Known, Moment};
use kernel::Day;

/// 联动核验:导出各单位日志,脱离任何单位独立核验。
/// Takes logs out of offices and proves, without any office, that nobody changed them.
#[derive(Parser)]
#[command(name = "liandong-audit", version)]
pub(crate) struct Arguments {
    /// 以 JSON 输出 Say it as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Subcommand)]
pub(crate) enum What {
    /// 导出日志(在单位的机器上运行) Take logs out of stores, on the machine of the office
    Export {
        /// The folder of the export; logs that are there already stay.
        into: PathBuf,
        #[command(flatten)]
        from: Stores,
    },
    /// 核验导出 Verify an export
    Verify {
        /// The folder of the export.
        export: PathBuf,
        #[command(flatten)]
        against: Against,
    },
    /// 重放:以各单位自己的程序重算视图,并与其数据库逐字节比对 Fold every office anew and hold the views against its store, byte for byte
    Replay {
        /// The folder of the export.
        export: PathBuf,
        /// 只重放该单位(标识、代码或名称) Only this office: its id, code or name
        #[arg(long)]
        office: Option<String>,
        /// Hold them against the stores of every office that this file names (`run/up.json`).
        #[arg(long)]
        up: Option<PathBuf>,
        /// Hold one against the store in this data folder; may be repeated.
        #[arg(long)]
        data: Vec<PathBuf>,
        /// 数据库在 PostgreSQL 的单位:其地址 Of stores in PostgreSQL: the address
        #[arg(long, requires = "schema", env = "LIANDONG_AUDIT_POSTGRES")]
        postgres: Option<String>,
        /// 其模式名,可重复 The schemas that their configurations name; may be repeated
        #[arg(long, requires = "postgres")]
        schema: Vec<String>,
    },
    /// 截至某日:当日之前办理的事项 A view by what was done by a day
    AsOf {
        /// The folder of the export.
        export: PathBuf,
        /// The day.
        #[arg(value_parser = day)]
        day: Day,
        #[command(flatten)]
        of: Of,
        /// 按当时所知 As it was known then: a date, a time, or a sequence of the office's log
        #[arg(long, value_parser = known)]
        known_at: Option<Known>,
    },
    /// 当时所知:该单位在某一时刻知道的内容 A view as an office knew it at a moment
    KnownAt {
        /// The folder of the export.
        export: PathBuf,
        /// A date (its end), a time in RFC 3339, or a sequence of the office's log.
        #[arg(value_parser = known)]
        moment: Known,
        #[command(flatten)]
        of: Of,
        /// 截至该日办理的事项 Only what was done by this day
        #[arg(long, value_parser = day)]
        as_of: Option<Day>,
    },
    /// 比对两次导出 How two exports differ: a log only grows
    Diff {
        /// The earlier export.
        before: PathBuf,
        /// The later one.
        after: PathBuf,
        /// 并比对该单位的视图 Compare a view of this office too
        #[arg(long, requires = "view")]
        office: Option<String>,
        /// The view.
        #[arg(long, requires = "office")]
        view: Option<String>,
    },
    /// 追溯一件事项(线索、报备、轮次等)在各单位之间的全过程 The whole way of a clue, filing or round across offices
    Trace {
        /// The folder of the export.
        export: PathBuf,
        /// Its id, or its stream.
        id: String,
    },
    /// 查找条目 Find entries
    Find {
        /// The folder of the export.
        export: PathBuf,
        /// 类型 The family, or the beginning of the type
        #[arg(long = "type")]
        kind: Option<String>,
        /// A part of the stream's name.
        #[arg(long)]
        stream: Option<String>,
        /// 经办人或角色 The person or the role
        #[arg(long)]
        actor: Option<String>,
        /// Recorded on this day or later.
        #[arg(long, value_parser = day)]
        from: Option<Day>,
        /// Recorded on this day or before.
        #[arg(long, value_parser = day)]
        to: Option<Day>,
        /// 内容包含 A part of what it says
        #[arg(long)]
        text: Option<String>,
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
    /// 出具可打印的核验报告 A printable report of a verification, with the proofs inside
    Report {
        /// The folder of the export.
        export: PathBuf,
        #[command(flatten)]
        against: Against,
        /// Where the page goes (HTML).
        #[arg(long)]
        out: PathBuf,
        /// Where it goes as PDF too; a browser prints it.
        #[arg(long)]
        pdf: Option<PathBuf>,
        /// The browser that prints: Chromium or one of its kind.
        #[arg(long, env = "LIANDONG_CHROMIUM", default_value = "chromium")]
        browser: PathBuf,
        /// 附该事项全程及每条目的证明 With the way of this matter, each entry proven
        #[arg(long)]
        trace: Option<String>,
        /// 报告上的出具时间,不写则为现在 When it is made, as it shall stand there; now if not said
        #[arg(long)]
        made: Option<String>,
    },
    /// 外部见证:定期联签各单位的签名头 An outside witness: cosigns the heads of offices' logs
    Witness {
        /// The witness's folder; a new one gets a key.
        folder: PathBuf,
        /// The logs: `<address> <verifier key>` a line.
        #[arg(long)]
        logs: PathBuf,
        /// The name of the witness's key.
        #[arg(long, default_value = "auditor/witness")]
        name: String,
        /// 每隔多少秒一次;不写则只做一次 Every so many seconds; once if not said
        #[arg(long)]
        every: Option<u64>,
        /// The authority (PEM) that has signed the offices' certificates.
        #[arg(long)]
        authority: Option<PathBuf>,
    },
    /// 命令行补全脚本 The completion script of a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// 手册页 The manual pages
    Man {
        /// The folder where they go.
        into: PathBuf,
    },
}

/// Whose stores.
#[derive(Args)]
pub(crate) struct Stores {
    /// Every office that this file names (`run/up.json`).
    #[arg(long, conflicts_with_all = ["data", "keys"])]
    pub(crate) up: Option<PathBuf>,
    /// The data folder of one office.
    #[arg(long, requires = "keys")]
    pub(crate) data: Option<PathBuf>,
    /// Its key folder.
    #[arg(long, requires = "data")]
    pub(crate) keys: Option<PathBuf>,
    /// 数据库在 PostgreSQL 的单位:其地址 Where its store is PostgreSQL: the address
    #[arg(long, requires_all = ["data", "schema"], env = "LIANDONG_AUDIT_POSTGRES")]
    pub(crate) postgres: Option<String>,
    /// 其模式名 The schema that its configuration names
    #[arg(long, requires = "postgres")]
    pub(crate) schema: Option<String>,
}

/// Against what an export is verified.
#[derive(Args)]
pub(crate) struct Against {
    /// 审计方自己保管的策略 The auditor's own policy (C2SP tlog-policy), never the export's
    #[arg(long)]
    pub(crate) policy: Option<PathBuf>,
    /// 以前保存的签名头 A head that the auditor kept from before; may be repeated
    #[arg(long)]
    pub(crate) since: Vec<PathBuf>,
    /// 逐条核对签名 Which single entries' signatures are checked too
    #[arg(long, default_value = "sample")]
    pub(crate) event_sigs: Signatures,
    /// 允许尚未联签的末尾条数 How many entries may stand behind the last cosigned head
    #[arg(long, default_value_t = 500)]
    pub(crate) tail: u64,
}

/// Which view of which office.
#[derive(Args)]
pub(crate) struct Of {
    /// 单位 The office: its id, code or name
    #[arg(long)]
    pub(crate) office: String,
    /// 视图 `results`, `coverage`, or any view by its name
    #[arg(long)]
    pub(crate) view: String,
    /// Only rows whose keys begin so.
    #[arg(long, default_value = "")]
    pub(crate) key: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Signatures {
    /// 全部
    All,
    /// 每五十条一条
    Sample,
    /// 不核对
    None,
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "YYYY-MM-DD".to_owned())
}

fn known(text: &str) -> Result<Known, String> {
    Known::parse(text).ok_or_else(|| "YYYY-MM-DD, RFC 3339, or a sequence".to_owned())
}

/// The moment of two parts.
pub(crate) const fn moment(as_of: Option<Day>, known_at: Option<Known>) -> Moment {
    Moment { as_of, known_at }
}
