//! A rule's back-fill: what a new rule would have asked for, had it been there.
//!
//! Rebuilding never reacts, so a new rule does nothing about what happened before it.
//! An operator names it, and it sees the whole local history in slices, each one
//! transaction. What a reader would get wrong: nothing remembers how far it came. It
//! is run again from the start: a command handled twice yields nothing, and what a fact
//! has caused on a stream it does not cause there again.

use std::{collections::BTreeSet, sync::Arc};

use kernel::{Aggregate, Code, EntryRef, Fact, Refusal};
use serde::Serialize;

use crate::{
    Answer, Office, StoreError, Unit, act,
    intake::{Event, Intake, REACTION_REFUSED},
    replay::{self, Place},
    unit::{Act, unreadable},
};

/// What came of a back-fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backfilled {
    /// Facts that the rule saw.
    pub seen: u64,
    /// Commands that it issued.
    pub issued: u64,
    /// Entries that came of them, and of what followed.
    pub recorded: u64,
    /// Commands that were refused; each refusal is recorded once.
    pub refused: u64,
}

/// How many entries share a transaction.
const SLICE: u64 = 200;

/// Runs one named rule over the local history, up to where it ends now.
pub(crate) async fn run(office: &Office, rule: &str) -> Result<Backfilled, Refusal> {
    let setting = office.setting();
    let unknown = || Refusal::new(Code::NotFound).detail(format!("no rule is named {rule}"));
    let rule = *setting.reactions.iter().find(|r| r.name == rule).ok_or_else(unknown)?;
    let until = office.head();
    let known = Arc::new(refused_before(office, rule.name).await.map_err(|error| failed(&error))?);
    let (mut sum, here_now) = (Backfilled::default(), office.here());
    let mut at = Place::default();
    while at.sequence < until {
        let facts = facts(office, &mut at).await.map_err(|error| failed(&error))?;
        let here = facts.iter().filter(|f| f.at.origin != setting.office || f.at.sequence <= until);
        let mut asked = Vec::new();
        for fact in here {
            sum.seen += 1;
            if let Some(act) = (rule.on)(fact, &here_now) {
                asked.push((fact.clone(), act));
            }
        }
        if asked.is_empty() {
            continue;
        }
        sum.issued += asked.len() as u64;
        let answer = office.system(asking(rule.name, asked.into(), known.clone())).await?;
        let (recorded, refused): (u64, u64) = serde_json::from_slice(&answer.body)
            .map_err(|error| Refusal::new(Code::Internal).detail(error.to_string()))?;
        sum.recorded += recorded;
        sum.refused += refused;
        tracing::info!(rule = rule.name, done = at.sequence, of = until, ?sum, "back-filling");
    }
    Ok(sum)
}

fn failed(error: &StoreError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "the back-fill does not read the log");
    Code::Internal.into()
}

/// The next slice, on a connection that is given back before anything is written.
async fn facts(office: &Office, at: &mut Place) -> Result<Vec<Fact>, StoreError> {
    let mut reader = office.reader().await?;
    let slice = replay::slice(reader.conn()?, *at, SLICE).await?;
    *at = slice.at;
    Ok(slice.facts)
}

/// What the rule issues on a slice, in one transaction.
fn asking(rule: &'static str, asked: Arc<[(Fact, Act)]>, known: Arc<BTreeSet<EntryRef>>) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let (asked, known) = (asked.clone(), known.clone());
        Box::pin(async move {
            let (before, mut refused) = (unit.sequence(), 0u64);
            for (fact, act) in asked.iter() {
                match unit.issue(rule, fact, 1, act).await? {
                    Ok(()) if unit.caused_before().await? => unit.discard(),
                    Ok(()) => unit.accept(),
                    Err(refusal) => {
                        refused += 1;
                        if !known.contains(&fact.at) {
                            unit.record_refused(rule, &refusal).await?;
                        }
                    }
                }
            }
            unit.react().await?;
            let body = serde_json::to_vec(&(unit.sequence() - before, refused));
            let body = body.map_err(unreadable)?;
            Ok(Answer { status: 200, etag: String::new(), body })
        })
    })
}

/// The facts on which this rule's command was refused and recorded as such before.
async fn refused_before(office: &Office, rule: &str) -> Result<BTreeSet<EntryRef>, StoreError> {
    let sql = "SELECT version, entry FROM entries WHERE stream = $1 AND version > $2 \
               AND kind = $3 ORDER BY version LIMIT 1000";
    let stream = format!("{}/{}", Intake::FAMILY, office.setting().office);
    let (mut found, mut after) = (BTreeSet::new(), 0u64);
    loop {
        let args = vec![stream.as_str().into(), after.into(), REACTION_REFUSED.into()];
        let rows = office.reader().await?.rows(sql, args).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.count(0)?;
        for row in &rows {
            let (fact, _) = Fact::of_entry(&row.blob(1)?).map_err(unreadable)?;
            if let Event::ReactionRefused { rule: by, cause, .. } =
                fact.read().map_err(unreadable)?
                && by == rule
            {
                found.insert(cause);
            }
        }
    }
}
