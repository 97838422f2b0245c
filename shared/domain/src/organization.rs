//! 被巡察党组织 Inspected organization: what it is called and where it stands, from a day on.
//!
//! `Registered ─▶ Changed …`: a new name or level never changes what held before.

use kernel::{Aggregate, Code, Context, Day, OfficeId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Level, dated::Dated};

/// What an organization is from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// From which day on this holds.
    #[schemars(with = "String")]
    pub valid_from: Day,
    /// The name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// The id of its division, for a village or a township.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The office where it rectifies; none for a unit of this office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub unit_office: Option<OfficeId>,
}

/// Everything that it ever was.
#[derive(Clone, Debug, Default)]
pub struct Organization(Dated<Attributes>);

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Registers it.
    Register(Attributes),
    /// Gives it other attributes from a day on, or corrects those of that day.
    Change(Attributes),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It was registered.
    Registered {
        /// What it is.
        attributes: Attributes,
    },
    /// It is something else from a day on.
    Changed {
        /// What it is then.
        attributes: Attributes,
    },
}

impl Event {
    /// What it says.
    pub const fn attributes(&self) -> &Attributes {
        match self {
            Self::Registered { attributes } | Self::Changed { attributes } => attributes,
        }
    }
}

impl Aggregate for Organization {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "organization";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Registered { .. } => "registered",
            Event::Changed { .. } => "changed",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        let registered = self.0.periods().next().is_some();
        match command {
            Command::Register(_) if registered => Err(Code::OrgExists.into()),
            Command::Change(_) if !registered => Err(Code::NotFound.into()),
            Command::Register(attributes) => {
                crate::filled("name", &attributes.name)?;
                Ok(vec![Event::Registered { attributes }])
            }
            Command::Change(attributes) => {
                crate::filled("name", &attributes.name)?;
                let day = attributes.valid_from;
                let same = self
                    .0
                    .on(day)
                    .cloned()
                    .is_some_and(|held| Attributes { valid_from: day, ..held } == attributes);
                Ok(if same { vec![] } else { vec![Event::Changed { attributes }] })
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        let attributes = event.attributes();
        self.0.set(attributes.valid_from, attributes.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn named(name: &str, from: &str) -> Attributes {
        Attributes {
            valid_from: Day::parse(from).unwrap(),
            name: name.to_owned(),
            level: Level::County,
            division: None,
            unit_office: None,
        }
    }

    fn registered() -> Event {
        Event::Registered { attributes: named("县旅游局", "2016-01-01") }
    }

    #[test]
    fn it_is_registered_once() {
        let again = || Command::Register(named("乙", "2016-01-01"));
        given::<Organization>([])
            .when(Command::Register(named(" ", "2016-01-01")))
            .then_refused(Code::EmptyText);
        given::<Organization>([registered()]).when(again()).then_refused(Code::OrgExists);
    }

    #[test]
    fn a_new_name_holds_from_its_day_on() {
        let new = || named("县文化和旅游局", "2019-03-01");
        given::<Organization>([]).when(Command::Change(new())).then_refused(Code::NotFound);
        let changed = Event::Changed { attributes: new() };
        given::<Organization>([registered()]).when(Command::Change(new())).then([changed.clone()]);
        let later = named("县文化和旅游局", "2020-01-01");
        given::<Organization>([registered(), changed]).when(Command::Change(later)).then([]);
    }
}
