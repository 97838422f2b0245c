//! Tests that read as rules: given these facts, when this is asked, then that.

use std::fmt::Debug;

use kernel::{Actor, Aggregate, Context, OfficeId, Refusal, Timestamp, refusal::Code};

/// A context of the office `dddddddd` below `cccccccc`, acting as `person`.
pub fn context(person: &str) -> Context {
    Context {
        office: OfficeId::parse("dddddddd").unwrap(),
        parent: OfficeId::parse("cccccccc"),
        now: Timestamp::parse("2024-03-01T02:00:00Z").unwrap(),
        actor: Actor { person: person.to_owned(), role: "D_PLAN".to_owned() },
        act_date: None,
    }
}

/// What happened before.
pub fn given<A: Aggregate>(facts: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for fact in facts {
        state.evolve(&fact);
    }
    Given { state, context: context("p1") }
}

/// A state and who acts on it.
#[must_use]
pub struct Given<A> {
    state: A,
    context: Context,
}

impl<A: Aggregate> Given<A> {
    /// Somebody else acts.
    pub fn by(mut self, person: &str) -> Self {
        person.clone_into(&mut self.context.actor.person);
        self
    }

    /// Somebody acts in another role.
    pub fn acting(self, person: &str, role: &str) -> Self {
        let mut given = self.by(person);
        role.clone_into(&mut given.context.actor.role);
        given
    }

    /// Asks.
    pub fn when(self, command: A::Command) -> Then<A> {
        Then { outcome: self.state.decide(command, &self.context) }
    }
}

/// What came of it.
#[must_use]
pub struct Then<A: Aggregate> {
    outcome: Result<Vec<A::Event>, Refusal>,
}

impl<A: Aggregate> Then<A>
where
    A::Event: Debug + PartialEq,
{
    /// Exactly these events.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) {
        let expected: Vec<_> = events.into_iter().collect();
        assert_eq!(self.outcome.expect("it was refused"), expected);
    }

    /// This refusal.
    #[track_caller]
    pub fn then_refused(self, code: Code) {
        assert_eq!(self.outcome.expect_err("it was not refused").code, code);
    }
}

/// The header of a sealed part that nobody made: what rules see of one.
pub fn sealed_part() -> kernel::sealed::SealedPart {
    let part = serde_json::json!({"suite": "intl-1", "scope": "case:dddddddd-c1#1", "size": 272,
        "hash": "00".repeat(32), "commitment": "00".repeat(32), "wrap": "A".repeat(80)});
    serde_json::from_value(part).unwrap()
}
