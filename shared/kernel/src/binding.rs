//! One row of the binding table: how far an event type may travel.
//!
//! Rows are only ever added: a wrong audience in an immutable history cannot be
//! repaired. The table itself stands in `domain`.

use crate::{
    audience::{Audience, Root},
    id::{OfficeId, Tier},
};

/// The rule by which an event's audience follows from its office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Stays with the origin.
    Own,
    /// Goes to the parent, and to the addressees that the event names.
    Up,
    /// Goes to the direct children.
    Down,
    /// Goes to the addressees that the event names; with none it stays.
    To,
    /// Goes to the city and its districts.
    Peers,
    /// Goes to every office.
    All,
}

/// The classes of `model.md` 2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the classes are described in the model, not here")]
pub enum Class {
    K1,
    K2,
    K3,
    K4,
    K5,
    K6,
    K7,
    K8,
    K9,
    K10,
    K11,
    K12,
    K13,
    K14,
}

impl Class {
    /// Whether the class may leave its office in the clear. K3 to K8 and K10
    /// travel only as sealed parts.
    pub fn may_travel(self) -> bool {
        !((Self::K3..=Self::K8).contains(&self) || self == Self::K10)
    }

    /// Reads `K12`.
    pub fn parse(text: &str) -> Option<Self> {
        use Class::{K1, K2, K3, K4, K5, K6, K7, K8, K9, K10, K11, K12, K13, K14};
        let all = [K1, K2, K3, K4, K5, K6, K7, K8, K9, K10, K11, K12, K13, K14];
        let number: usize = text.strip_prefix('K')?.parse().ok()?;
        all.get(number.checked_sub(1)?).copied()
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The family, the first word of its streams.
    pub family: &'static str,
    /// The event's name.
    pub name: &'static str,
    /// Open or confidential.
    pub root: Root,
    /// How its audience follows.
    pub rule: Rule,
    /// The class of its content.
    pub class: Class,
    /// Who may issue it.
    pub tiers: &'static [Tier],
}

/// Looks a full event type up in the table.
pub type Bindings = fn(kind: &str) -> Option<&'static Binding>;

impl Binding {
    /// Whether it may leave its office: in the clear, or as a word of a confidential
    /// family, whose content is sealed.
    pub fn may_travel(&self) -> bool {
        self.class.may_travel() || self.root == Root::Cf
    }

    /// The audiences of one event; the first is the fact's, the others get copies.
    pub fn audiences(
        &self,
        office: &OfficeId,
        parent: Option<&OfficeId>,
        addressees: &[OfficeId],
    ) -> Vec<Audience> {
        let mut audiences = match self.rule {
            Rule::Own => vec![Audience::Own],
            Rule::Up => parent.cloned().map(Audience::Up).into_iter().collect(),
            Rule::Down => vec![Audience::Down(office.clone())],
            Rule::To => Vec::new(),
            Rule::Peers => vec![Audience::Peers],
            Rule::All => vec![Audience::All],
        };
        if matches!(self.rule, Rule::Up | Rule::To) {
            let others = addressees.iter().filter(|to| *to != office && Some(*to) != parent);
            audiences.extend(others.cloned().map(Audience::To));
            if self.rule == Rule::To && parent.is_some_and(|parent| addressees.contains(parent)) {
                audiences.extend(parent.cloned().map(Audience::Up));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        audiences.retain(|audience| seen.insert(audience.clone()));
        if audiences.is_empty() {
            audiences.push(Audience::Own);
        }
        audiences
    }

    /// Whether an entry of this type may carry `audience`.
    pub fn allows(
        &self,
        office: &OfficeId,
        parent: Option<&OfficeId>,
        audience: &Audience,
    ) -> bool {
        match (self.rule, audience) {
            (Rule::Own | Rule::To | Rule::Up, Audience::Own)
            | (Rule::Peers, Audience::Peers)
            | (Rule::All, Audience::All) => true,
            (Rule::Up | Rule::To, Audience::Up(up)) => Some(up) == parent,
            (Rule::Up | Rule::To, Audience::To(to)) => to != office,
            (Rule::Down, Audience::Down(down)) => down == office,
            _ => false,
        }
    }
}
