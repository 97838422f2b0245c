//! What sealing costs: a clue's draft beside a finding's draft, and opening one beside
//! reading the other, one caller, in turn, over HTTP at one office of a running town.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{
    chancery::Chancery,
    town::{DISTRICT, Town},
};

use crate::{ms, say};

/// The middle and the ninety-ninth of a hundred.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Drafts and opens so many of each.
pub(crate) async fn measure(many: usize) {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let text = "虚构内容:".repeat(60);
    let (mut plain, mut sealed, mut read, mut opened) = (vec![], vec![], vec![], vec![]);
    let mut ids: Vec<(String, String)> = Vec::new();
    for number in 0..many {
        let finding = json!({"round": team.round, "task": "k1", "category": "四个落实",
            "title": format!("问题{number}"), "text": text});
        let began = Instant::now();
        let made = desk.done(&team.member, "/api/findings", finding).await;
        plain.push(began.elapsed());
        let mut clue = Chancery::draft_of(&team, &json!("own"), "");
        clue["saying"]["text"] = Value::from(text.clone());
        let began = Instant::now();
        let drafted = desk.done(&team.member, "/api/clues", clue).await;
        sealed.push(began.elapsed());
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        ids.push((id(&made), id(&drafted)));
    }
    for (finding, clue) in &ids {
        let began = Instant::now();
        assert_eq!(desk.get(&team.member, &format!("/api/findings/{finding}")).await.status, 200);
        read.push(began.elapsed());
        let began = Instant::now();
        assert_eq!(desk.get(&team.member, &format!("/api/clues/{clue}/content")).await.status, 200);
        opened.push(began.elapsed());
    }
    let vault = town.keys(DISTRICT).join("vault");
    let size: u64 =
        std::fs::read_dir(vault).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    say(&format!("{many} of each, text of {} bytes, vault of {size} bytes at the end", text.len()));
    for (what, base, other) in [
        ("finding's draft, clue's draft (sealed)", plain, sealed),
        ("finding read, clue opened (both on record)", read, opened),
    ] {
        let (base, other) = (quantiles(base), quantiles(other));
        let ratio = other.0.as_secs_f64() / base.0.as_secs_f64();
        say(&format!(
            "{what}: p50 {} and {} ({ratio:.2} times), p99 {} and {}",
            ms(base.0),
            ms(other.0),
            ms(base.1),
            ms(other.1)
        ));
    }
}
