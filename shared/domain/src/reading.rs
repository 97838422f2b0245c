//! 查阅记录 Reading: who saw what of the secret classes, by which authorisation, when.
//!
//! Written before the first byte leaves (`model.md` 2.4, rule 8). Each reading is a
//! stream of its own: it happened once, and nothing follows it.

use kernel::{Aggregate, Class, Code, Context, Refusal};
use serde::{Deserialize, Serialize};

/// The most streams one entry names, so that it stays below an entry's limit.
pub const MOST: usize = 300;

/// Whether reads of a class are recorded: K5 to K8, and K10.
pub fn is_recorded(class: Class) -> bool {
    (Class::K5..=Class::K8).contains(&class) || class == Class::K10
}

/// What the rules need to know: whether it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    recorded: bool,
}

/// What may be asked: put a reading on record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The streams that were shown, `finding/…`.
    pub streams: Vec<String>,
    /// Their classes, `K7`, each once.
    pub classes: Vec<String>,
    /// The authorisations by which they were, each once.
    pub posts: Vec<String>,
    /// The route.
    pub route: String,
    /// Why, where that is asked.
    pub reason: Option<String>,
}

/// What can happen; who read is the entry's actor, when is its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Content left the office for a person's eyes.
    Recorded {
        /// The streams that were shown.
        streams: Vec<String>,
        /// Their classes.
        classes: Vec<String>,
        /// The authorisations by which they were.
        posts: Vec<String>,
        /// The route.
        route: String,
        /// Why, where that is asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Aggregate for Reading {
    type Command = Record;
    type Event = Event;
    const FAMILY: &'static str = "reading";

    fn name(_: &Event) -> &'static str {
        "recorded"
    }

    fn decide(&self, record: Record, _: &Context) -> Result<Vec<Event>, Refusal> {
        if self.recorded {
            return Ok(vec![]);
        }
        let Record { streams, classes, posts, route, reason } = record;
        if streams.is_empty() || streams.len() > MOST {
            return Err(Refusal::new(Code::BadField).detail(format!("streams: 1 … {MOST}")));
        }
        Ok(vec![Event::Recorded { streams, classes, posts, route, reason }])
    }

    fn evolve(&mut self, _: &Event) {
        self.recorded = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn record(count: usize) -> Record {
        Record {
            streams: (0..count).map(|n| format!("finding/d-{n}")).collect(),
            classes: vec!["K7".into()],
            posts: vec!["D_TL-2024-01-08".into()],
            route: "/api/findings".into(),
            reason: None,
        }
    }

    #[test]
    fn a_reading_is_recorded_once_and_names_what_was_shown() {
        let Record { streams, classes, posts, route, reason } = record(2);
        let recorded = Event::Recorded { streams, classes, posts, route, reason };
        given::<Reading>([]).when(record(2)).then([recorded.clone()]);
        given::<Reading>([recorded]).when(record(2)).then([]);
        given::<Reading>([]).when(record(0)).then_refused(Code::BadField);
        given::<Reading>([]).when(record(MOST + 1)).then_refused(Code::BadField);
    }

    #[test]
    fn the_secret_classes_are_recorded() {
        use Class::{K1, K2, K3, K4, K5, K6, K7, K8, K9, K10, K11, K12, K13, K14};
        for class in [K5, K6, K7, K8, K10] {
            assert!(is_recorded(class), "{class:?}");
        }
        for class in [K1, K2, K3, K4, K9, K11, K12, K13, K14] {
            assert!(!is_recorded(class), "{class:?}");
        }
    }
}
