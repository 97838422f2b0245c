//! The term of 商洛: 15,460 finding streams over 2,018 targets, by commands only.
//!
//! Nothing is counted here for the view: what the city shows is folded from its
//! own findings and the districts' signed figures, and then held against the
//! published numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    api::Api,
    city::City,
    divisions::{SHANGLUO, of_level},
    plan::{CITY, Plan, Scale},
    round::{Script, rectify},
};

const FIGURES: &str = include_str!("../data/figures.json");
/// Tasks of one round.
const TASKS: usize = 30;
/// Findings that one office works on at a time.
const AT_ONCE: usize = 6;

/// A level's published numbers, scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    name: &'static str,
    targets: u64,
    found: u64,
    rectified: u64,
}

fn levels(scale: Scale) -> Result<[Level; 3], String> {
    let figures: Value = serde_json::from_str(FIGURES).map_err(|error| error.to_string())?;
    let level = |name: &'static str| {
        let number = |field: &str| {
            scale.of(figures["shangluo_levels"][name][field].as_u64().unwrap_or_default())
        };
        let (targets, found, rectified) = (number("targets"), number("found"), number("rectified"));
        Level { name, targets, found, rectified }
    };
    Ok(["city", "county", "village"].map(level))
}

/// The share of `total` that falls to the `at`-th of `of`.
fn share(total: u64, at: u64, of: u64) -> u64 {
    (at + 1) * total / of - at * total / of
}

/// One inspected organization of the term.
#[derive(Clone, Debug)]
struct Target {
    level: &'static str,
    name: String,
    findings: u64,
    /// How many of them are rectified.
    rectified: u64,
    /// The code of the office where it rectifies.
    unit: String,
}

/// All targets by the inspecting office's code.
fn targets(plan: &Plan, scale: Scale) -> Result<BTreeMap<String, Vec<Target>>, String> {
    let [city, county, village] = levels(scale)?;
    let mut by_office: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    let mut add = |level: &Level, places: Vec<(String, String, String)>| {
        let mut found_before = 0;
        let count = places.len() as u64;
        for ((office, unit, name), at) in places.into_iter().zip(0..) {
            let findings = share(level.found, at, count);
            // The first `rectified` of `found`, spread evenly over the findings.
            let done = |upto: u64| upto * level.rectified / level.found;
            let rectified = done(found_before + findings) - done(found_before);
            found_before += findings;
            let target = Target { level: level.name, name, findings, rectified, unit };
            by_office.entry(office).or_default().push(target);
        }
    };
    let at_city = |n| (CITY.to_owned(), CITY.to_owned(), format!("市直单位{n:03}"));
    add(&city, (1..=city.targets).map(at_city).collect());
    let districts = plan.of_tier("district");
    let at_district = |n: u64| {
        let at = usize::try_from(n).unwrap_or(0) % districts.len();
        let code = &districts[at].code;
        (code.clone(), code.clone(), format!("县直单位{:03}", n + 1))
    };
    add(&county, (0..county.targets).map(at_district).collect());
    let towns = plan.of_tier("township");
    let parent = |code: &str| towns.iter().find(|t| t.code == code).and_then(|t| t.parent.clone());
    let villages = of_level("village").into_iter().filter_map(|village| {
        Some((
            parent(&village.parent)?,
            village.parent,
            format!("{}-{}", village.name, village.code),
        ))
    });
    let villages: Vec<_> = villages.take(usize::try_from(village.targets).unwrap_or(0)).collect();
    if villages.len() as u64 != village.targets {
        return Err(format!(
            "{} villages are there, {} are needed",
            villages.len(),
            village.targets
        ));
    }
    add(&village, villages);
    Ok(by_office)
}

