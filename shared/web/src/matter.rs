//! Rows that the policy table governs: what each is, and where it belongs.
//!
//! The guard has asked whether somebody may do such a thing at all; here it is asked of
//! the very row. In a command that happens inside its transaction.

use access::Matter;
use event_store::{Stop, Unit};
use kernel::{Code, OfficeId};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Caller, Problem, Sight, reading::Seen};

/// A row of a view.
pub trait Governed: DeserializeOwned + Serialize + Send {
    /// The view.
    const VIEW: &'static str;
    /// The family of its streams; a stream's id is the row's key.
    const FAMILY: &'static str;
    /// The answer when it is not there, or its existence is not for the caller.
    const ABSENT: Code;

    /// What it is at this office, and where it belongs.
    fn matter(&self, here: &OfficeId) -> Matter<'_>;

    /// Takes away what even a reader of it may not know: small counts of other matters.
    fn withhold(&mut self, caller: &Caller, here: &OfficeId) {
        let _ = (caller, here);
    }

    /// Those of the possible commands that are not out of the question for this caller.
    fn possible_for(&self, caller: &Caller) -> &'static [&'static str] {
        let _ = caller;
        self.possible()
    }

    /// The commands that its state allows, whoever gives them.
    fn possible(&self) -> &'static [&'static str];
}

/// The row under a key, if the caller may read it; that it was read is on record then.
pub async fn read<T: Governed>(seat: &Sight, caller: &Caller, key: &str) -> Result<T, Problem> {
    let row: Option<T> = seat.reader().await?.view(T::VIEW, key).await?;
    let here = &seat.office.setting().office;
    let mut row = row.ok_or(T::ABSENT)?;
    if seat.looks_back() {
        // Who looks back sees what he may see today as well: the past opens nothing.
        let today: Option<T> = seat.office.reader().await?.view(T::VIEW, key).await?;
        if !today.is_some_and(|today| caller.reads(&today.matter(here))) {
            return Err(T::ABSENT.into());
        }
    }
    let matter = row.matter(here);
    if !caller.reads(&matter) {
        let consulted = caller.reads_with_reason(&matter);
        return Err(if consulted { Code::ReadingReasonMissing } else { T::ABSENT }.into());
    }
    let mut seen = Seen::default();
    seen.note(caller, &row.matter(here), || format!("{}/{key}", T::FAMILY));
    seen.record(seat, caller, T::VIEW).await?;
    row.withhold(caller, here);
    Ok(row)
}

/// In a command: the row under a key, if the caller may do this with it.
pub async fn permitted<T: Governed>(
    unit: &mut Unit<'_>,
    caller: &Caller,
    action: &str,
    key: &str,
) -> Result<T, Stop> {
    let (here, caller) = (unit.setting().office.clone(), caller.anew(unit).await?);
    let row: T = unit.row(T::VIEW, key).await?.ok_or(T::ABSENT)?;
    caller.permit(action, &row.matter(&here), T::ABSENT)?;
    Ok(row)
}
