//! 信访人身份 Sealed identity: who sent a petition, opened by two persons or never again.
//!
//! ```text
//! Sealed ─ask─▶ Asked ─open by another─▶ Opened ─▶ (asked again …)
//!   └────── destruction asked ─▶ approved by another ─▶ Destroyed
//! ```
//! `model.md` 2.4, rule 1. It lies apart from the petition, under a key of its own that
//! never leaves this office's vault. Each opening has two persons, a reason of the list
//! and a record. What a reader would get wrong: approval of a destruction destroys
//! nothing yet; it is done when the vault has forgotten the key and the office says so.

use kernel::{Aggregate, Code, Context, Refusal, Timestamp, sealed::SealedPart};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    another,
    post::{Organ, Role},
};

/// Why somebody must know who it was; codes, so that nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OpeningReason {
    /// 核实信访内容
    VerifyContent,
    /// 反馈办理结果
    TellResult,
    /// 保护信访人
    ProtectSender,
    /// 依法调取
    LegalRequest,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 已封存
    Sealed,
    /// 待销毁
    ToBeDestroyed,
    /// 已销毁
    Destroyed,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    state: State,
    asked: Option<(String, Organ, OpeningReason)>,
    destruction: Option<String>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 封存
    Seal {
        /// The round's id.
        round: String,
        /// The task.
        task: String,
        /// The inspected organization.
        unit: String,
        /// Who it is, sealed.
        part: Box<SealedPart>,
    },
    /// 申请启封
    Ask(OpeningReason),
    /// 批准启封
    Open,
    /// 申请销毁
    AskDestruction,
    /// 批准销毁
    Destroy,
    /// The vault has forgotten the key.
    NoteDestroyed,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It is sealed; nobody reads it back.
    Sealed {
        /// The round's id.
        round: String,
        /// The task.
        task: String,
        /// The inspected organization.
        unit: String,
        /// Who it is, sealed.
        part: Box<SealedPart>,
    },
    /// One wants it opened.
    OpeningAsked {
        /// Who.
        by: String,
        /// For which organ.
        organ: Organ,
        /// Why.
        reason: OpeningReason,
    },
    /// Two want it opened: these two may read it, for a short while.
    Opened {
        /// Who asked and who agreed.
        by: [String; 2],
        /// Why.
        reason: OpeningReason,
        /// Since when.
        at: Timestamp,
    },
    /// One wants it destroyed.
    DestructionAsked {
        /// Who.
        by: String,
    },
    /// Two want it destroyed.
    DestructionApproved {
        /// Who asked and who agreed.
        by: [String; 2],
    },
    /// It can be opened by nobody any more.
    Destroyed,
}

impl Aggregate for Identity {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "identity";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Sealed { .. } => "sealed",
            Event::OpeningAsked { .. } => "opening-asked",
            Event::Opened { .. } => "opened",
            Event::DestructionAsked { .. } => "destruction-asked",
            Event::DestructionApproved { .. } => "destruction-approved",
            Event::Destroyed => "destroyed",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Destroyed, Sealed, ToBeDestroyed};
        let by = context.actor.person.clone();
        match (self.state, command) {
            (Absent, Command::Seal { round, task, unit, part }) => {
                Ok(vec![Event::Sealed { round, task, unit, part }])
            }
            (Absent, _) => Err(Code::NotFound.into()),
            (Sealed, Command::Ask(reason)) => {
                let organ = Role::of(&context.actor.role).ok_or(Code::NotAllowed)?.organ;
                if self.asked == Some((by.clone(), organ, reason)) {
                    return Ok(vec![]);
                }
                Ok(vec![Event::OpeningAsked { by, organ, reason }])
            }
            (Sealed, Command::Open) => {
                let (first, of, reason) = self.asked.clone().ok_or(Code::WrongState)?;
                another(&first, context)?;
                // 组长 and 线索岗: two persons of two organs.
                if Role::of(&context.actor.role).is_none_or(|role| role.organ == of) {
                    return Err(Code::SameOrgan.into());
                }
                Ok(vec![Event::Opened { by: [first, by], reason, at: context.now }])
            }
            (Sealed, Command::AskDestruction) if self.destruction.is_some() => Ok(vec![]),
            (Sealed, Command::AskDestruction) => Ok(vec![Event::DestructionAsked { by }]),
            (Sealed, Command::Destroy) => {
                let first = self.destruction.clone().ok_or(Code::WrongState)?;
                another(&first, context)?;
                Ok(vec![Event::DestructionApproved { by: [first, by] }])
            }
            (ToBeDestroyed, Command::NoteDestroyed) => Ok(vec![Event::Destroyed]),
            (ToBeDestroyed | Destroyed, Command::Destroy) | (Destroyed, Command::NoteDestroyed) => {
                Ok(vec![])
            }
            (ToBeDestroyed | Destroyed, _) => Err(Code::IdentityDestroyed.into()),
            _ => Err(Code::WrongState.into()),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Sealed { .. } => self.state = State::Sealed,
            Event::OpeningAsked { by, organ, reason } => {
                self.asked = Some((by.clone(), *organ, *reason));
            }
            Event::Opened { .. } => self.asked = None,
            Event::DestructionAsked { by } => self.destruction = Some(by.clone()),
            Event::DestructionApproved { .. } => self.state = State::ToBeDestroyed,
            Event::Destroyed => self.state = State::Destroyed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn sealed() -> Event {
        Event::Sealed {
            round: "d-r1".into(),
            task: "k1".into(),
            unit: "d-v1".into(),
            part: Box::new(testkit::sealed_part()),
        }
    }

    fn asked() -> Event {
        let (organ, reason) = (Organ::Team, OpeningReason::TellResult);
        Event::OpeningAsked { by: "p1".into(), organ, reason }
    }

    #[test]
    fn two_persons_of_two_organs_open_it_each_time() {
        given::<Identity>([sealed()]).by("p2").when(Command::Open).then_refused(Code::WrongState);
        let open = || given::<Identity>([sealed(), asked()]);
        open().acting("p1", "D_CLUE").when(Command::Open).then_refused(Code::SamePerson);
        open().acting("p2", "D_TL").when(Command::Open).then_refused(Code::SameOrgan);
        let opened = Event::Opened {
            by: ["p1".into(), "p2".into()],
            reason: OpeningReason::TellResult,
            at: testkit::context("p2").now,
        };
        open().acting("p2", "D_CLUE").when(Command::Open).then([opened.clone()]);
        given::<Identity>([sealed(), asked(), opened])
            .acting("p2", "D_CLUE")
            .when(Command::Open)
            .then_refused(Code::WrongState);
    }

    #[test]
    fn what_is_approved_for_destruction_is_never_opened_again() {
        let asked = Event::DestructionAsked { by: "p1".into() };
        let approved = Event::DestructionApproved { by: ["p1".into(), "p2".into()] };
        let open = || given::<Identity>([sealed(), asked.clone()]);
        open().by("p1").when(Command::Destroy).then_refused(Code::SamePerson);
        open().by("p2").when(Command::Destroy).then([approved.clone()]);
        let going = || given::<Identity>([sealed(), asked.clone(), approved.clone()]);
        let reason = OpeningReason::VerifyContent;
        going().when(Command::Ask(reason)).then_refused(Code::IdentityDestroyed);
        going().when(Command::NoteDestroyed).then([Event::Destroyed]);
        given::<Identity>([sealed(), asked.clone(), approved.clone(), Event::Destroyed])
            .when(Command::NoteDestroyed)
            .then([]);
    }
}
