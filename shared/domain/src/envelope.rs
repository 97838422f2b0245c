//! 密封件 Envelope: what must not enter the system, and how it went on.
//!
//! A report that belongs to the upper organ goes up within five working days and is
//! neither copied, nor excerpted, nor entered (`model.md` 2.4, rule 2; W22 art. 15, for
//! discipline organs). So nothing here takes a sentence: a number, seals, a carrier, a
//! receipt, each in a form that holds no content.
//!
//! `Received ─▶ HandedOn`

use kernel::{Aggregate, Code, Context, Day, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    received: bool,
    handed_on: Option<(Carrier, String)>,
}

/// Who carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// 机要通信
    ConfidentialPost,
    /// 机要交通
    Courier,
    /// 专人送达
    InPerson,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 收件登记
    Receive {
        /// What is written on it.
        number: String,
        /// The numbers of its seals, unbroken.
        seals: Vec<String>,
        /// When it must have gone on.
        due: Day,
    },
    /// 密封移送
    HandOn {
        /// By whom.
        carrier: Carrier,
        /// The number of the receipt that came back.
        receipt: String,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It came, sealed.
    Received {
        /// What is written on it.
        number: String,
        /// Its seals.
        seals: Vec<String>,
        /// When it must have gone on.
        due: Day,
    },
    /// It went on, sealed.
    HandedOn {
        /// By whom.
        carrier: Carrier,
        /// The receipt's number.
        receipt: String,
    },
}

/// The longest number.
const LONGEST: usize = 24;
/// The most seals of one envelope.
const MOST: usize = 8;

/// Whether this is a number and nothing that could say something: digits, the letters of
/// a register, the brackets of a year; a digit somewhere, no blank, no sentence.
fn is_number(text: &str) -> bool {
    let allowed = |c: char| {
        c.is_ascii_digit() || c.is_ascii_uppercase() || matches!(c, '-' | '/' | '〔' | '〕')
    };
    let letters = text.chars().filter(char::is_ascii_uppercase).count();
    (1..=LONGEST).contains(&text.chars().count())
        && text.chars().all(allowed)
        && text.chars().any(|c| c.is_ascii_digit())
        && letters <= 4
}

pub(crate) fn number(field: &str, text: &str) -> Result<(), Refusal> {
    if is_number(text) {
        return Ok(());
    }
    // What was sent is not said again: it may be what must not enter.
    Err(Refusal::new(Code::BadField).detail(format!("{field}: 0-9 A-Z - / 〔〕")))
}

impl Aggregate for Envelope {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "envelope";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Received { .. } => "received",
            Event::HandedOn { .. } => "handed-on",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Receive { .. } if self.received => Err(Code::EnvelopeExists.into()),
            Command::Receive { number: on_it, seals, due } => {
                number("number", &on_it)?;
                if seals.is_empty() || seals.len() > MOST {
                    return Err(Refusal::new(Code::BadField).detail("seals: 1 … 8"));
                }
                seals.iter().try_for_each(|seal| number("seals", seal))?;
                Ok(vec![Event::Received { number: on_it, seals, due }])
            }
            Command::HandOn { .. } if !self.received => Err(Code::NotFound.into()),
            Command::HandOn { carrier, receipt } => {
                number("receipt", &receipt)?;
                match &self.handed_on {
                    Some(known) if *known == (carrier, receipt.clone()) => Ok(vec![]),
                    Some(_) => Err(Code::WrongState.into()),
                    None => Ok(vec![Event::HandedOn { carrier, receipt }]),
                }
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Received { .. } => self.received = true,
            Event::HandedOn { carrier, receipt } => {
                self.handed_on = Some((*carrier, receipt.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn receive(number: &str, seals: &[&str]) -> Command {
        let seals = seals.iter().map(|seal| (*seal).to_owned()).collect();
        Command::Receive { number: number.into(), seals, due: Day::parse("2026-01-12").unwrap() }
    }

    fn received() -> Event {
        Event::Received {
            number: "XS〔2026〕017".into(),
            seals: vec!["F-0031".into()],
            due: Day::parse("2026-01-12").unwrap(),
        }
    }

    #[test]
    fn an_envelope_comes_once_and_goes_on_once() {
        let hand =
            |receipt: &str| Command::HandOn { carrier: Carrier::Courier, receipt: receipt.into() };
        let gone = Event::HandedOn { carrier: Carrier::Courier, receipt: "R-9".into() };
        given::<Envelope>([]).when(receive("XS〔2026〕017", &["F-0031"])).then([received()]);
        given::<Envelope>([received()])
            .when(receive("XS〔2026〕017", &["F-0031"]))
            .then_refused(Code::EnvelopeExists);
        given::<Envelope>([]).when(hand("R-9")).then_refused(Code::NotFound);
        given::<Envelope>([received()]).when(hand("R-9")).then([gone.clone()]);
        given::<Envelope>([received(), gone.clone()]).when(hand("R-9")).then([]);
        given::<Envelope>([received(), gone]).when(hand("R-8")).then_refused(Code::WrongState);
    }

    #[test]
    fn nothing_that_says_something_fits() {
        for number in [
            "",
            "XS",
            "举报王某某受贿",
            "XS〔2026〕017 关于某局长",
            "wang taking bribes 1",
            "WANGTOOKBRIBES1",
            "XS-2026-017-XS-2026-017-XS-2026",
            "1\n2",
        ] {
            let refused = given::<Envelope>([]).when(receive(number, &["F-1"]));
            refused.then_refused(Code::BadField);
            let refused = given::<Envelope>([]).when(receive("XS-1", &[number]));
            refused.then_refused(Code::BadField);
            let hand = Command::HandOn { carrier: Carrier::InPerson, receipt: number.into() };
            given::<Envelope>([received()]).when(hand).then_refused(Code::BadField);
        }
        given::<Envelope>([]).when(receive("XS-1", &[])).then_refused(Code::BadField);
    }
}
