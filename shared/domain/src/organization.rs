//! 被巡察党组织 Inspected organization: what it is called and where it stands, from a day on.
//!
//! `Registered ─▶ Changed …`: a new name or level never changes what held before.

use kernel::{Aggregate, Code, Context, Day, OfficeId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Level, dated::Dated};

/// What an organization is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// The name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// Its code, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The id of the organization above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The id of its division, for a village or a township.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The office where it rectifies; none for a unit of this office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_office: Option<OfficeId>,
}

/// What is said of an organization for a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// From which day on.
    pub valid_from: Day,
    /// What it is from then on.
    pub attributes: Attributes,
}

/// Everything that it ever was.
#[derive(Clone, Debug, Default)]
pub struct Organization(Option<Dated<Attributes>>);

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Registers it.
    Register(Said),
    /// Gives it other attributes from a day on, or corrects those of that day.
    Change(Said),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It was registered.
    Registered {
        /// What it is.
        said: Said,
    },
    /// It is something else from a day on.
    Changed {
        /// What it is then.
        said: Said,
    },
}

impl Event {
    /// What it says.
    pub const fn said(&self) -> &Said {
        match self {
            Self::Registered { said } | Self::Changed { said } => said,
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
        let (Command::Register(said) | Command::Change(said)) = &command;
        let name = &said.attributes.name;
        crate::filled("name", name)?;
        if name.chars().any(char::is_control) {
            return Err(Refusal::new(Code::BadField).detail("name: one line"));
        }
        match (&self.0, command) {
            (None, Command::Register(said)) => Ok(vec![Event::Registered { said }]),
            (Some(_), Command::Register(_)) => Err(Code::OrgExists.into()),
            (None, Command::Change(_)) => Err(Code::NotFound.into()),
            (Some(known), Command::Change(said)) => {
                let same = known.said_for(said.valid_from) == Some(&said.attributes);
                Ok(if same { vec![] } else { vec![Event::Changed { said }] })
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        let Said { valid_from, attributes } = event.said();
        self.0.get_or_insert_default().set(*valid_from, attributes.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn named(name: &str, from: &str) -> Said {
        let (name, level) = (name.to_owned(), Level::County);
        let attributes =
            Attributes { name, level, code: None, parent: None, division: None, unit_office: None };
        Said { valid_from: Day::parse(from).unwrap(), attributes }
    }

    fn registered() -> Event {
        Event::Registered { said: named("县旅游局", "2016-01-01") }
    }

    #[test]
    fn it_is_registered_once() {
        let register = |name| Command::Register(named(name, "2016-01-01"));
        given::<Organization>([]).when(register(" ")).then_refused(Code::EmptyText);
        given::<Organization>([registered()]).when(register("乙")).then_refused(Code::OrgExists);
    }

    #[test]
    fn a_new_name_holds_from_its_day_on() {
        let new = || Command::Change(named("县文化和旅游局", "2019-03-01"));
        let changed = Event::Changed { said: named("县文化和旅游局", "2019-03-01") };
        given::<Organization>([]).when(new()).then_refused(Code::NotFound);
        given::<Organization>([registered()]).when(new()).then([changed.clone()]);
        given::<Organization>([registered(), changed.clone()]).when(new()).then([]);
        let empty = Command::Change(named("", "2019-03-01"));
        given::<Organization>([registered(), changed]).when(empty).then_refused(Code::EmptyText);
    }
}