/// Plays the term.
pub(crate) async fn play(city: &City, scale: Scale) -> Result<(), String> {
    let targets = targets(&city.plan, scale)?;
    let all = targets.values().flatten();
    let commands: u64 = all.map(|t| t.findings * 2 + t.rectified * 2 + 2).sum();
    let bar = ProgressBar::new(commands);
    let style = ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} commands  {per_sec}  {elapsed} + {eta}",
    );
    bar.set_style(style.map_err(|error| error.to_string())?);
    let api = city.api(CITY)?;
    let import = json!({"csv": SHANGLUO, "valid_from": "2023-06-30"});
    api.post("PLAN", "/api/divisions/import", "divisions", None, &import).await?;
    let mut apis = BTreeMap::new();
    for office in &city.plan.offices {
        apis.insert(office.code.clone(), city.api(&office.code)?);
    }
    let apis = Arc::new(apis);
    let sent = api.sent.clone();
    let ticking = tokio::spawn({
        let bar = bar.clone();
        async move {
            loop {
                bar.set_position(sent.load(Ordering::Relaxed));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    let mut offices = JoinSet::new();
    for (code, targets) in targets {
        let apis = apis.clone();
        offices.spawn(async move { committee(&apis, &code, targets).await });
    }
    while let Some(done) = offices.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    ticking.abort();
    bar.finish_and_clear();
    crate::output::say(&format!(
        "{} commands in {:.0} s",
        api.sent.load(Ordering::Relaxed),
        bar.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn organization(at: usize, code: &str, target: &Target, unit: &Api) -> Value {
    let mut body = json!({"number": format!("o{at:04}"), "name": target.name, "level": target.level, "valid_from": "2016-12-01"});
    if target.unit != code {
        body["unit_office"] = json!(unit.id);
    }
    body
}

/// One committee's whole term: its register, its list, its rounds.
async fn committee(
    apis: &BTreeMap<String, Api>,
    code: &str,
    targets: Vec<Target>,
) -> Result<(), String> {
    let api = apis.get(code).ok_or("the office does not serve")?;
    let unit = |target: &Target| apis.get(&target.unit).ok_or("the unit's office does not serve");
    let mut units = BTreeSet::new();
    for target in &targets {
        units.insert(unit(target)?.id.clone());
    }
    api.heard_of(&Vec::from_iter(units)).await?;
    let mut organizations = Vec::new();
    for (at, target) in targets.iter().enumerate() {
        organizations.push(organization(at, code, target, unit(target)?));
    }
    api.post("PLAN", "/api/organizations", "organizations", None, &json!(organizations)).await?;
    let listed: Vec<String> =
        (0..targets.len()).map(|at| api.organization(&format!("o{at:04}"))).collect();
    let list = json!({"valid_from": "2016-12-01", "targets": listed, "reason": "五年规划"});
    api.post("PLAN", "/api/target-lists", "targets", None, &list).await?;
    let mut rounds = Vec::new();
    for level in ["city", "county", "village"] {
        let of_level =
            targets.iter().cloned().enumerate().filter(|(_, target)| target.level == level);
        let of_level: Vec<(usize, Target)> = of_level.collect();
        rounds.extend(of_level.chunks(TASKS).map(<[_]>::to_vec));
    }
    // A committee has two rounds under way at a time, as in the seed.
    let played = stream::iter(rounds.into_iter().enumerate())
        .map(|(number, round)| one_round(apis, api, code, number + 1, round))
        .buffer_unordered(2);
    played.try_collect::<Vec<()>>().await.map(drop)
}

async fn one_round(
    apis: &BTreeMap<String, Api>,
    api: &Api,
    code: &str,
    number: usize,
    targets: Vec<(usize, Target)>,
) -> Result<(), String> {
    let village = targets.iter().any(|(_, target)| target.level == "village");
    let plan = json!({"number": format!("{code}-T4-R{number:02}"), "name": format!("第{number}轮巡察"),
        "kind": "regular", "organisation": "own", "reach": if village { "direct" } else { "extended" }});
    let mut tasks = Vec::new();
    let mut findings = Vec::new();
    let mut rectified = Vec::new();
    for (at, target) in targets {
        let id = format!("k{at:04}");
        let mut task = json!({"id": id, "target": format!("o{at:04}"), "name": target.name, "level": target.level});
        if target.unit != code {
            task["unit_office"] = json!(apis.get(&target.unit).map(|unit| &unit.id));
        }
        tasks.push(task);
        for n in 0..target.findings {
            let title = format!("{}问题{}", target.name, n + 1);
            findings.push((id.clone(), title, "现象、定性、责任三要素齐全的问题表述。".to_owned()));
            rectified.push((n < target.rectified).then(|| target.unit.clone()));
        }
    }
    let mut script = Script::new(api, plan, tasks, findings);
    script.plan().await?;
    script.authorise().await?;
    script.enter().await?;
    script.withdraw().await?;
    script.hear().await?;
    script.feed_back().await?;
    let mut due = Vec::new();
    for (finding, unit) in script.drafted.iter().zip(rectified) {
        due.extend(unit.map(|unit| (finding.clone(), unit)));
    }
    let work = stream::iter(due)
        .map(|(finding, unit)| async move {
            let role = if unit.len() > 6 { "COM" } else { "UNIT" };
            let unit = apis.get(&unit).ok_or("the unit's office does not serve")?;
            rectify(unit, role, &finding).await
        })
        .buffer_unordered(AT_ONCE);
    work.try_collect::<Vec<()>>().await.map(drop)
}

/// Waits for the city's view and holds it against the published numbers.
pub(crate) async fn compare(api: &Api, scale: Scale) -> Result<(Value, bool), String> {
    let expected = levels(scale)?;
    let mut began = Instant::now();
    let mut last = Value::Null;
    loop {
        let results = api.get("PLAN", "/api/results").await?;
        if agree(&results, &expected) {
            return Ok((results, true));
        }
        if results["levels"] != last {
            last = results["levels"].clone();
            began = Instant::now();
        }
        // What still changes is still on its way.
        if began.elapsed() > Duration::from_mins(1) {
            return Ok((results, false));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn agree(results: &Value, expected: &[Level; 3]) -> bool {
    let rows = results["levels"].as_array().cloned().unwrap_or_default();
    rows.len() == expected.len()
        && rows.iter().zip(expected).all(|(row, level)| {
            row["level"] == level.name
                && row["targets"] == level.targets
                && row["inspected"] == level.targets
                && row["found"] == level.found
                && row["rectified"] == level.rectified
                && row["rate"] == domain::rate::percent(level.rectified, level.found)
        })
}

/// The view as a table.
pub(crate) fn table(results: &Value) -> String {
    let mut text = String::from("level    targets inspected   found rectified   rate\n");
    for row in results["levels"].as_array().into_iter().flatten() {
        let number = |field: &str| row[field].as_u64().unwrap_or_default();
        text += &format!(
            "{:<8} {:>7} {:>9} {:>7} {:>9} {:>5}%\n",
            row["level"].as_str().unwrap_or_default(),
            number("targets"),
            number("inspected"),
            number("found"),
            number("rectified"),
            row["rate"].as_str().unwrap_or_default()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Mode;

    #[test]
    fn the_whole_term_has_the_published_numbers() {
        let scale = Scale::parse("1/1").unwrap();
        let plan = Plan::new(Mode::Term(scale));
        assert_eq!((plan.of_tier("district").len(), plan.of_tier("township").len()), (7, 98));
        let targets = targets(&plan, scale).unwrap();
        let all: Vec<_> = targets.values().flatten().collect();
        let sum = |of: fn(&Target) -> u64| all.iter().map(|t| of(t)).sum::<u64>();
        assert_eq!((all.len(), sum(|t| t.findings), sum(|t| t.rectified)), (2018, 15_460, 13_495));
        assert!(all.iter().all(|t| t.rectified <= t.findings));
    }
}
