//! 回避 Recusal: somebody keeps, or is kept, away from the matters of an organization.
//!
//! It holds from the moment it is declared or reported until two persons of different
//! organs dismiss it, so that nobody goes on working while others decide (`model.md` 3.4,
//! guard G2). Nothing but a ground of the list is recorded: whose kin somebody is, stays
//! with the organization department.
//!
//! `Declared | Reported ─▶ Upheld ─▶ Dismissed`, and raised again

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Aggregate, Code, Context, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    another, filled,
    post::{Organ, Role},
};

/// Why somebody stays away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// 任职
    Post,
    /// 亲属
    Kin,
    /// 地域
    Region,
    /// 公务
    Duty,
    /// 系统
    System,
    /// 其他
    Other,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// 应当回避
    Upheld,
    /// 不需回避
    Dismissed,
}

/// Who stays away from whom, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The person.
    pub person: String,
    /// The organization's id.
    pub organization: String,
    /// Why.
    pub ground: Ground,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Recusal {
    case: Option<Case>,
    raised_by: String,
    decided: Option<Verdict>,
    /// What each organ's person thinks since the last decision.
    opinions: BTreeMap<Organ, (String, Verdict)>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 声明回避, or 报告应回避情形 by somebody else.
    Raise(Case),
    /// 回避审核意见
    Judge {
        /// What comes of it.
        verdict: Verdict,
        /// Why.
        reason: String,
        /// Whose earlier opinions count no more: they have lost the post, or have a stake.
        void: BTreeSet<String>,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The person said so.
    Declared {
        /// Who and whom.
        case: Case,
    },
    /// Somebody else said so.
    Reported {
        /// Who and whom.
        case: Case,
        /// Who said it.
        by: String,
    },
    /// One of the two has decided.
    OpinionGiven {
        /// Who.
        by: String,
        /// For which organ.
        organ: Organ,
        /// What.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// Both think that the person stays away.
    Upheld {
        /// Who and whom.
        case: Case,
    },
    /// Both think that the person need not.
    Dismissed {
        /// Who and whom.
        case: Case,
    },
}

impl Event {
    /// Whom it keeps away, and whether it does from now on.
    pub fn keeps(&self) -> Option<(&Case, bool)> {
        match self {
            Self::Declared { case } | Self::Reported { case, .. } | Self::Upheld { case } => {
                Some((case, true))
            }
            Self::Dismissed { case } => Some((case, false)),
            Self::OpinionGiven { .. } => None,
        }
    }
}

impl Aggregate for Recusal {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "recusal";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Declared { .. } => "declared",
            Event::Reported { .. } => "reported",
            Event::OpinionGiven { .. } => "opinion-given",
            Event::Upheld { .. } => "upheld",
            Event::Dismissed { .. } => "dismissed",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        match (&self.case, command) {
            (Some(known), Command::Raise(case)) => {
                let by = &context.actor.person;
                let again =
                    self.raised_by == *by && *by != case.person && known.ground == case.ground;
                // What was dismissed is not said once more by the same for the same reason;
                // whoever says it of himself is believed.
                if self.decided != Some(Verdict::Dismissed) || again {
                    return Err(Code::RecusalExists.into());
                }
                Self::default().decide(Command::Raise(case), context)
            }
            (None, Command::Raise(case)) => {
                filled("person", &case.person)?;
                filled("organization", &case.organization)?;
                let by = context.actor.person.clone();
                let own = case.person == by;
                Ok(vec![if own { Event::Declared { case } } else { Event::Reported { case, by } }])
            }
            (None, Command::Judge { .. }) => Err(Code::NotFound.into()),
            (Some(case), Command::Judge { verdict, reason, void }) => {
                filled("reason", &reason)?;
                self.judge(case, (verdict, reason, &void), context)
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Declared { case } => {
                self.raised(case, &case.person);
            }
            Event::Reported { case, by } => {
                self.raised(case, by);
            }
            Event::OpinionGiven { by, organ, verdict, .. } => {
                self.opinions.insert(*organ, (by.clone(), *verdict));
            }
            Event::Upheld { .. } => self.decided(Verdict::Upheld),
            Event::Dismissed { .. } => self.decided(Verdict::Dismissed),
        }
    }
}

impl Recusal {
    fn raised(&mut self, case: &Case, by: &str) {
        *self = Self { case: Some(case.clone()), raised_by: by.to_owned(), ..Self::default() };
    }

    fn decided(&mut self, verdict: Verdict) {
        self.decided = Some(verdict);
        self.opinions.clear();
    }

    /// Two persons of different organs who think the same decide; neither is the person
    /// concerned or the one who raised it.
    fn judge(
        &self,
        case: &Case,
        (verdict, reason, void): (Verdict, String, &BTreeSet<String>),
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        another(&case.person, context)?;
        another(&self.raised_by, context)?;
        if self.decided == Some(verdict) {
            return Ok(vec![]);
        }
        if self.decided == Some(Verdict::Dismissed) {
            return Err(Code::WrongState.into());
        }
        let by = context.actor.person.clone();
        let organ = Role::of(&context.actor.role).ok_or(Code::NotAllowed)?.organ;
        if self.opinions.get(&organ) == Some(&(by.clone(), verdict)) {
            return Ok(vec![]);
        }
        let agrees = |(of, (who, what)): (&Organ, &(String, Verdict))| {
            *of != organ && *who != by && *what == verdict && !void.contains(who)
        };
        let both = self.opinions.iter().any(agrees);
        let mut events = vec![Event::OpinionGiven { by, organ, verdict, reason }];
        if both {
            let case = case.clone();
            events.push(match verdict {
                Verdict::Upheld => Event::Upheld { case },
                Verdict::Dismissed => Event::Dismissed { case },
            });
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn case() -> Case {
        Case { person: "p1".into(), organization: "d-o1".into(), ground: Ground::Kin }
    }

    fn judge(verdict: Verdict) -> Command {
        Command::Judge { verdict, reason: "经核查".into(), void: BTreeSet::new() }
    }

    fn opinion(by: &str, organ: Organ, verdict: Verdict) -> Event {
        Event::OpinionGiven { by: by.into(), organ, verdict, reason: "经核查".into() }
    }

    #[test]
    fn whoever_says_it_of_himself_declares_it() {
        let raise = || Command::Raise(case());
        given::<Recusal>([]).by("p1").when(raise()).then([Event::Declared { case: case() }]);
        let reported = Event::Reported { case: case(), by: "p2".into() };
        given::<Recusal>([]).by("p2").when(raise()).then([reported.clone()]);
        given::<Recusal>([reported]).by("p1").when(raise()).then_refused(Code::RecusalExists);
    }

    #[test]
    fn two_persons_of_two_organs_decide() {
        use Organ::{InspectionOffice as Office, OrganizationDepartment as Department};
        use Verdict::{Dismissed, Upheld};
        let declared = Event::Declared { case: case() };
        let first = || opinion("p2", Department, Dismissed);
        given::<Recusal>([declared.clone()])
            .acting("p2", "D_ORG")
            .when(judge(Dismissed))
            .then([first()]);
        let open = || given::<Recusal>([declared.clone(), first()]);
        open()
            .acting("p3", "D_ORG")
            .when(judge(Dismissed))
            .then([opinion("p3", Department, Dismissed)]);
        open()
            .acting("p2", "D_PLAN")
            .when(judge(Dismissed))
            .then([opinion("p2", Office, Dismissed)]);
        open().acting("p3", "D_PLAN").when(judge(Upheld)).then([opinion("p3", Office, Upheld)]);
        open()
            .acting("p3", "D_PLAN")
            .when(judge(Dismissed))
            .then([opinion("p3", Office, Dismissed), Event::Dismissed { case: case() }]);
        let (verdict, reason) = (Dismissed, "经核查".to_owned());
        let void = BTreeSet::from(["p2".to_owned()]);
        open()
            .acting("p3", "D_PLAN")
            .when(Command::Judge { verdict, reason, void })
            .then([opinion("p3", Office, Dismissed)]);
        open().acting("p1", "D_PLAN").when(judge(Dismissed)).then_refused(Code::SamePerson);
    }

    #[test]
    fn who_reported_it_does_not_decide_and_what_is_dismissed_stays_so() {
        let reported = Event::Reported { case: case(), by: "p2".into() };
        let of = |facts: &[Event]| given::<Recusal>(facts.to_vec());
        of(std::slice::from_ref(&reported))
            .acting("p2", "D_PLAN")
            .when(judge(Verdict::Upheld))
            .then_refused(Code::SamePerson);
        let dismissed = Event::Dismissed { case: case() };
        // Not said again by the same for the same reason; by the person it always can be.
        let over = || of(&[reported.clone(), dismissed.clone()]);
        over().by("p2").when(Command::Raise(case())).then_refused(Code::RecusalExists);
        over().by("p1").when(Command::Raise(case())).then([Event::Declared { case: case() }]);
        let by = "p4".to_owned();
        over().by("p4").when(Command::Raise(case())).then([Event::Reported { case: case(), by }]);
        of(&[reported.clone(), dismissed])
            .acting("p3", "D_PLAN")
            .when(judge(Verdict::Upheld))
            .then_refused(Code::WrongState);
        // What was upheld can be dismissed later, by two again.
        let upheld = Event::Upheld { case: case() };
        of(&[reported, upheld])
            .acting("p3", "D_PLAN")
            .when(judge(Verdict::Dismissed))
            .then([opinion("p3", Organ::InspectionOffice, Verdict::Dismissed)]);
    }
}
