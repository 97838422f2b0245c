//! The periodic figures of a district: what its own view counts goes up, signed.

use std::sync::Arc;

use domain::figures::{Figures, Report};
use event_store::{Answer, Unit, act};
use kernel::{Refusal, id::Tier};
use web::{Problem, Seat};

use crate::results::own;

/// Reports every count that changed since it was last reported. One turn of the
/// periodic loop; a city reports to nobody.
pub async fn turn(seat: &Arc<Seat>) -> Result<Result<(), Refusal>, Problem> {
    if seat.office.setting().tier != Tier::District {
        return Ok(Ok(()));
    }
    let counts = own(seat, &mut seat.office.reader().await?).await?;
    let reports: Vec<Report> = counts
        .into_iter()
        .map(|((level, round_number), counts)| Report { round_number, level, counts })
        .collect();
    if reports.is_empty() {
        return Ok(Ok(()));
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
    Ok(seat.office.system(reporting).await.map(drop))
}
