//! Who may act, as the offices' interfaces show it all the while.
//!
//! What a reader would get wrong: two offices are not asked at one moment. But custody
//! goes one way: once somebody was seen to hold the n-th hand-over of a clue, nobody who
//! is asked after that may show an earlier one as his to act on.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::sync::RwLock;

use super::{clerks::Hand, houses::Houses, work::is_of};
use crate::chance::Chance;

/// What only a holder may do.
const ACTS: [&str; 14] = [
    "offer",
    "reroute",
    "paper",
    "revise",
    "drop",
    "assign",
    "propose",
    "approve",
    "progress",
    "inquire",
    "reply",
    "review",
    "result",
    "feed-back",
];

/// Where a case is with its organ, to act on.
const HELD: [&str; 7] =
    ["held", "proposed", "handling", "waiting", "concluded", "resulted", "fed-back"];

/// Whoever looks on.
#[derive(Default)]
pub(crate) struct Watch {
    /// The furthest hand-over of each clue that was seen held, and in which stream.
    seen: Mutex<BTreeMap<String, (u64, String)>>,
    pub(crate) wrong: Mutex<Vec<String>>,
    /// Lists and single matters that were looked at.
    pub(crate) looks: [AtomicU64; 2],
    /// Held for writing while an office shows what it knew when its backup was made.
    pub(crate) pause: RwLock<()>,
}

/// A clue where somebody shows it.
struct Sight {
    clue: String,
    number: u64,
    stream: String,
    able: bool,
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

fn of_clue(row: &Value) -> Sight {
    let able = row["state"] == "sealed" && row["offer"].is_null();
    let clue = text(row, "id");
    Sight { stream: format!("clue/{clue}"), clue, number: 0, able }
}

fn of_case(row: &Value) -> Sight {
    let held = row["state"].as_str().is_some_and(|state| HELD.contains(&state));
    let able = held && row["onward"].is_null();
    let (clue, number) = (text(row, "clue"), row["number"].as_u64().unwrap_or(0));
    Sight { clue, number, stream: format!("clue-case/{}", text(row, "id")), able }
}

impl Watch {
    /// Looks until it is dropped.
    pub(crate) async fn keep(&self, houses: &Houses, chance: &Chance) {
        loop {
            let open = self.pause.read().await;
            self.look(houses, chance).await;
            drop(open);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Asks everybody once, in some order.
    pub(crate) async fn look(&self, houses: &Houses, chance: &Chance) {
        let drafters = (0..houses.drafters.len()).map(|at| (true, at));
        let all: Vec<(bool, usize)> =
            drafters.chain((0..houses.registries.len()).map(|at| (false, at))).collect();
        for (drafts, at) in chance.shuffled(&all) {
            let before = self.seen.lock().unwrap().clone();
            if drafts {
                let hand = &houses.drafters[at].custodian;
                let Some(rows) = hand.rows("/api/clues").await else { continue };
                self.note(&before, rows.iter().map(of_clue));
                self.one(hand, "/api/clues", &rows, (chance, of_clue)).await;
            } else {
                let registry = &houses.registries[at];
                let Some(mut rows) = registry.hand.rows("/api/clue-cases").await else { continue };
                rows.retain(|row| is_of(row, registry));
                self.note(&before, rows.iter().map(of_case));
                self.one(&registry.hand, "/api/clue-cases", &rows, (chance, of_case)).await;
            }
        }
    }

    fn note(&self, before: &BTreeMap<String, (u64, String)>, sights: impl Iterator<Item = Sight>) {
        self.looks[0].fetch_add(1, Relaxed);
        let mut seen = self.seen.lock().unwrap();
        for sight in sights.filter(|sight| sight.able) {
            let Sight { clue, number, stream, .. } = sight;
            if let Some((further, by)) = before.get(&clue)
                && (number < *further || number == *further && stream != *by)
            {
                let what = format!("{stream} may act on {clue}, which {by} was seen to hold");
                self.wrong.lock().unwrap().push(what);
            }
            let last = seen.entry(clue).or_insert((number, stream.clone()));
            if number >= last.0 {
                *last = (number, stream);
            }
        }
    }

    /// Of one matter: whoever does not hold it is offered nothing to do with it.
    async fn one(
        &self,
        hand: &Hand,
        path: &str,
        rows: &[Value],
        (chance, sight): (&Chance, fn(&Value) -> Sight),
    ) {
        let rows: Vec<&Value> =
            rows.iter().filter(|row| row["state"] == "sealed" || path.ends_with("cases")).collect();
        if rows.is_empty() {
            return;
        }
        let picked = chance.pick(&rows);
        let id = text(picked, "id");
        let Some(row) = hand.get(&format!("{path}/{id}")).await else { return };
        self.looks[1].fetch_add(1, Relaxed);
        let acts = acts(&row);
        let before_sealing = path.ends_with("clues") && row["state"] != "sealed";
        if !sight(&row).able && !before_sealing && !acts.is_empty() {
            let what = format!("{path}/{id} is {} and offers {acts:?}", row["state"]);
            self.wrong.lock().unwrap().push(what);
        }
    }

    /// What was seen of a store that is lost counts no more.
    pub(crate) fn forgets(&self) {
        self.seen.lock().unwrap().clear();
    }
}

/// What a holder may do, of what is offered to do.
pub(crate) fn acts(row: &Value) -> Vec<String> {
    let actions = row["actions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    actions.filter(|action| ACTS.contains(action)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_who_may_act_are_found() {
        let case = |id: &str, number: u64, state: &str, onward: Value| {
            let row = json!({"id": id, "clue": "x-1", "number": number, "state": state,
                "onward": onward});
            of_case(&row)
        };
        let clue = |offer: Value| of_clue(&json!({"id": "x-1", "state": "sealed", "offer": offer}));
        let watch = Watch::default();
        let sees = |sight: Sight| {
            let before = watch.seen.lock().unwrap().clone();
            watch.note(&before, [sight].into_iter());
            watch.wrong.lock().unwrap().len()
        };
        assert_eq!(sees(clue(Value::Null)), 0);
        assert_eq!(sees(clue(json!({"turn": 1}))), 0);
        assert_eq!(sees(case("y-1", 1, "accepted", Value::Null)), 0);
        assert_eq!(sees(case("y-1", 1, "held", Value::Null)), 0);
        assert_eq!(sees(clue(json!({"turn": 1}))), 0, "offered is not held");
        assert_eq!(sees(clue(Value::Null)), 1, "the first holder and the second");
        assert_eq!(sees(case("z-1", 1, "held", Value::Null)), 2, "two by one hand-over");
        assert_eq!(sees(case("z-1", 2, "held", Value::Null)), 2);
        assert_eq!(sees(case("y-1", 1, "held", json!({"turn": 1}))), 2);
        assert_eq!(sees(case("y-1", 1, "handling", Value::Null)), 3);
    }
}
