//! 隶属调整 Moves: the city puts a township below another district.
//!
//! Three words, each of who may say it: the city calls, the township moves with an entry
//! of its own, the city says to all from which entry on it reports elsewhere. What was
//! filed below the district before is finished with it; what its successor should know
//! of the past is shared by `HistoryShared`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{extract::Path, response::Response};
use domain::{
    directory::{Baseline, Command as Ask, Directory, Move, Seat as OfficeSeat},
    office::{Command as Own, Standing},
};
use event_store::{Answer, LaneHead, Office, Stop, Unit, act};
use kernel::{Code, OfficeId, id::Tier};
use messaging::{
    directory::{DIRECTORY, Entry},
    link::Failure,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Command, Problem, Route, Who, answer, post};

use crate::enrolment::Admission;

/// The city's route.
pub fn routes(admission: &Arc<Admission>) -> Vec<Route> {
    let admission = admission.clone();
    let call = move |office: Path<String>, command: Command<Place>| {
        let admission = admission.clone();
        async move { call(&admission, &office, command).await }
    };
    vec![post::<Place, _>(
        "/api/offices/{id}/move",
        Who::Does("office.move"),
        ["调整隶属", "Put a township below another district; it moves once it has heard of it"],
        call,
    )]
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The office above from then on.
    parent: OfficeId,
}

async fn call(
    admission: &Admission,
    office: &str,
    command: Command<Place>,
) -> Result<Response, Problem> {
    let office = OfficeId::parse(office).ok_or(Code::UnknownOffice)?;
    let parent = command.body.parent.clone();
    let row: Option<Entry> =
        command.seat().office.reader().await?.view(DIRECTORY, office.as_str()).await?;
    let row = row.ok_or(Code::UnknownOffice)?;
    let mut called = Move { office, parent, until: Vec::new(), baselines: Vec::new() };
    // Asked once more, or while another move is under way, the hub is not needed.
    if row.is_moving().is_none() && row.member.seat.parent.as_ref() != Some(&called.parent) {
        let hub = |error: Failure| {
            tracing::error!(error = %error, "the hub did not say how far the lanes go");
            Problem::from(Code::HubAway)
        };
        let now = row.member.seat;
        let then = OfficeSeat { parent: Some(called.parent.clone()), ..now.clone() };
        let (_, until) = admission.baselines(&now).await.map_err(hub)?;
        let (_, baselines) = admission.baselines(&then).await.map_err(hub)?;
        // What it reads before and after is read on.
        let only = |of: &[Baseline], not: &[Baseline]| {
            let not = |lane: &&Baseline| not.iter().all(|other| other.lane != lane.lane);
            of.iter().filter(not).cloned().collect()
        };
        called.until = only(&until, &baselines);
        called.baselines = only(&baselines, &until);
    }
    let run = act(move |unit: &mut Unit<'_>| {
        let called = called.clone();
        Box::pin(async move {
            let (city, id) = (unit.setting().city.to_string(), called.office.to_string());
            let done = unit.execute::<Directory>(&city, Ask::CallMove { called }).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// The office moves as it was called to, once it has what its parent so far had said.
pub async fn turn(office: &Office) -> Result<(), Problem> {
    if office.setting().tier == Tier::City {
        return Ok(());
    }
    let own = office.setting().office.to_string();
    let row: Option<Entry> = office.reader().await?.view(DIRECTORY, &own).await?;
    if let Some(called) = row.and_then(|row| row.moving) {
        office.system(act(move |unit: &mut Unit<'_>| Box::pin(make(unit, called.clone())))).await?;
    }
    Ok(())
}

async fn make(unit: &mut Unit<'_>, called: Move) -> Result<Answer, Stop> {
    let behind = |unit: &Unit<'_>, at: &Baseline| {
        let here = unit.lane(&at.lane.to_string()).map(|head| (head.epoch, head.counter));
        here.unwrap_or_default() < (at.epoch, at.counter)
    };
    let done = || Ok(Answer { status: 200, etag: String::new(), body: Vec::new() });
    let Move { parent, until, baselines, .. } = called;
    let moves = unit.here().parent.as_ref() != Some(&parent);
    if moves {
        if until.iter().any(|at| behind(unit, at)) {
            return done();
        }
        let (id, city) = (unit.setting().office.to_string(), unit.setting().city.clone());
        unit.execute::<Standing>(&id, Own::Move { city, parent }).await?;
    }
    for at in baselines {
        // An office that is there already has lost its store since, if it knows no such lane.
        let begins =
            if moves { behind(unit, &at) } else { unit.lane(&at.lane.to_string()).is_none() };
        if begins {
            let Baseline { lane, epoch, counter, hash } = at;
            let head = LaneHead { origin: lane.origin.clone(), epoch, counter, hash };
            unit.set_lane(lane.to_string(), head);
        }
    }
    done()
}

/// Gives every office that has moved the readers of its new place.
pub(crate) async fn readers_loop(admission: Arc<Admission>) {
    let (mut made, mut seen) = (BTreeMap::new(), None);
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let commits = admission.seat.office.commits();
        if seen == Some(commits) {
            continue;
        }
        match admission.follow_moves(&mut made).await {
            Ok(()) => seen = Some(commits),
            Err(error) => {
                tracing::warn!(error = %error, "the readers of an office that moved wait for the hub");
            }
        }
    }
}
