//! 查阅记录 The read log: what is secret leaves the office only after its reading is on
//! the disk. An office that cannot record shows nothing secret.

use std::collections::BTreeSet;

use access::{Matter, Subject, policy};
use axum::http::HeaderMap;
use domain::reading::{MOST, Reading, Record, is_recorded};
use event_store::{Answer, Unit, act};
use kernel::{Code, Refusal, entropy::Entropy};
use percent_encoding::percent_decode;

use crate::{Caller, Classification, Problem, Seat, command::unclean};

/// Why something is read, percent-encoded or as it is; for what only those read who are
/// consulted on it.
pub const REASON: &str = "reading-reason";
/// The longest reason, in characters.
const LONGEST: usize = 200;

/// The reason that a request gives, if it gives one.
pub(crate) fn reason(
    headers: &HeaderMap,
    ceiling: Classification,
) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(REASON) else { return Ok(None) };
    let bad = || Refusal::new(Code::BadField).detail(format!("Reading-Reason: 1 … {LONGEST}"));
    let text = percent_decode(value.as_bytes()).decode_utf8().map_err(|_| bad())?;
    let text = text.trim();
    let fits = (1..=LONGEST).contains(&text.chars().count()) && !text.contains(char::is_control);
    if !fits || unclean(&text.into(), "").is_some() {
        return Err(bad());
    }
    // It stays on record: what must not enter does not enter by it either.
    if !ceiling.admits_text(text) {
        return Err(Code::AboveCeiling.into());
    }
    Ok(Some(text.to_owned()))
}

/// What somebody is about to see.
#[derive(Debug, Default)]
pub struct Seen {
    streams: BTreeSet<String>,
    classes: BTreeSet<String>,
    posts: BTreeSet<String>,
}

impl Seen {
    /// Notes a matter that the caller may read, if reads of its class are recorded.
    pub fn note(&mut self, caller: &Caller, matter: &Matter<'_>, stream: impl FnOnce() -> String) {
        let Subject::Of(class) = matter.subject else { return };
        if !is_recorded(class) {
            return;
        }
        self.streams.insert(stream());
        self.classes.insert(format!("{class:?}"));
        let post = policy::allows(&caller.standing, policy::READ, matter);
        self.posts.extend(post.map(|post| post.authorisation.clone()));
    }

    /// Notes that a sealed content is opened, by the post that allows it.
    pub fn note_opened(
        &mut self,
        caller: &Caller,
        action: &str,
        matter: &Matter<'_>,
        stream: &str,
    ) {
        let Subject::Of(class) = matter.subject else { return };
        self.streams.insert(stream.to_owned());
        self.classes.insert(format!("{class:?}"));
        let post = policy::allows(&caller.standing, action, matter);
        self.posts.extend(post.map(|post| post.authorisation.clone()));
    }

    /// Puts it on record, on the disk when this returns.
    pub async fn record(self, seat: &Seat, caller: &Caller, route: &str) -> Result<(), Problem> {
        if self.streams.is_empty() {
            return Ok(());
        }
        let record = Record {
            streams: Vec::new(),
            classes: self.classes.into_iter().collect(),
            posts: self.posts.into_iter().collect(),
            route: route.to_owned(),
            reason: caller.reason.clone(),
        };
        let streams: Vec<String> = self.streams.into_iter().collect();
        let office = &seat.office.setting().office;
        let each: Vec<(String, Record)> = streams
            .chunks(MOST)
            .map(|part| {
                let id = format!("{office}-{}", Entropy::System.uuid());
                (id, Record { streams: part.to_vec(), ..record.clone() })
            })
            .collect();
        let run = act(move |unit: &mut Unit<'_>| {
            let each = each.clone();
            Box::pin(async move {
                for (id, record) in each {
                    unit.execute::<Reading>(&id, record).await?;
                }
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        seat.office.command(caller.actor.clone(), None, None, run).await?;
        Ok(())
    }
}
