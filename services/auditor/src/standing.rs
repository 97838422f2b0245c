//! 回看 The views of any office at any moment, folded from an export by the services' own
//! folds.

use std::{collections::BTreeSet, io, sync::Arc};

use desks::{results, targets};
use event_store::{
    Past, Projections, Reader, View,
    past::{Days, Known, Moment, day_of},
};
use kernel::{Day, Fact, OfficeId, Timestamp, id::Tier};
use serde::Serialize;
use serde_json::{Value, json};

use crate::history::{History, Missing, OfficeLog};

/// What came of a fold.
pub struct Standing {
    /// The views.
    pub past: Arc<Past>,
    /// How many facts were folded.
    pub folded: u64,
    /// How many facts no view took: the office stored them unfolded.
    pub unfolded: u64,
    /// What the office knew and the export does not hold.
    pub missing: Missing,
    /// The day that is asked about.
    pub day: Day,
    /// The names of its views.
    names: BTreeSet<&'static str>,
}

/// The views of an office of a tier, as its service mounts them.
pub fn views(tier: Tier, office: &OfficeId) -> Vec<Arc<dyn View>> {
    let service = match tier {
        Tier::City => city::service(),
        Tier::District => district::service(),
        Tier::Township => township::service(),
    };
    (service.views)(office)
}

/// The schema of the views that an office's service mounts here.
pub fn schema(history: &History, office: &OfficeId) -> io::Result<String> {
    Ok(event_store::schema_of(&views(tier(history, office)?, office)))
}

fn tier(history: &History, office: &OfficeId) -> io::Result<Tier> {
    let member = history.members.get(office).ok_or_else(|| {
        io::Error::other("the city's log, which says of which tier an office is, is not here")
    })?;
    Ok(member.seat.tier)
}

/// Folds what an office knew at a moment.
pub fn at(history: &History, log: &OfficeLog, moment: Moment) -> io::Result<Standing> {
    let views = views(tier(history, &log.office)?, &log.office);
    let names = views.iter().map(|view| view.name()).collect();
    let mut projections = Projections::of(views);
    let mut missing = Missing::new();
    let known = history.known(log, &mut missing);
    let (mut last, mut folded, mut unfolded) = ((0, Timestamp(0)), 0, 0);
    let mut days = Days::default();
    for one in known {
        let by_then = match moment.known_at {
            None => true,
            Some(Known::After(sequence)) => one.at <= sequence,
            Some(Known::At(time)) => one.when <= time,
        };
        if !by_then {
            break;
        }
        last = (one.at, one.when);
        // What it carries is of its own day, and so is the carrier.
        let of = days.of(&one.told.fact);
        let wanted = |fact: &Fact| {
            let day = if fact.at == one.told.fact.at { of } else { day_of(fact) };
            let dated = domain::dated::FAMILIES.contains(&fact.family());
            moment.as_of.is_none_or(|by| dated || day <= by)
        };
        match projections.take(&one.told.fact, wanted) {
            Ok(()) => folded += 1,
            Err(_) => unfolded += 1,
        }
    }
    let day = moment.as_of.unwrap_or_else(|| last.1.day());
    let past = Arc::new(projections.past(moment.as_of, last));
    Ok(Standing { past, folded, unfolded, missing, day, names })
}

/// One row of a view.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its body.
    pub row: Value,
}

impl Standing {
    /// Whether all was folded that the office knew.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.unfolded == 0
    }

    /// The rows of a view under a prefix. `results` and `coverage` are counted as the desk
    /// of that name counts them.
    pub async fn rows(&self, view: &str, prefix: &str) -> io::Result<Vec<Row>> {
        let mut reader = Reader::of(self.past.clone());
        let by_level = |of: Vec<Value>| {
            let key = |row: &Value| row["level"].as_str().unwrap_or_default().to_owned();
            of.into_iter().map(|row| Row { key: key(&row), row }).collect()
        };
        let no = |problem: web::Problem| io::Error::other(problem.0.to_string());
        match view {
            "results" => {
                let levels = results::by_level(&mut reader, self.day).await.map_err(no)?;
                Ok(by_level(levels.iter().map(|level| json!(level)).collect()))
            }
            "coverage" => {
                let levels = targets::coverage_on(&mut reader, self.day).await.map_err(no)?;
                Ok(by_level(levels.into()))
            }
            _ => {
                let rows = reader.all(view, prefix).await.map_err(io::Error::other)?;
                // A fold may keep rows under further names.
                if !self.names.contains(view)
                    && rows.is_empty()
                    && reader.all::<Value>(view, "").await.map_err(io::Error::other)?.is_empty()
                {
                    let names: Vec<&str> = self.names.iter().copied().collect();
                    let names = names.join(" ");
                    return Err(io::Error::other(format!(
                        "{view}: nothing stands under this name; there are results coverage {names}"
                    )));
                }
                Ok(rows.into_iter().map(|(key, row)| Row { key, row }).collect())
            }
        }
    }
}
