//! 属日 The day that a fact is of.
//!
//! It is the day of the act if one was named, else the day on which its origin recorded it;
//! and never before that of an earlier fact of its stream, or a matter would be closed before
//! it was open. What an office concludes from what it hears is of the day on which it heard.

use kernel::{Day, Fact};

use crate::{StoreError, db::Conn, unit::unreadable};

/// The day of a fact by itself, whatever came before it in its stream.
pub fn day_of(fact: &Fact) -> Day {
    fact.act_date.unwrap_or_else(|| fact.recorded.day())
}

/// The days of facts for whoever folds all of them in their order.
#[derive(Debug, Default)]
pub struct Days(std::collections::HashMap<String, Day>);

impl Days {
    /// The day of the next fact.
    pub fn of(&mut self, fact: &Fact) -> Day {
        let day = day_of(fact);
        if fact.version.is_none() {
            return day;
        }
        // What was recorded without a day of its own is not before anything in its stream.
        let latest = self.0.get(&fact.stream).copied().filter(|_| fact.act_date.is_some());
        let day = latest.map_or(day, |latest| latest.max(day));
        self.0.insert(fact.stream.clone(), day);
        day
    }
}

/// The same day for whoever has one fact of a store at hand.
pub(super) async fn day_in(conn: &mut Conn, own: bool, fact: &Fact) -> Result<Day, StoreError> {
    let mut day = day_of(fact);
    let (Some(version), true) = (fact.version, fact.act_date.is_some()) else { return Ok(day) };
    let sql = if own {
        "SELECT entry FROM entries WHERE stream = $1 AND version > 0 AND version < $2 \
         ORDER BY version DESC"
    } else {
        "SELECT entry FROM received WHERE stream = $1 AND position > $2 ORDER BY position DESC"
    };
    let after = if own { version } else { 0 };
    for row in conn.rows(sql, vec![fact.stream.as_str().into(), after.into()]).await? {
        let (before, _) = Fact::of_entry(row.bytes(0)?).map_err(unreadable)?;
        if before.version.is_none_or(|at| at >= version) {
            continue;
        }
        day = day.max(day_of(&before));
        if before.act_date.is_none() {
            break;
        }
    }
    Ok(day)
}
