//! The driven clock of a demo office: only forwards, only in a demo city.

use kernel::{Aggregate, Code, Context, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

/// Nothing needs to be known: the office's clock is the state.
#[derive(Clone, Debug, Default)]
pub struct DemoClock;

/// Moves the clock.
#[derive(Clone, Debug)]
pub struct Move {
    /// Whether the office's genesis carries `demo`.
    pub demo: bool,
    /// To when.
    pub to: Timestamp,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The clock was moved.
    Moved {
        /// To when.
        to: Timestamp,
    },
}

/// 2200-01-01: no clock is driven that far, so that what follows from a day still is one.
const END: Timestamp = Timestamp(7_258_118_400_000);

impl Aggregate for DemoClock {
    type Command = Move;
    type Event = Event;
    const FAMILY: &'static str = "demo-clock";
    const STATELESS: bool = true;

    fn name(_: &Event) -> &'static str {
        "moved"
    }

    fn decide(&self, Move { demo, to }: Move, context: &Context) -> Result<Vec<Event>, Refusal> {
        match (demo, to >= context.now) {
            (false, _) => Err(Code::NotDemo.into()),
            (true, false) => Err(Code::ClockBackwards.into()),
            (true, true) if to >= END => {
                Err(Refusal::new(Code::BadField).detail(format!("to: < {END}")))
            }
            (true, true) => Ok(vec![Event::Moved { to }]),
        }
    }

    fn evolve(&mut self, _: &Event) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    #[test]
    fn a_real_clock_is_not_moved_and_a_demo_clock_not_back() {
        let to = Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
        given::<DemoClock>([]).when(Move { demo: false, to }).then_refused(Code::NotDemo);
        let back = Move { demo: true, to: Timestamp(0) };
        given::<DemoClock>([]).when(back).then_refused(Code::ClockBackwards);
        given::<DemoClock>([]).when(Move { demo: true, to }).then([Event::Moved { to }]);
        let never = Timestamp::parse("9999-12-31T17:00:00Z").unwrap();
        given::<DemoClock>([]).when(Move { demo: true, to: never }).then_refused(Code::BadField);
        assert_eq!(never.day().to_string(), "9999-12-31", "a day of any time, no panic");
    }
}
