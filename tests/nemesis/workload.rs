//! The work that goes on while faults happen: rounds and findings at the city and
//! its districts, rectifications and filings at the townships.
//!
//! Nobody here asks for anything that an office may refuse, so every refusal is
//! a finding; and whoever waits for another office waits by looking.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    ledger::Clerk,
    offices::{CITY, Offices},
};
use crate::chance::Chance;

/// A finding for the office of its unit.
type Finding = String;

/// A unit that is inspected.
#[derive(Clone)]
struct Unit {
    number: String,
    office: kernel::OfficeId,
    hands: mpsc::UnboundedSender<Finding>,
}

/// Registers units and starts everybody; they work until the set is dropped.
pub(crate) async fn start(offices: &Offices, clerks: &[Clerk], chance: &Chance) -> JoinSet<()> {
    let mut set = JoinSet::new();
    let clerk = |code: &str| clerks.iter().find(|clerk| clerk.code == code).unwrap();
    let mut hands = Vec::new();
    for code in offices.of_tier("township") {
        let (sender, receiver) = mpsc::unbounded_channel();
        hands.push((code, offices.seats[code].parent, sender));
        set.spawn(unit(clerk(code).clone(), receiver, chance.part()));
    }
    for code in offices.codes() {
        let below = hands.iter().filter(|(_, parent, _)| *parent == code || code == CITY);
        let units: Vec<Unit> = below
            .enumerate()
            .map(|(at, (town, _, hands))| Unit {
                number: format!("v{at}"),
                office: clerk(town).id.clone(),
                hands: hands.clone(),
            })
            .collect();
        if offices.seats[code].tier != "township" {
            let towns: Vec<_> = units.iter().map(|unit| unit.office.clone()).collect();
            offices.api(code).heard_of(&towns).await.unwrap();
            set.spawn(inspector(clerk(code).clone(), units, chance.part()));
        }
    }
    set
}

async fn pause(chance: &Chance) {
    tokio::time::sleep(Duration::from_millis(5 + chance.below(40))).await;
}

/// One committee: a round after the other.
async fn inspector(clerk: Clerk, units: Vec<Unit>, chance: Chance) {
    let organization = |unit: &Unit| {
        json!({"number": unit.number, "name": unit.number, "level": "village",
            "unit_office": unit.office, "valid_from": "2021-12-01"})
    };
    let organizations: Vec<Value> = units.iter().map(organization).collect();
    let path = "/api/organizations".to_owned();
    clerk.command("PLAN", path, &json!(organizations), None).await;
    let mut open = Vec::new();
    for number in 1.. {
        let findings = round(&clerk, &units, number, &chance).await;
        open.extend(findings);
        close_out(&clerk, &mut open).await;
    }
}

/// One round to its feedback; the findings.
async fn round(clerk: &Clerk, units: &[Unit], number: u32, chance: &Chance) -> Vec<Finding> {
    let name = format!("N{number}");
    let plan = json!({"number": name, "name": name, "kind": "regular", "organisation": "own",
        "reach": "direct"});
    let made = clerk.command("PLAN", "/api/rounds".to_owned(), &plan, None).await;
    let round = made["id"].as_str().unwrap_or_default().to_owned();
    let step = async |role: &'static str, step: &str, body: Value| {
        pause(chance).await;
        clerk.command(role, format!("/api/rounds/{round}/{step}"), &body, None).await;
    };
    let task = |unit: &Unit| {
        json!({"id": unit.number, "target": format!("{}-{}", clerk.id, unit.number),
            "name": unit.number, "level": "village", "unit_office": unit.office})
    };
    step("PLAN", "tasks", units.iter().map(task).collect()).await;
    step("SEC", "authorise", json!({})).await;
    step("TL", "enter", json!({})).await;
    let mut found = Vec::new();
    for unit in units {
        for n in 0..=chance.below(3) {
            let mark = format!("问题-{}-{name}-{}-{n}", clerk.code, unit.number);
            // The category is what is not sealed: by it the log is searched.
            let body = json!({"round": round, "task": unit.number, "category": mark,
                "title": mark, "text": "现象、定性、责任"});
            pause(chance).await;
            let made = clerk.command("TM", "/api/findings".to_owned(), &body, Some(mark)).await;
            let id = made["id"].as_str().unwrap_or_default().to_owned();
            clerk.command("TL", format!("/api/findings/{id}/co-sign"), &json!({}), None).await;
            found.push((unit, id));
        }
    }
    for unit in units {
        step("TL", &format!("tasks/{}/list", unit.number), json!({})).await;
    }
    step("TL", "withdraw", json!({})).await;
    step("SEC", "hear", json!({})).await;
    for unit in units {
        step("PLAN", &format!("tasks/{}/feedback", unit.number), json!({})).await;
    }
    for (unit, finding) in &found {
        let _ = unit.hands.send(finding.clone());
    }
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// Closes out what its unit has rectified by now.
async fn close_out(clerk: &Clerk, open: &mut Vec<Finding>) {
    let mut waiting = Vec::new();
    for finding in open.drain(..) {
        let path = format!("/api/findings/{finding}");
        match clerk.get("RECT", &path).await {
            Some(row) if row["state"] == "rectified" => {
                let basis = json!({"basis": row["completion"]});
                clerk.command("RECT", format!("{path}/close-out"), &basis, None).await;
            }
            _ => waiting.push(finding),
        }
    }
    *open = waiting;
}

/// One township: rectifies what was fed back, and files in between.
async fn unit(clerk: Clerk, mut fed_back: mpsc::UnboundedReceiver<Finding>, chance: Chance) {
    let mut waiting: Vec<Finding> = Vec::new();
    for period in 1_u64.. {
        pause(&chance).await;
        while let Ok(finding) = fed_back.try_recv() {
            waiting.push(finding);
        }
        let mut later = Vec::new();
        for finding in waiting.drain(..) {
            if !rectify(&clerk, &finding, &chance).await {
                later.push(finding);
            }
        }
        waiting = later;
        file(&clerk, &format!("P{period}")).await;
    }
}

/// Rectifies a finding, if its feedback is here.
async fn rectify(clerk: &Clerk, finding: &str, chance: &Chance) -> bool {
    let path = format!("/api/rectifications/{}-{finding}", clerk.id);
    if clerk.get("COM", &path).await.is_none() {
        return false;
    }
    let measure = json!({"text": "逐项核实", "due": "2026-06-30", "responsible": "分管负责人"});
    clerk.command("COM", format!("{path}/measures"), &measure, None).await;
    pause(chance).await;
    let report = json!({"report": "已整改"});
    clerk.command("COM", format!("{path}/complete"), &report, None).await;
    true
}

/// One more filing that is owed to the parent.
pub(crate) async fn file(clerk: &Clerk, period: &str) {
    let mark = format!("{}-{period}", clerk.code);
    let body = json!({"set": "staff", "period": mark, "due": "2024-06-30"});
    clerk.command("COM", "/api/filings".to_owned(), &body, Some(mark)).await;
}
