//! 巡察进度 Pace: what a year still asks for, and who was not inspected for long.
//!
//! Measured against the target list in force on the day: the least share of villages in a
//! calendar year (济南: a fifth of 5,712 are 1,143), and the targets whose last feedback, or
//! whose listing if there was none, lies longer back than the office's rule allows.

use std::collections::BTreeMap;

use access::Subject;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::Level;
use kernel::{Class, Day};
use policy::Packs;
use serde::Serialize;
use serde_json::json;
use web::{Problem, Route, Sight, Who, get};

use crate::{
    deadline_policies::of_sight,
    organizations::{ORGANIZATIONS, OrganizationRow},
    rounds::{TASKS, TaskRow},
    targets::{ListRow, TARGET_LISTS},
};

/// The most idle targets that are named; all are counted.
const MOST: usize = 500;

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/coverage/pace",
            Who::ReadsWhole(Subject::Of(Class::K2)),
            [
                "巡察进度与长期未巡",
                "Pace: what the year still asks for by level, and targets not inspected for long",
            ],
            pace,
        )
        .dated(),
    ]
}

/// How one level stands.
#[derive(Debug, Serialize)]
struct LevelPace {
    level: Level,
    targets: u64,
    /// Ever inspected.
    inspected: u64,
    /// Inspected in the day's calendar year.
    this_year: u64,
    /// What the year asks for; only villages are asked by the year.
    minimum: Option<Minimum>,
    /// How many were not inspected for longer than the rule allows.
    idle: u64,
}

/// The least of a year.
#[derive(Debug, Serialize)]
struct Minimum {
    targets: u64,
    /// What is missing of it.
    short: u64,
    policy: String,
}

/// A target that waits too long.
#[derive(Debug, Serialize)]
struct Idle {
    org: String,
    name: Option<String>,
    level: Level,
    /// Its last feedback.
    last: Option<Day>,
    /// From which day on it was listed.
    listed: Day,
    /// Since when it is idle.
    since: Day,
}

/// A target of the list in force.
#[derive(Debug)]
struct Target {
    org: String,
    level: Level,
    listed: Day,
    /// Its last feedback by the day.
    last: Option<Day>,
}

impl Target {
    fn idle(&self, packs: &Packs, day: Day) -> Option<Day> {
        let due = packs.due("coverage.idle_alert", self.last.unwrap_or(self.listed)).day;
        (due < day).then_some(due)
    }
}

/// The targets of the list in force on a day, with what was fed back by then.
fn targets(lists: &[(String, ListRow)], tasks: &[(String, TaskRow)], day: Day) -> Vec<Target> {
    let mut in_force: Vec<&ListRow> = lists.iter().map(|(_, list)| list).collect();
    in_force.retain(|list| list.valid_from <= day);
    let mut listed: BTreeMap<&str, Day> = BTreeMap::new();
    for list in &in_force {
        for target in &list.targets {
            let since = listed.entry(&target.org).or_insert(list.valid_from);
            *since = list.valid_from.min(*since);
        }
    }
    let mut last: BTreeMap<&str, Day> = BTreeMap::new();
    for (_, row) in tasks {
        if let Some(on) = row.fed_back.filter(|on| *on <= day) {
            let known = last.entry(&row.task.target).or_insert(on);
            *known = on.max(*known);
        }
    }
    let in_force = in_force.last().map(|list| list.targets.as_slice()).unwrap_or_default();
    let of = |target: &domain::target_list::Target| Target {
        level: target.level,
        listed: listed.get(target.org.as_str()).copied().unwrap_or(day),
        last: last.get(target.org.as_str()).copied(),
        org: target.org.clone(),
    };
    in_force.iter().map(of).collect()
}

fn of_level(targets: &[Target], level: Level, packs: &Packs, day: Day) -> LevelPace {
    let of = || targets.iter().filter(|target| target.level == level);
    let count = |is: &dyn Fn(&Target) -> bool| of().filter(|target| is(target)).count() as u64;
    let this_year = count(&|t| t.last.is_some_and(|on| on.0.year() == day.0.year()));
    let all = count(&|_| true);
    let rule = packs.on("coverage.village.annual_min", None, day);
    let minimum = rule.filter(|_| level == Level::Village).map(|rule| {
        let targets = rule.value.share_of(all);
        Minimum { targets, short: targets.saturating_sub(this_year), policy: rule.named() }
    });
    LevelPace {
        level,
        targets: all,
        inspected: count(&|target| target.last.is_some()),
        this_year,
        minimum,
        idle: count(&|target| target.idle(packs, day).is_some()),
    }
}

async fn pace(seat: Sight) -> Result<Response, Problem> {
    let (day, packs) = (seat.today(), of_sight(&seat).await?);
    let mut reader = seat.reader().await?;
    let lists: Vec<(String, ListRow)> = reader.all(TARGET_LISTS, "").await?;
    let tasks: Vec<(String, TaskRow)> = reader.all(TASKS, "").await?;
    let targets = targets(&lists, &tasks, day);
    let levels = Level::ALL.map(|level| of_level(&targets, level, &packs, day));
    let mut late: Vec<(Day, &Target)> =
        targets.iter().filter_map(|target| Some((target.idle(&packs, day)?, target))).collect();
    late.sort_by(|a, b| (a.0, &a.1.org).cmp(&(b.0, &b.1.org)));
    let mut idle = Vec::new();
    for (since, target) in late.iter().take(MOST) {
        let org: Option<OrganizationRow> = reader.view(ORGANIZATIONS, &target.org).await?;
        let name = org.and_then(|row| Some(row.attributes.on(day)?.name.clone()));
        let Target { org, level, listed, last } = target;
        let (org, level, listed) = (org.clone(), *level, *listed);
        idle.push(Idle { org, name, level, last: *last, listed, since: *since });
    }
    let body = json!({"demo": seat.pin.demo, "as_of": day, "levels": levels, "idle": idle,
        "more": late.len() > MOST});
    Ok(Json(body).into_response())
}
