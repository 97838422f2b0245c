//! The sessions view: who is signed in, until when, from where.

use domain::session::{Begun, Event};
use event_store::{FoldError, Rows, View};
use kernel::{Fact, Timestamp};
use serde::{Deserialize, Serialize};

/// Sessions by `person/id`.
pub const SESSIONS: &str = "sessions";

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// How it began.
    #[serde(flatten)]
    pub begun: Begun,
}

impl SessionRow {
    /// Whether it holds at a moment of the machine's clock.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.begun.until
    }
}

/// Folds sessions.
#[derive(Debug)]
pub struct SessionsView;

impl View for SessionsView {
    fn name(&self) -> &'static str {
        SESSIONS
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "session" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        match fact.read()? {
            Event::Begun { session } => {
                let key = format!("{}/{id}", session.person);
                rows.put(SESSIONS, &key, &SessionRow { begun: session })
            }
            Event::Ended { person } => {
                // What is over stands in the log; the view holds what may still hold.
                rows.delete(SESSIONS, &format!("{person}/{id}"));
                Ok(())
            }
        }
    }
}
