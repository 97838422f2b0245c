//! 权限表 The policy table: who may do what with which class of matter.
//!
//! What no row allows is refused. A row speaks of roles; how much of the office a
//! person's post covers is the post's scope, so a team leader with a post on one round
//! has the row of a team leader on that round only.
//!
//! Three relations take away and never give: whoever is kept from an organization by
//! recusal has nothing of its matters; whoever stands on the side of an inspected unit has
//! nothing of that unit's matters but what the unit itself has; and a post that has ended
//! leaves nothing behind. Nobody has a row for being the object or the former holder.

mod standing;

use domain::post::Role;
use kernel::Class::{self, K1, K2, K3, K4, K7, K8, K9, K10, K12, K14};

/// What a matter is: a data class (`model.md` 2.2), or the running of the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Content of a class.
    Of(Class),
    /// Which offices there are, their keys, and what they have received of each other.
    Offices,
    /// How the office runs.
    Operations,
    /// Persons and their posts.
    Accounts,
}

pub use standing::{
    FLOOR, Post, Standing, acts_on, allows, asks_second_factor, count, some, whole,
};

use Subject::{Accounts, Of, Offices, Operations};

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `read`, or the command: `round.enter`. A command stands in one row only.
    pub action: &'static str,
    /// What the matter is; of a command, what it makes.
    pub subject: Subject,
    /// The roles; `*` is whoever holds a post.
    pub roles: &'static [&'static str],
    /// Whether only a post on the very work or unit will do.
    pub narrow: bool,
    /// Whether the reader says why: the matter is not his own work, he is consulted on it.
    pub with_reason: bool,
}

/// What is asked about: a matter and where it belongs.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// What it is.
    pub subject: Subject,
    /// Whether it is this office's own; else another office gave it to this one.
    pub own: bool,
    /// The round that it belongs to.
    pub round: Option<&'a str>,
    /// The task of the round.
    pub task: Option<&'a str>,
    /// The organization whose it is.
    pub unit: Option<&'a str>,
}

impl Matter<'_> {
    /// Something of this office that belongs to no round and no unit.
    pub const fn of(subject: Subject) -> Self {
        Self { subject, own: true, round: None, task: None, unit: None }
    }
}

/// Reading.
pub const READ: &str = "read";
/// Whoever holds a post.
const EVERYBODY: &[&str] = &["*"];
const TEAM: &[&str] = &["TL", "TD", "TM"];
const LEADERS: &[&str] = &["TL", "TD"];

const fn read(subject: Subject, roles: &'static [&'static str]) -> Row {
    act(READ, subject, roles)
}

const fn own_work(subject: Subject, roles: &'static [&'static str]) -> Row {
    Row { narrow: true, ..read(subject, roles) }
}

const fn consulted(subject: Subject, roles: &'static [&'static str]) -> Row {
    Row { with_reason: true, ..read(subject, roles) }
}

