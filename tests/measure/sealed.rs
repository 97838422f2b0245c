//! What sealing costs: a command with a text in the clear (a measure against a finding), a
//! finding's draft (sealed within its entry) and a clue's draft (sealed beside its entry,
//! under a key of its own), each with the same text; and reading each of them. One caller,
//! in turn, over HTTP at the offices of a running town.

use std::time::{Duration, Instant};

use deploy::round::Script;
use serde_json::{Value, json};
use tests::{
    chancery::Chancery,
    town::{DISTRICT, TOWN, Town},
};

use crate::{ms, say};

/// The middle and the ninety-ninth of a hundred.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// A finding of another round that was fed back: where its township plans measures.
async fn fed_back(town: &Town) -> String {
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round("R2");
    let findings = vec![("k1".into(), "台账不全".into(), "现象、定性、责任".into())];
    let mut round = Script::new(&district, plan, tasks, findings);
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.withdraw().await.unwrap();
    round.hear().await.unwrap();
    round.feed_back().await.unwrap();
    let unit = town.api(TOWN);
    let path = format!("/api/rectifications/{}-{}", unit.id, round.drafted[0]);
    town.until("it was fed back", async || unit.get("COM", &path).await.is_ok()).await;
    path
}

/// Commands and reads so many of each.
pub(crate) async fn measure(many: usize) {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let (open, unit) = (fed_back(&town).await, town.api(TOWN));
    let text = "虚构内容:".repeat(60);
    let mut wrote = [vec![], vec![], vec![]];
    let mut read = [vec![], vec![], vec![]];
    let timed = |times: &mut Vec<Duration>, began: Instant| times.push(began.elapsed());
    let mut ids: Vec<(String, String)> = Vec::new();
    for number in 0..many {
        let measure = json!({"text": text, "due": "2026-06-30", "responsible": "分管负责人"});
        let (at, key) = (format!("{open}/measures"), format!("m{number}"));
        let began = Instant::now();
        unit.post("COM", &at, &key, Some("*"), &measure).await.unwrap();
        timed(&mut wrote[0], began);
        let finding = json!({"round": team.round, "task": "k1", "category": "四个落实",
            "title": format!("问题{number}"), "text": text});
        let began = Instant::now();
        let made = desk.done(&team.member, "/api/findings", finding).await;
        timed(&mut wrote[1], began);
        let mut clue = Chancery::draft_of(&team, &json!("own"), "");
        clue["saying"]["text"] = Value::from(text.clone());
        let began = Instant::now();
        let drafted = desk.done(&team.member, "/api/clues", clue).await;
        timed(&mut wrote[2], began);
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        ids.push((id(&made), id(&drafted)));
    }
    for (finding, clue) in &ids {
        let began = Instant::now();
        let round = format!("/api/rounds/{}", team.round);
        assert_eq!(desk.get(&team.member, &round).await.status, 200);
        timed(&mut read[0], began);
        let began = Instant::now();
        assert_eq!(desk.get(&team.member, &format!("/api/findings/{finding}")).await.status, 200);
        timed(&mut read[1], began);
        let began = Instant::now();
        assert_eq!(desk.get(&team.member, &format!("/api/clues/{clue}/content")).await.status, 200);
        timed(&mut read[2], began);
    }
    let vault = town.keys(DISTRICT).join("vault");
    let size: u64 =
        std::fs::read_dir(vault).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    say(&format!("{many} of each, text of {} bytes, vault of {size} bytes at the end", text.len()));
    report(["measure, in the clear", "finding, sealed within", "clue, sealed beside"], wrote);
    report(["round read", "finding opened, on record", "clue opened, on record"], read);
}

/// Each beside the first.
fn report(names: [&str; 3], times: [Vec<Duration>; 3]) {
    let [base, ..] = &times;
    let base = quantiles(base.clone()).0.as_secs_f64();
    for (name, times) in names.into_iter().zip(times) {
        let (middle, late) = quantiles(times);
        let ratio = middle.as_secs_f64() / base;
        say(&format!("{name}: p50 {} ({ratio:.2} times), p99 {}", ms(middle), ms(late)));
    }
}
