//! The periodic figures of a district: what its own view counts goes up, signed.

use std::sync::Arc;

use domain::{
    clue_figures::{self, ClueFigures},
    figures::{Figures, Report},
};
use event_store::{Answer, Unit, act};
use kernel::{Refusal, id::Tier};
use web::{Problem, Seat};

use crate::{clues::counts, results::own};

/// Reports every count that changed since it was last reported. One turn of the
/// periodic loop; a city reports to nobody.
pub async fn turn(seat: &Arc<Seat>) -> Result<Result<(), Refusal>, Problem> {
    if seat.office.setting().tier != Tier::District {
        return Ok(Ok(()));
    }
    let today = seat.office.setting().clock.now().day();
    let counts = own(&mut seat.office.reader().await?, today).await?;
    let reports: Vec<Report> = counts
        .into_iter()
        .map(|((level, round_number), counts)| Report { round_number, level, counts })
        .collect();
    if reports.is_empty() {
        return clue_figures(seat).await;
    }
    let reporting = act(move |unit: &mut Unit<'_>| {
        let reports = reports.clone();
        Box::pin(async move {
            let office = unit.setting().office.clone();
            for report in reports {
                let round =
                    if report.round_number.is_empty() { "_list" } else { &report.round_number };
                let id = format!("{office}-{round}-{}", report.level.as_str());
                unit.execute::<Figures>(&id, report).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    match seat.office.system(reporting).await {
        Ok(_) => clue_figures(seat).await,
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// The sums of the clues, the same way.
async fn clue_figures(seat: &Arc<Seat>) -> Result<Result<(), Refusal>, Problem> {
    let reports: Vec<clue_figures::Report> = counts::own(&mut seat.office.reader().await?)
        .await?
        .into_iter()
        .map(|(level, counts)| clue_figures::Report { level, counts })
        .collect();
    if reports.is_empty() {
        return Ok(Ok(()));
    }
    let reporting = act(move |unit: &mut Unit<'_>| {
        let reports = reports.clone();
        Box::pin(async move {
            let office = unit.setting().office.clone();
            for report in reports {
                let id = format!("{office}-{}", report.level.as_str());
                unit.execute::<ClueFigures>(&id, report).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    Ok(seat.office.system(reporting).await.map(drop))
}
