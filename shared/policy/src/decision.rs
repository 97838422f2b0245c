//! 时限规定 An office decides a rule of the pack: dated, for a tier or a mode, by a document.
//!
//! A proposal that is decided as it is, is confirmed. What is or was in force is never
//! changed; a decision without a value gives the rule back to the office above.
//!
//! `Default ─▶ Decided ─▶ Decided …`

use kernel::{Aggregate, Code, Context, Day, Refusal, id::Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pack, value::Value};

/// 巡察方式, where a rule differs by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// 常规
    Regular,
    /// 专项
    Special,
    /// 机动
    Mobile,
}

/// For whom a decision is made; without a word, for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Offices of this tier only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Rounds of this mode only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

impl Scope {
    /// Whether it is for a matter of this tier and mode.
    pub(crate) fn holds_for(self, tier: Tier, mode: Option<Mode>) -> bool {
        self.tier.is_none_or(|of| of == tier) && (self.mode.is_none() || self.mode == mode)
    }

    /// How narrow it is.
    pub(crate) fn narrowness(self) -> u8 {
        u8::from(self.tier.is_some()) + u8::from(self.mode.is_some())
    }
}

/// What an office has decided of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Its number among this office's decisions of this rule, from 1.
    pub number: u32,
    /// From which day on deadlines that begin to run follow it.
    pub from: Day,
    /// The value; none gives the rule back to the office above, or to the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// For whom.
    #[serde(default)]
    pub scope: Scope,
    /// The document, by its number.
    pub document: String,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct DeadlinePolicy {
    decisions: Vec<Decision>,
}

/// Decides a rule.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The rule.
    pub key: String,
    /// From which day on.
    pub from: Day,
    /// The value, if any.
    pub value: Option<Value>,
    /// For whom.
    pub scope: Scope,
    /// By which document.
    pub document: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A district decided, for itself and its townships.
    Decided {
        /// The rule.
        key: String,
        /// What.
        decision: Decision,
    },
    /// The city decided, for every office.
    DecidedForAll {
        /// The rule.
        key: String,
        /// What.
        decision: Decision,
    },
}

impl Event {
    /// The rule, and what was decided.
    pub fn into_parts(self) -> (String, Decision) {
        let (Self::Decided { key, decision } | Self::DecidedForAll { key, decision }) = self;
        (key, decision)
    }
}

impl Aggregate for DeadlinePolicy {
    type Command = Ask;
    type Event = Event;
    const FAMILY: &'static str = "deadline-policy";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Decided { .. } => "decided",
            Event::DecidedForAll { .. } => "decided-for-all",
        }
    }

    fn decide(&self, ask: Ask, context: &Context) -> Result<Vec<Event>, Refusal> {
        let Ask { key, from, value, scope, document } = ask;
        let row = pack::row(&key).ok_or(Code::PolicyUnknown)?;
        if row.fixed {
            return Err(Code::PolicyFixed.into());
        }
        if value.is_some_and(|value| !value.fits(row.default)) {
            let default = serde_json::to_string(&row.default).unwrap_or_default();
            return Err(Refusal::new(Code::PolicyUnfit).detail(default));
        }
        if document.trim().is_empty() {
            return Err(Refusal::new(Code::EmptyText).detail("document"));
        }
        let same = self.decisions.iter().rfind(|known| known.scope == scope);
        let again = |known: &Decision| {
            known.from == from && known.value == value && known.document == document
        };
        if same.is_some_and(again) {
            return Ok(vec![]);
        }
        // Deadlines run by what was in force when they began: that stays as it was.
        let today = context.day();
        let mut begun = self.decisions.iter().filter(|known| known.scope == scope);
        let in_force = begun.rfind(|known| known.from <= today);
        let in_force = in_force.map(|known| known.from).filter(|known| from <= *known);
        if from < today || in_force.is_some() {
            let after = in_force.map_or_else(|| format!("≥ {today}"), |day| format!("> {day}"));
            return Err(Refusal::new(Code::PolicyOrder).detail(after));
        }
        let number = u32::try_from(self.decisions.len()).unwrap_or(u32::MAX).saturating_add(1);
        let decision = Decision { number, from, value, scope, document };
        Ok(vec![if context.parent.is_none() {
            Event::DecidedForAll { key, decision }
        } else {
            Event::Decided { key, decision }
        }])
    }

    fn evolve(&mut self, event: &Event) {
        let (Event::Decided { decision, .. } | Event::DecidedForAll { decision, .. }) = event;
        self.decisions.push(decision.clone());
    }
}

#[cfg(test)]
mod tests {
    use testkit::given;

    use super::*;
    use crate::Unit;

    const DOCUMENT: &str = "巡察办〔2024〕3号";

    fn ask(key: &str, from: &str, amount: u32) -> Ask {
        let value = Some(Value { amount, to: None, unit: Unit::Workday });
        let (from, scope) = (Day::parse(from).unwrap(), Scope::default());
        Ask { key: key.into(), from, value, scope, document: DOCUMENT.into() }
    }

    fn decided(number: u32, from: &str, amount: u32) -> Event {
        let Ask { key, from, value, scope, document } = ask("filing.default", from, amount);
        Event::Decided { key, decision: Decision { number, from, value, scope, document } }
    }

    #[test]
    fn a_rule_is_decided_once_and_for_days_to_come() {
        let fresh = || given::<DeadlinePolicy>([]);
        let when = |from, amount| ask("filing.default", from, amount);
        fresh().when(when("2024-03-01", 7)).then([decided(1, "2024-03-01", 7)]);
        fresh().when(when("2024-02-29", 7)).then_refused(Code::PolicyOrder);
        let known = || given::<DeadlinePolicy>([decided(1, "2024-03-01", 7)]);
        known().when(when("2024-03-01", 7)).then([]);
        known().when(when("2024-03-01", 8)).then_refused(Code::PolicyOrder);
        known().when(when("2024-03-02", 8)).then([decided(2, "2024-03-02", 8)]);
        // What is not in force yet gives way.
        let coming = given::<DeadlinePolicy>([decided(1, "2024-06-01", 7)]);
        coming.when(when("2024-05-01", 8)).then([decided(2, "2024-05-01", 8)]);
    }

    #[test]
    fn what_no_office_may_decide_is_refused() {
        let fresh = || given::<DeadlinePolicy>([]);
        let refused = |key, amount, code| {
            fresh().when(ask(key, "2024-03-01", amount)).then_refused(code);
        };
        refused("coverage.term", 90, Code::PolicyFixed);
        refused("coverage.none", 90, Code::PolicyUnknown);
        refused("coverage.village.annual_min", 20, Code::PolicyUnfit);
        refused("filing.default", 0, Code::PolicyUnfit);
        let blank = Ask { document: " ".into(), ..ask("filing.default", "2024-03-01", 7) };
        fresh().when(blank).then_refused(Code::EmptyText);
    }
}
