//! The work that goes on while faults happen: teams make clues, custodians offer,
//! withdraw and send elsewhere, registries accept, return, assign and hand on.
//!
//! Everybody looks first and asks then, and much has changed in between: refusals belong
//! to the work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use domain::custody::{Party, case_id};
use kernel::OfficeId;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::houses::{DISTRICT, Drafters, Houses, OTHER, Registry, TOWN};
use crate::{
    chance::Chance,
    chancery::Chancery,
    nemesis::offices::{CITY, Offices},
    town::Town,
};

/// What the workers share.
pub(crate) struct Work {
    pub(crate) houses: Houses,
    district: OfficeId,
    other: OfficeId,
    town: OfficeId,
    /// How many clues were begun, and how many may be.
    made: AtomicU64,
    most: u64,
    /// Acceptances and withdrawals that were sent at the same moment, and both confirmed.
    pub(crate) crossings: [AtomicU64; 2],
}

/// The way that a hand-over may go on from an organ, and no further.
const LONGEST: u64 = 4;

impl Work {
    pub(crate) fn new(offices: &Offices, houses: Houses, most: u64) -> Self {
        let id = |code: &str| offices.seats[code].id();
        Self {
            houses,
            district: id(DISTRICT),
            other: id(OTHER),
            town: id(TOWN),
            made: AtomicU64::new(0),
            most,
            crossings: Default::default(),
        }
    }

    /// How many clues were begun.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }

    /// Starts everybody; they work until the set is dropped.
    pub(crate) fn start(self: &Arc<Self>, chance: &Chance) -> JoinSet<()> {
        let mut set = JoinSet::new();
        for drafters in self.houses.drafters.clone() {
            for part in 0..3 {
                let (work, drafters, chance) = (self.clone(), drafters.clone(), chance.part());
                set.spawn(async move {
                    loop {
                        match part {
                            0 => work.make(&drafters, &chance).await,
                            1 => work.tend(&drafters, &chance).await,
                            _ => work.cross(&drafters, &chance).await,
                        }
                        pause(&chance).await;
                    }
                });
            }
        }
        for registry in self.houses.registries.clone() {
            let (work, chance) = (self.clone(), chance.part());
            set.spawn(async move {
                loop {
                    work.register(&registry, &chance).await;
                    pause(&chance).await;
                }
            });
        }
        set
    }

    /// Who has authority, by chance.
    fn authority(&self, of: &Drafters, chance: &Chance) -> Value {
        let city = of.leader.clerk.office == CITY;
        let below = |office: &OfficeId| json!({"lower": office});
        let district = || below(&self.district);
        match (city, chance.below(8)) {
            (true, 0 | 1) | (false, 0..=2) => json!("own"),
            (true, 2..=4) => district(),
            (true, _) => below(&self.other),
            // A township has no organ that receives: nobody can offer this one.
            (false, 3) if chance.once_in(3) => below(&self.town),
            (false, 3 | 4) => json!("organization-department"),
            (false, _) => json!("upper"),
        }
    }

