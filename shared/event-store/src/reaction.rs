//! Rules of the form "on this event, issue that command".

use kernel::Fact;

use crate::{Setting, unit::Act};

/// One rule. It looks at the fact alone; what it issues is decided like any
/// other command, and its refusal is recorded.
#[derive(Clone, Copy)]
pub struct Reaction {
    /// The rule's name, as a refused reaction quotes it.
    pub name: &'static str,
    /// What the rule issues on a fact, seen from an office.
    pub on: fn(fact: &Fact, setting: &Setting) -> Option<Act>,
}