const fn act(action: &'static str, subject: Subject, roles: &'static [&'static str]) -> Row {
    Row { action, subject, roles, narrow: false, with_reason: false }
}

/// Every row (`model.md` 2.3; the three administrators: `model.md` 2.1).
pub static TABLE: &[Row] = &[
    // The running of the office: administrators, and what everybody must know of the link.
    read(Offices, EVERYBODY),
    act("office.invite", Offices, &["SYS"]),
    act("office.renew", Offices, &["SYS"]),
    act("office.move", Offices, &["SYS"]),
    act("office.change-key", Offices, &["SYS"]),
    act("office.confirm-key", Offices, &["SYS"]),
    act("office.consent", Offices, &["SYS"]),
    act("token-key.turn", Offices, &["SYS"]),
    read(Operations, &["SYS", "AUDADM"]),
    act("views.refold", Operations, &["SYS"]),
    act("demo-clock.move", Operations, &["SYS"]),
    read(Accounts, &["SYS", "SECADM", "AUDADM"]),
    act("person.register", Accounts, &["SYS"]),
    act("person.authorise", Accounts, &["SECADM"]),
    act("person.end-authorisation", Accounts, &["SECADM"]),
    // A lost password and a lost second factor are given back by two persons.
    act("person.link", Accounts, &["SYS"]),
    act("person.clear-second-factor", Accounts, &["SECADM"]),
    act("person.end-sessions", Accounts, &["SECADM"]),
    // A certificate is a second factor: who binds it makes no links.
    act("certificate.bind", Accounts, &["SECADM"]),
    act("certificate.end", Accounts, &["SECADM"]),
    // An identity stands for the password: who binds it handles no factors.
    act("person.bind-identity", Accounts, &["SYS"]),
    read(Of(K14), &["AUDADM"]),
    // Recusals: the offices that form teams; the leading group hears of them.
    read(Of(K4), &["SEC", "LG", "PLAN", "ORG"]),
    act("recusal.report", Of(K4), &["PLAN", "ORG"]),
    act("recusal.judge", Of(K4), &["LG", "PLAN", "ORG"]),
    // The register is public.
    read(Of(K1), EVERYBODY),
    act("division.import", Of(K1), &["PLAN", "SYS"]),
    // Plans, targets, dates and counts.
    read(Of(K2), &["SEC", "LG", "PLAN", "FILE", "RECT", "TL", "TD", "LO", "NDI_SUP", "ORG", "AUD"]),
    // The matrix gives members the next round (K3); what it was, they know once it is plan.
    own_work(Of(K2), &["TM", "NRD", "PL", "UNIT"]),
    act("organization.register", Of(K2), &["PLAN"]),
    act("organization.change", Of(K2), &["PLAN"]),
    act("target-list.issue", Of(K2), &["PLAN"]),
    act("round.withdraw", Of(K2), LEADERS),
    act("round.hear", Of(K2), &["SEC", "LG"]),
    act("round.archive", Of(K2), &["PLAN"]),
    // The next round, until it is announced.
    read(Of(K3), &["SEC", "LG", "PLAN", "TL", "TD"]),
    own_work(Of(K3), &["TM", "LO", "NRD"]),
    act("round.plan", Of(K3), &["PLAN"]),
    act("round.tasks", Of(K3), &["PLAN"]),
    act("round.authorise", Of(K3), &["SEC"]),
    act("round.enter", Of(K3), LEADERS),
    // Drafts: the team's; who is consulted on them says on what.
    read(Of(K7), TEAM),
    read(Of(K7), &["LO"]),
    consulted(Of(K7), &["NRD", "AUD"]),
    act("finding.draft", Of(K7), TEAM),
    act("finding.co-sign", Of(K7), TEAM),
    act("finding.drop", Of(K7), LEADERS),
    // The list until it is fed back: inspected people know nothing of it.
    read(Of(K8), &["SEC", "LG", "PLAN", "RECT", "TL", "TD", "LO"]),
    act("round.list", Of(K8), LEADERS),
    act("round.no-finding", Of(K8), LEADERS),
    // Feedback and rectification: internal to the parties.
    read(
        Of(K9),
        &[
            "SEC", "LG", "PLAN", "RECT", "TL", "TD", "LO", "NDI_REG", "NDI_OFF", "NDI_SUP", "ORG",
            "AUD", "PL", "UNIT", "COM", "DISC", "BR",
        ],
    ),
    act("round.feedback", Of(K9), &["PLAN", "TL"]),
    act("finding.close-out", Of(K9), &["RECT"]),
    act("finding.reopen", Of(K9), &["RECT"]),
    act("rectification.measures", Of(K9), &["UNIT", "COM", "BR"]),
    act("rectification.complete", Of(K9), &["UNIT", "COM", "BR"]),
    // What must not enter: only that an envelope came and went, in the smallest circle.
    read(Of(K10), &["CLUE", "NDI_REG", "DISC"]),
    act("envelope.receive", Of(K10), &["CLUE", "NDI_REG", "DISC"]),
    act("envelope.hand-on", Of(K10), &["CLUE", "NDI_REG", "DISC"]),
    // Filings: what is filed upward is read by whoever files it and by the desk that
    // receives it, as a copy, whatever it was made of.
    read(Of(K12), &["SEC", "LG", "PLAN", "FILE", "RECT", "COM"]),
    act("filing.expect", Of(K12), &["FILE", "COM"]),
    act("filing.items", Of(K12), &["FILE", "COM"]),
    act("filing.submit", Of(K12), &["FILE", "COM"]),
    act("filing-review.expect", Of(K12), &["FILE", "PLAN"]),
    act("filing-review.items", Of(K12), &["FILE"]),
    act("filing-review.return", Of(K12), &["FILE"]),
    act("filing-review.accept", Of(K12), &["FILE"]),
    act("history.share-round", Of(K12), &["PLAN"]),
    act("history.share-filing", Of(K12), &["FILE", "COM"]),
    act("paper.bring", Of(K12), &["FILE", "LO", "COM", "UNIT", "TL", "PLAN"]),
];

impl Subject {
    /// `K9`, or the name of a part of the running of the office.
    pub fn code(self) -> String {
        match self {
            Of(class) => format!("{class:?}"),
            Offices => "offices".to_owned(),
            Operations => "operations".to_owned(),
            Accounts => "accounts".to_owned(),
        }
    }

    /// Chinese and English (`model.md` 2.2).
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Of(K1) => ["公开信息", "public register and notices"],
            Of(K2) => ["规划、计划、对象清单与覆盖", "plans, target lists, coverage"],
            Of(K3) => ["进驻前的下一轮安排", "the next round before it is announced"],
            Of(K4) => ["人员与回避", "personnel and recusal"],
            Of(Class::K5) => ["信访内容", "petitions: content"],
            Of(Class::K6) => ["信访人身份", "petitions: identity"],
            Of(K7) => ["底稿、证据与谈话", "drafts, evidence, talks"],
            Of(K8) => ["报告与反馈前的清单", "reports, and lists before feedback"],
            Of(K9) => ["反馈、问题清单与整改", "feedback, findings, rectification"],
            Of(K10) => ["问题线索", "clues"],
            Of(Class::K11) => ["线索数据", "clue counts"],
            Of(K12) => ["报告报备与审核", "filings and reviews"],
            Of(Class::K13) => ["建议与抄告", "advice and copy notes"],
            Of(K14) => ["日志", "event log and read log"],
            Offices => ["单位、密钥与链路", "offices, keys, the link"],
            Operations => ["系统运行", "the running of the office"],
            Accounts => ["人员账号与岗位", "accounts and posts"],
        }
    }

    /// Whether it belongs to the office as a whole, so that a post on one round or unit
    /// reaches it too.
    pub fn is_common(self) -> bool {
        !matches!(self, Of(class) if !matches!(class, K1 | K4 | K14))
    }
}

impl Row {
    /// Whether the role has this row.
    pub fn names(&self, role: &str) -> bool {
        let known = Role::of(role).map(|role| role.name);
        known.is_some_and(|name| self.roles.contains(&name))
            || known.is_some() && self.roles == EVERYBODY
    }
}

/// The rows of an action on any of these subjects; of a command its one row.
pub fn rows(action: &str, subjects: &[Subject]) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| {
        row.action == action && (action != READ || subjects.contains(&row.subject))
    })
}

#[cfg(test)]
mod tests;