    /// One more clue, to its offer.
    async fn make(&self, of: &Drafters, chance: &Chance) {
        if self.made() >= self.most {
            return tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let number = self.made.fetch_add(1, Relaxed);
        let authority = self.authority(of, chance);
        let draft = Chancery::<Town>::draft_of(&of.team, &authority, &format!("{number}"));
        let Some(made) = of.member.does("/api/clues", draft, &["drafted"]).await else { return };
        let id = made["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/api/clues/{id}");
        let judged = Chancery::<Town>::judged(&of.team, "");
        let steps = async {
            let discuss = format!("{path}/discuss");
            let discussed = of.leader.does(&discuss, judged, &["discussed"]).await?;
            let content = json!({"content": discussed["content"]});
            for hand in [&of.leader, &of.member] {
                let left = &["first-signed", "dual-signed"];
                hand.does(&format!("{path}/sign"), content.clone(), left).await?;
            }
            of.custodian.steps(&format!("{path}/seal"), &["sealed"]).await?;
            of.custodian.steps(&format!("{path}/offer"), &["offered"]).await
        };
        steps.await;
    }

    /// The custodian goes through the clues.
    async fn tend(&self, of: &Drafters, chance: &Chance) {
        let Some(rows) = of.custodian.rows("/api/clues").await else { return };
        for row in rows.iter().filter(|row| row["state"] == "sealed") {
            let path = format!("/api/clues/{}", row["id"].as_str().unwrap_or_default());
            if !row["offer"].is_null() {
                if chance.once_in(30) {
                    let left = &["offer-withdrawn"];
                    of.custodian.steps(&format!("{path}/withdraw"), left).await;
                }
                continue;
            }
            let elsewhere = row["returned"] == "not-our-authority" || row["returned"] == "recused";
            if elsewhere && chance.once_in(2) {
                let body = json!({"authority": self.authority(of, chance)});
                of.custodian.does(&format!("{path}/reroute"), body, &["rerouted"]).await;
            }
            if chance.once_in(2) {
                of.custodian.steps(&format!("{path}/offer"), &["offered"]).await;
            }
        }
    }

    /// Withdraws an offer at the very moment at which its receiver accepts it.
    async fn cross(&self, of: &Drafters, chance: &Chance) {
        let Some(rows) = of.custodian.rows("/api/clues").await else { return };
        let open = |row: &&Value| row["state"] == "sealed" && !row["offer"]["delivered"].is_null();
        let rows: Vec<&Value> = rows.iter().filter(open).collect();
        if rows.is_empty() || !chance.once_in(3) {
            return;
        }
        let row = *chance.pick(&rows);
        let Ok(to) = serde_json::from_value::<Party>(row["offer"]["to"].clone()) else { return };
        let Some(registry) = self.houses.registry(&to) else { return };
        let id = row["id"].as_str().unwrap_or_default();
        let turn = row["offer"]["turn"].as_u64().and_then(|turn| u32::try_from(turn).ok());
        let case = case_id(&to.office, &format!("clue/{id}"), turn.unwrap_or(0));
        let (accept, withdraw) =
            (format!("/api/clue-cases/{case}/accept"), format!("/api/clues/{id}/withdraw"));
        let (accepted, withdrawn) = tokio::join!(
            registry.hand.steps(&accept, &["accepted"]),
            of.custodian.steps(&withdraw, &["offer-withdrawn"]),
        );
        self.crossings[0].fetch_add(1, Relaxed);
        if accepted.is_some() && withdrawn.is_some() {
            self.crossings[1].fetch_add(1, Relaxed);
        }
    }

    /// A registry goes through what came, and through what it holds.
    async fn register(&self, at: &Registry, chance: &Chance) {
        let Some(rows) = at.hand.rows("/api/clue-cases").await else { return };
        for row in rows.iter().filter(|row| is_of(row, at)) {
            let path = format!("/api/clue-cases/{}", row["id"].as_str().unwrap_or_default());
            if !row["onward"].is_null() {
                if chance.once_in(12) {
                    let left = &["offer-withdrawn"];
                    at.hand.steps(&format!("{path}/withdraw"), left).await;
                }
                continue;
            }
            match row["state"].as_str() {
                Some("delivered") => match chance.below(6) {
                    0 => self.send_back(at, &path, chance).await,
                    1 | 2 => drop(at.hand.steps(&format!("{path}/accept"), &["accepted"]).await),
                    _ => {}
                },
                Some("held") => self.hold(at, &path, row, chance).await,
                _ => {}
            }
        }
    }

    async fn send_back(&self, at: &Registry, path: &str, chance: &Chance) {
        let reasons =
            ["not-our-authority", "incomplete", "content-differs", "duplicate", "recused"];
        let body = json!({"reason": chance.pick(&reasons)});
        at.hand.does(&format!("{path}/return"), body, &["returned"]).await;
    }

    /// Who holds, acts: assigns it, or hands it on.
    async fn hold(&self, at: &Registry, path: &str, row: &Value, chance: &Chance) {
        if row["handler"].is_null()
            && let Some(handler) = at.handler.as_ref().filter(|_| chance.once_in(2))
        {
            let body = json!({"person": handler});
            at.hand.does(&format!("{path}/assign"), body, &["assigned"]).await;
        }
        if row["number"].as_u64().unwrap_or(0) < LONGEST && chance.once_in(6) {
            let to = self.onward(at, chance);
            let body = json!({"to": to});
            at.hand.does(&format!("{path}/offer"), body, &["offered"]).await;
        }
    }

    /// Another organ, by chance; of some this office has no key.
    fn onward(&self, at: &Registry, chance: &Chance) -> Party {
        let parties = self.houses.registries.iter().map(|registry| registry.party.clone());
        let others: Vec<Party> = parties.filter(|party| *party != at.party).collect();
        chance.pick(&others).clone()
    }
}

/// Whether a case is this organ's.
pub(crate) fn is_of(row: &Value, at: &Registry) -> bool {
    row["to"] == json!(at.party)
}

async fn pause(chance: &Chance) {
    tokio::time::sleep(Duration::from_millis(150 + chance.below(350))).await;
}

/// What remains to be answered once everything is healed: every delivered offer is
/// accepted, or returned where its bytes were lost with a store; what nobody can deliver
/// any more is withdrawn. How much there was to do.
pub(crate) async fn answer_all(work: &Work, withdraw: bool) -> u64 {
    let mut open = 0;
    for at in &work.houses.registries {
        let rows = at.hand.rows("/api/clue-cases").await.unwrap_or_default();
        for row in rows.iter().filter(|row| is_of(row, at)) {
            let path = format!("/api/clue-cases/{}", row["id"].as_str().unwrap_or_default());
            let waits = !row["onward"].is_null();
            open += u64::from(waits || row["state"] == "delivered" || row["state"] == "accepted");
            if row["state"] == "delivered" {
                let accepted = at.hand.steps(&format!("{path}/accept"), &["accepted"]).await;
                if accepted.is_none() {
                    let body = json!({"reason": "incomplete"});
                    at.hand.does(&format!("{path}/return"), body, &["returned"]).await;
                }
            } else if waits && withdraw && row["onward"]["delivered"].is_null() {
                at.hand.steps(&format!("{path}/withdraw"), &["offer-withdrawn"]).await;
            }
        }
    }
    for of in &work.houses.drafters {
        let rows = of.custodian.rows("/api/clues").await.unwrap_or_default();
        for row in rows.iter().filter(|row| row["state"] == "sealed" && !row["offer"].is_null()) {
            open += 1;
            if withdraw && row["offer"]["delivered"].is_null() {
                let path = format!("/api/clues/{}", row["id"].as_str().unwrap_or_default());
                let left = &["offer-withdrawn"];
                of.custodian.steps(&format!("{path}/withdraw"), left).await;
            }
        }
    }
    open
}
