//! The offices that handle clues, and who works there.

use std::sync::Arc;

use deploy::round::Script;
use domain::{custody::Party, post::Organ};
use kernel::OfficeId;
use serde_json::json;

use super::clerks::{Book, Hand};
use crate::{
    chancery::{Chancery, Clerk, Team},
    nemesis::offices::{CITY, Offices},
};

/// A district that inspects.
pub(crate) const DISTRICT: &str = "611024";
/// Another, which receives only.
pub(crate) const OTHER: &str = "611002";
/// The township that is inspected.
pub(crate) const TOWN: &str = "611024106";

/// A team and its custodian.
#[derive(Clone)]
pub(crate) struct Drafters {
    pub(crate) team: Arc<Team>,
    pub(crate) leader: Hand,
    pub(crate) member: Hand,
    pub(crate) custodian: Hand,
}

/// An organ that receives clues.
#[derive(Clone)]
pub(crate) struct Registry {
    pub(crate) party: Party,
    pub(crate) hand: Hand,
    /// Who handles what it assigns.
    pub(crate) handler: Option<String>,
}

/// Everybody.
#[derive(Clone, Default)]
pub(crate) struct Houses {
    pub(crate) drafters: Vec<Drafters>,
    pub(crate) registries: Vec<Registry>,
}

impl Houses {
    /// Hires everybody, in fair weather; two teams are in the midst of a round then.
    pub(crate) async fn open(offices: &Offices, book: &Arc<Book>) -> Self {
        let desk = Chancery::of(offices);
        let hand = |clerk: &Clerk| Hand {
            clerk: clerk.clone(),
            url: offices.url(clerk.office),
            client: offices.client.clone(),
            book: book.clone(),
        };
        let mut houses = Self::default();
        for code in [CITY, DISTRICT] {
            let round = round(offices, code).await;
            let scope = format!("round:{round}");
            let leader = desk.hire_signer(code, "TL", &scope).await;
            let member = desk.hire_signer(code, "TM", &scope).await;
            let custodian = desk.hire(code, "CLUE", "office").await;
            let hands = [&leader, &member, &custodian].map(hand);
            let [first, second, third] = hands;
            let team = Arc::new(Team { round, leader, member, custodian });
            let drafters = Drafters { team, leader: first, member: second, custodian: third };
            houses.drafters.push(drafters);
        }
        for code in [CITY, DISTRICT, OTHER] {
            let office = offices.seats[code].id();
            let clerk = desk.hire_signer(code, "NDI_REG", "office").await;
            let handler = desk.hire(code, "NDI_OFF", &format!("round:{office}-R1")).await;
            let party = Party { office, organ: Organ::DisciplineOrgan };
            let (hand, handler) = (hand(&clerk), Some(handler.person));
            houses.registries.push(Registry { party, hand, handler });
        }
        let clerk = desk.hire_signer(DISTRICT, "ORG", "office").await;
        let office = offices.seats[DISTRICT].id();
        let party = Party { office, organ: Organ::OrganizationDepartment };
        houses.registries.push(Registry { party, hand: hand(&clerk), handler: None });
        houses
    }

    /// Who answers for an organ.
    pub(crate) fn registry(&self, party: &Party) -> Option<&Registry> {
        self.registries.iter().find(|registry| registry.party == *party)
    }

    /// Those at one office.
    pub(crate) fn registries_at(&self, office: &OfficeId) -> impl Iterator<Item = &Registry> {
        self.registries.iter().filter(move |registry| registry.party.office == *office)
    }
}

/// A round that has entered: its id.
async fn round(offices: &Offices, code: &str) -> String {
    let api = offices.api(code);
    let town = offices.seats[TOWN].id();
    api.heard_of(std::slice::from_ref(&town)).await.unwrap();
    let unit = json!([{"number": "v1", "name": "南坡村", "level": "village", "unit_office": town,
        "valid_from": "2021-12-01"}]);
    api.post("PLAN", "/api/organizations", "unit", None, &unit).await.unwrap();
    let plan = json!({"number": "R1", "name": "R1", "kind": "regular",
        "organisation": "own", "reach": "direct"});
    let task = json!({"id": "k1", "target": "v1", "name": "南坡村", "level": "village",
        "unit_office": town});
    let mut script = Script::new(&api, plan, vec![task], Vec::new());
    script.plan().await.unwrap();
    script.authorise().await.unwrap();
    script.enter().await.unwrap();
    format!("{}-R1", api.id)
}
