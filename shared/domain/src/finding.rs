//! 问题 Finding: one matter, one draft.
//!
//! ```text
//! drafted → co-signed → listed → fed-back → rectified → closed-out
//!    └────────┴────────┴→ dropped    ▲          └───────────┤
//!                                    └────── reopened ◀─────┘
//! ```
//! It lives at the inspecting team's office. What the unit does about it lives
//! in `rectification/…` at the unit's office. Until it is fed back, what it says lies in a
//! sealed part; the rules never see it before. The ciphertext stands in the entry: it stays
//! at this office, and comes back with the entry where a store was lost.

mod said;

use kernel::{
    Aggregate, Code, Context, Day, OfficeId, Refusal,
    sealed::{Ciphertext, SealedPart},
    sign::Hash,
};
pub use said::{Brief, Draft, DropReason, Event, Saying};
use serde::{Deserialize, Serialize};

use crate::{another, filled};

/// Where a finding stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 底稿
    Drafted,
    /// 第二人已签字
    CoSigned,
    /// 已列入问题清单
    Listed,
    /// 已反馈
    FedBack,
    /// 单位已报完成整改
    Rectified,
    /// 销号
    ClosedOut,
    /// 不再列入
    Dropped,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    state: State,
    drafted_by: String,
    brief: Option<Brief>,
    /// The entry by which the unit reported completion, and who did.
    completion: Option<(Hash, String)>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 起草问题底稿
    Draft {
        /// What may be said of it.
        brief: Brief,
        /// How what it says is sealed.
        part: Box<SealedPart>,
        /// What it says.
        sealed: Ciphertext,
    },
    /// 第二人签字
    CoSign,
    /// 列入清单
    List,
    /// 反馈
    FeedBack {
        /// What it says, as it was opened for this.
        saying: Saying,
        /// The end of the concentrated rectification period.
        due: Day,
    },
    /// The unit reported completion.
    NoteRectified {
        /// The leaf hash of the reporting entry.
        basis: Hash,
        /// Who reported.
        by: String,
        /// The reporting office, by whose key the entry was signed.
        from: OfficeId,
    },
    /// 销号
    CloseOut {
        /// The leaf hash of the completion that was judged.
        basis: Hash,
    },
    /// 重新整改
    Reopen {
        /// Why.
        reason: String,
    },
    /// 不再列入
    Drop {
        /// Why.
        reason: DropReason,
    },
}

impl Aggregate for Finding {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "finding";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Drafted { .. } => "drafted",
            Event::DraftSealed { .. } => "draft-sealed",
            Event::CoSigned { .. } => "co-signed",
            Event::Listed { .. } => "listed",
            Event::FedBack { .. } => "fed-back",
            Event::Rectified { .. } => "rectified",
            Event::ClosedOut { .. } => "closed-out",
            Event::Reopened { .. } => "reopened",
            Event::Dropped { .. } => "dropped",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, ClosedOut, CoSigned, Drafted, Dropped, FedBack, Listed, Rectified};
        let by = context.actor.person.clone();
        match (self.state, command) {
            (Absent, Command::Draft { brief, part, sealed }) => {
                brief.check()?;
                Ok(vec![Event::DraftSealed { brief, part, sealed, by }])
            }
            (Absent, _) => Err(Code::FindingAbsent.into()),
            (Drafted, Command::CoSign) => {
                another(&self.drafted_by, context)?;
                Ok(vec![Event::CoSigned { by }])
            }
            (CoSigned, Command::List) => {
                let Brief { round, task, .. } = self.known()?;
                Ok(vec![Event::Listed { round, task }])
            }
            (Drafted, Command::List) => Err(Code::ListOpen.into()),
            (Listed, Command::FeedBack { saying, due }) => {
                Ok(vec![Event::FedBack { draft: self.known()?.with(saying), due }])
            }
            (_, Command::NoteRectified { from, .. }) if from != self.known()?.unit_office => {
                Err(Code::NotAllowed.into())
            }
            (FedBack, Command::NoteRectified { basis, by, .. }) => {
                Ok(vec![Event::Rectified { basis, by }])
            }
            (Rectified, Command::CloseOut { basis }) => self.close_out(basis, context),
            (Rectified | ClosedOut, Command::Reopen { reason }) => {
                filled("reason", &reason).map_err(|_| Code::ReasonRequired)?;
                Ok(vec![Event::Reopened { reason, unit_office: self.known()?.unit_office }])
            }
            (Drafted | CoSigned | Listed, Command::Drop { reason }) => {
                Ok(vec![Event::Dropped { reason: reason.as_str().to_owned() }])
            }
            (Listed | FedBack | Rectified | ClosedOut, Command::List | Command::CoSign)
            | (CoSigned, Command::CoSign)
            | (Dropped, Command::List | Command::Drop { .. })
            | (Rectified | ClosedOut, Command::NoteRectified { .. })
            | (ClosedOut, Command::CloseOut { .. }) => Ok(vec![]),
            _ => Err(Code::WrongState.into()),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.state = match event {
            Event::Drafted { draft, by } => {
                self.drafted_by.clone_from(by);
                self.brief = Some(draft.brief());
                State::Drafted
            }
            Event::DraftSealed { brief, by, .. } => {
                self.drafted_by.clone_from(by);
                self.brief = Some(brief.clone());
                State::Drafted
            }
            Event::CoSigned { .. } => State::CoSigned,
            Event::Listed { .. } => State::Listed,
            Event::FedBack { .. } | Event::Reopened { .. } => State::FedBack,
            Event::Rectified { basis, by } => {
                self.completion = Some((*basis, by.clone()));
                State::Rectified
            }
            Event::ClosedOut { .. } => State::ClosedOut,
            Event::Dropped { .. } => State::Dropped,
        };
    }

    /// An office whose child is inspected by itself is in nobody's way: it gets
    /// the feedback, and so does everybody whom the draft names.
    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::FedBack { draft, .. } => {
                let mut offices = vec![draft.unit_office.clone()];
                offices
                    .extend(draft.concerned.iter().filter(|o| **o != draft.unit_office).cloned());
                offices
            }
            Event::ClosedOut { unit_office, .. } | Event::Reopened { unit_office, .. } => {
                vec![unit_office.clone()]
            }
            _ => Vec::new(),
        }
    }
}

impl Finding {
    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    fn known(&self) -> Result<Brief, Refusal> {
        self.brief.clone().ok_or_else(|| Code::FindingAbsent.into())
    }

    fn close_out(&self, basis: Hash, context: &Context) -> Result<Vec<Event>, Refusal> {
        let Some((completed, by)) = &self.completion else { return Err(Code::WrongState.into()) };
        if *completed != basis {
            return Err(Code::BasisSuperseded.into());
        }
        // model.md 3.14: not the person who did it.
        another(by, context)?;
        Ok(vec![Event::ClosedOut { basis, unit_office: self.known()?.unit_office }])
    }
}

#[cfg(test)]
mod tests;
