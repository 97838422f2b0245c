//! 机关单设 Organ home: an organ that is an office of its own, with its own machine and
//! administrators, so that those of the inspection office are blind to it.
//!
//! The city says so to all; from then on what goes to that organ goes to its home. What
//! the organ received before stays where it was received.

use kernel::{Aggregate, Code, Context, OfficeId, Refusal, sign::PublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::post::Organ;

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct OrganHome(Option<(OfficeId, PublicKey)>);

/// Which office an organ is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// The office whose organ it is.
    pub of: OfficeId,
    /// The organ.
    pub organ: Organ,
    /// The office that the organ is.
    pub home: OfficeId,
}

impl Home {
    /// Only what receives clues is ever blind to the house; an office is not its own organ.
    pub fn check(&self) -> Result<(), Refusal> {
        let receives = matches!(self.organ, Organ::DisciplineOrgan | Organ::OrganizationDepartment);
        let sound = receives && self.of != self.home;
        if sound {
            Ok(())
        } else {
            Err(Refusal::new(Code::UnfitChoice).detail(
                "organ: discipline-organ or organization-department; home: another office than of",
            ))
        }
    }
}

/// Names the home of an organ.
#[derive(Clone, Debug)]
pub struct Name {
    /// Which office it is.
    pub home: Home,
    /// The organ's sealing key there, for those who never hear that office otherwise.
    pub key: PublicKey,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The organ is an office of its own.
    Named {
        /// Which office it is.
        home: Home,
        /// The organ's sealing key there.
        key: PublicKey,
    },
}

impl Aggregate for OrganHome {
    type Command = Name;
    type Event = Event;
    const FAMILY: &'static str = "organ-home";

    fn name(_: &Event) -> &'static str {
        "named"
    }

    fn decide(&self, Name { home, key }: Name, _: &Context) -> Result<Vec<Event>, Refusal> {
        if self.0.as_ref() == Some(&(home.home.clone(), key)) {
            return Ok(vec![]);
        }
        home.check()?;
        Ok(vec![Event::Named { home, key }])
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Named { home, key } = event;
        self.0 = Some((home.home.clone(), *key));
    }
}

#[cfg(test)]
mod tests {
    use testkit::given;

    use super::*;

    fn name(organ: Organ, home: &str) -> Name {
        let id = |text: &str| OfficeId::parse(text).unwrap();
        let home = Home { of: id("dddddddd"), organ, home: id(home) };
        Name { home, key: PublicKey([7; 32]) }
    }

    #[test]
    fn an_organ_that_receives_clues_may_be_an_office_of_its_own() {
        let ask = || name(Organ::DisciplineOrgan, "eeeeeeee");
        let Name { home, key } = ask();
        let named = Event::Named { home, key };
        given::<OrganHome>([]).when(ask()).then([named.clone()]);
        given::<OrganHome>([named]).when(ask()).then([]);
        for bad in [name(Organ::Team, "eeeeeeee"), name(Organ::DisciplineOrgan, "dddddddd")] {
            given::<OrganHome>([]).when(bad).then_refused(Code::UnfitChoice);
        }
    }
}
