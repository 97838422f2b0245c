//! The term of 商洛: 15,460 findings and 2,787 clues over 2,018 targets, by commands only.
//!
//! Nothing is counted here for the view: what the city shows is folded from its
//! own findings and the districts' signed figures, and then held against the
//! published numbers.

mod results;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::{clue::Outcome, clue_figures::ClueCounts};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    api::Api,
    city::City,
    clues::{self, Clerks, Until},
    divisions::{SHANGLUO, of_level},
    plan::{CITY, Plan, Scale},
    round::{Script, rectify},
};

pub(crate) use results::{compare, table};

const FIGURES: &str = include_str!("../data/figures.json");
/// Tasks of one round.
const TASKS: usize = 30;
/// Findings that one office works on at a time.
const AT_ONCE: usize = 6;
/// Clues of one round that are on their way at a time; most of the time they wait.
const CLUES_AT_ONCE: usize = 16;

/// A level's published numbers, scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    name: &'static str,
    targets: u64,
    found: u64,
    rectified: u64,
    clues: ClueCounts,
}

fn levels(scale: Scale) -> Result<[Level; 3], String> {
    let figures: Value = serde_json::from_str(FIGURES).map_err(|error| error.to_string())?;
    let level = |name: &'static str| {
        let number = |field: &str| {
            scale.of(figures["shangluo_levels"][name][field].as_u64().unwrap_or_default())
        };
        let (targets, found, rectified) = (number("targets"), number("found"), number("rectified"));
        let clues = ClueCounts {
            clues: number("clues"),
            clues_closed: number("clues_closed"),
            cases: number("cases_filed"),
            disciplined: number("persons_disciplined"),
            transferred: number("persons_transferred"),
        };
        Level { name, targets, found, rectified, clues }
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
    /// Its clues: what came of each that is closed.
    clues: Vec<Option<Outcome>>,
}

