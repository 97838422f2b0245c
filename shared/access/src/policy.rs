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
mod table;

use domain::post::{Organ, Role};
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

pub use table::TABLE;

pub use standing::{
    FLOOR, Post, Standing, acts_on, allows, asks_second_factor, count, some, whole,
};

use Subject::{Accounts, Of, Offices, Operations};
use table::EVERYBODY;

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
    /// Whether the matter must be of a round now: what has gone from the team, has not.
    pub on_work: bool,
    /// Whether the matter must be of an organ: what is the whole office's, is not.
    pub of_organ: bool,
    /// Whether only what concerns cadres under the office's own authority, whichever organ
    /// has it.
    pub of_cadres: bool,
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
    /// The clue case that it is.
    pub case: Option<&'a str>,
    /// The organ whose it is, if it is not the whole office's: only those who act for the
    /// organ have anything of it.
    pub organ: Option<Organ>,
    /// Whether it concerns cadres under this office's own authority (干部管理权限), and
    /// nobody of those who would read it by that.
    pub own_cadres: bool,
}

impl Matter<'_> {
    /// Something of this office that belongs to no round and no unit.
    pub const fn of(subject: Subject) -> Self {
        let (round, task, unit, case, organ) = (None, None, None, None, None);
        Self { subject, own: true, round, task, unit, case, organ, own_cadres: false }
    }
}

/// Reading.
pub const READ: &str = "read";
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