/// The clues that fall to the `at`-th of `of` targets of a level; the closed ones of the
/// level stand evenly among all, and what came of them evenly among those.
fn clues(level: &ClueCounts, at: u64, of: u64) -> Vec<Option<Outcome>> {
    let closed = |upto: u64| upto * level.clues_closed / level.clues;
    let small = |count: u64| u16::try_from(count).unwrap_or(u16::MAX);
    let one = |n: u64| {
        let (done, all) = (closed(n), level.clues_closed);
        (closed(n + 1) > done).then(|| Outcome {
            cases: small(share(level.cases, done, all)),
            disciplined: small(share(level.disciplined, done, all)),
            transferred: small(share(level.transferred, done, all)),
            ..Outcome::default()
        })
    };
    (at * level.clues / of..(at + 1) * level.clues / of).map(one).collect()
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
            let clues = clues(&level.clues, at, count);
            let target = Target { level: level.name, name, findings, rectified, unit, clues };
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

/// The targets of 商洛's city level before the institutional reform of 2018 and after it.
const BEFORE_THE_REFORM: usize = 90;
const AFTER_THE_REFORM: usize = 94;

/// Plays the term.
pub(crate) async fn play(city: &City, scale: Scale) -> Result<(), String> {
    let targets = targets(&city.plan, scale)?;
    let all = targets.values().flatten();
    let commands: u64 =
        all.map(|t| t.findings * 2 + t.rectified * 2 + 2 + t.clues.len() as u64 * 13).sum();
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
    let above = Clerks::of(&api, 'C').await?;
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
        let (apis, above) = (apis.clone(), above.clone());
        offices.spawn(async move { committee(&apis, &above, &code, targets).await });
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
    above: &Clerks,
    code: &str,
    targets: Vec<Target>,
) -> Result<(), String> {
    let api = apis.get(code).ok_or("the office does not serve")?;
    let own = if code == CITY { above.clone() } else { Clerks::of(api, 'D').await? };
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
    let mut versions = vec![("2016-12-01", listed.len(), "五年规划")];
    if code == CITY && listed.len() == AFTER_THE_REFORM {
        versions = vec![
            ("2016-12-01", BEFORE_THE_REFORM, "五年规划"),
            ("2018-10-01", AFTER_THE_REFORM, "机构改革"),
        ];
    }
    let mut known = None;
    for (from, count, reason) in versions {
        let list = json!({"valid_from": from, "targets": listed[..count], "reason": reason});
        let key = format!("targets-{from}");
        let done = api.post("PLAN", "/api/target-lists", &key, known.as_deref(), &list).await?;
        known = Some(done.version);
    }
    let mut rounds = Vec::new();
    for level in ["city", "county", "village"] {
        let of_level =
            targets.iter().cloned().enumerate().filter(|(_, target)| target.level == level);
        let of_level: Vec<(usize, Target)> = of_level.collect();
        rounds.extend(of_level.chunks(TASKS).map(<[_]>::to_vec));
    }
    // A committee has two rounds under way at a time, as in the seed.
    let played = stream::iter(rounds.into_iter().enumerate())
        .map(|(number, round)| one_round(apis, (&own, above), code, number + 1, round))
        .buffer_unordered(2);
    played.try_collect::<Vec<()>>().await.map(drop)
}

async fn one_round(
    apis: &BTreeMap<String, Api>,
    (own, above): (&Clerks, &Clerks),
    code: &str,
    number: usize,
    targets: Vec<(usize, Target)>,
) -> Result<(), String> {
    let api = apis.get(code).ok_or("the office does not serve")?;
    let village = targets.iter().any(|(_, target)| target.level == "village");
    let plan = json!({"number": format!("{code}-T4-R{number:02}"), "name": format!("第{number}轮巡察"),
        "kind": "regular", "organisation": "own", "reach": if village { "direct" } else { "extended" }});
    let mut tasks = Vec::new();
    let mut findings = Vec::new();
    let (mut rectified, mut clues) = (Vec::new(), Vec::new());
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
        let task = |(n, outcome)| (id.clone(), target.level, n, outcome);
        clues.extend(target.clues.into_iter().enumerate().map(task));
    }
    let mut script = Script::new(api, plan, tasks, findings);
    script.plan().await?;
    script.authorise().await?;
    script.enter().await?;
    let round = script.id().to_owned();
    let mut scripts = Vec::new();
    for (at, (task, level, n, outcome)) in clues.into_iter().enumerate() {
        let upper = (at % 40 == 7 && code != CITY).then(|| above.clone());
        scripts.push(clue(&round, (task, level, n), outcome, upper));
    }
    let played = stream::iter(scripts)
        .map(|clue| async move { clue.play(own).await.map(drop) })
        .buffer_unordered(CLUES_AT_ONCE);
    played.try_collect::<Vec<()>>().await?;
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

/// The `n`-th clue of a task: to its end, or to somewhere on the way.
fn clue(
    round: &str,
    (task, level, n): (String, &'static str, usize),
    outcome: Option<Outcome>,
    upper: Option<Clerks>,
) -> clues::Script {
    let open = [Until::Held, Until::Proposed, Until::Waiting, Until::Handling, Until::FedBack];
    let key = format!("{task}-{n}-{round}");
    let until = match outcome {
        Some(_) => Until::Closed,
        None => {
            open[key.len().wrapping_add(n + task.bytes().map(usize::from).sum::<usize>())
                % open.len()]
        }
    };
    let rank = match level {
        "city" => "county",
        "county" => "section",
        _ => "village",
    };
    let (round, outcome) = (round.to_owned(), outcome.unwrap_or_default());
    clues::Script { key, round, task, rank, until, outcome, upper }
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
        let mut clues = BTreeMap::new();
        for target in all {
            let counts: &mut ClueCounts = clues.entry(target.level).or_default();
            counts.clues += target.clues.len() as u64;
            for outcome in target.clues.iter().flatten() {
                counts.clues_closed += 1;
                counts.cases += u64::from(outcome.cases);
                counts.disciplined += u64::from(outcome.disciplined);
                counts.transferred += u64::from(outcome.transferred);
            }
        }
        for level in levels(scale).unwrap() {
            assert_eq!(clues[level.name], level.clues);
        }
        let all: u64 = clues.values().map(|counts| counts.clues).sum();
        let closed: u64 = clues.values().map(|counts| counts.clues_closed).sum();
        assert_eq!((all, closed), (2787, 2289));
    }
}
