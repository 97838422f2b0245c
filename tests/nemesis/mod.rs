//! A seeded workload, faults, and a checker over the real services as processes.
//!
//! What a reader would get wrong: the seed fixes who does what and which fault
//! strikes where, not how the machine schedules it. A failed run names its seed and
//! keeps its folder with every log; run it again with the seed, more than once.

mod carrier;
mod check;
mod cities;
mod custody;
mod faults;
mod field;
mod hole;
mod hub;
mod ledger;
mod mixed;
mod offices;
mod reads;
mod term;
mod workload;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

pub use check::Tally;
pub use cities::two_cities;
pub use custody::{Custody, custody};
pub use faults::Fault;
use field::Field;
pub use mixed::mixed;
use offices::Layout;
pub(crate) use offices::copy;
pub use reads::{Reads, reads, reads_at_every_call};
pub use term::term;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything random comes from it.
    pub seed: u64,
    /// The faults, in turn, until the time is over; each at least once.
    pub faults: Vec<Fault>,
    /// How long.
    pub time: Duration,
    /// The server whose schemas are the stores; without it they are SQLite.
    pub postgres: Option<String>,
}

/// How a run came out.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// By fault.
    pub tallies: BTreeMap<&'static str, Tally>,
    /// What must not have happened.
    pub violations: Vec<String>,
}

impl Outcome {
    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!("seed {}\n", self.seed);
        let head = ["fault", "struck", "tried", "acknowledged", "lost", "doubled", "reordered"];
        for word in head {
            let _ = write!(text, "{word:>14}");
        }
        text += &format!("{:>14}\n", "longest heal");
        for (fault, tally) in &self.tallies {
            let Tally { struck, tried, acknowledged, lost, doubled, reordered, healed } = tally;
            let _ = write!(text, "{fault:>14}");
            for number in [struck, tried, acknowledged, lost, doubled, reordered] {
                let _ = write!(text, "{number:>14}");
            }
            let _ = writeln!(text, "{:>12.1} s", healed.as_secs_f64());
        }
        for violation in self.violations.iter().take(40) {
            let _ = writeln!(text, "VIOLATION {violation}");
        }
        if self.violations.len() > 40 {
            let _ = writeln!(text, "… and {} more", self.violations.len() - 40);
        }
        text
    }
}

/// Runs a plan; `tell` hears what happens.
pub async fn run(plan: Plan, tell: impl Fn(&str)) -> Outcome {
    let began = Instant::now();
    // A hub of three for whoever kills its leader, and for all that come after.
    let servers = if plan.faults.contains(&Fault::Leader) { 3 } else { 1 };
    let layout = Layout { servers, postgres: plan.postgres.clone(), ..Layout::default() };
    let mut field = Field::open(plan.seed, layout).await;
    tell(&format!("seed {}: {}", plan.seed, field.offices.folder.display()));
    let mut struck: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut stuck = false;
    let mut first = true;
    while !stuck && (first || began.elapsed() < plan.time) {
        let turn = if first { plan.faults.clone() } else { field.chance.shuffled(&plan.faults) };
        for fault in turn {
            if !first && began.elapsed() > plan.time {
                break;
            }
            let tally = struck.entry(fault.name()).or_default();
            tally.struck += 1;
            let endured = field.endure(fault).await;
            field.found.drain(..).for_each(|what| tell(&format!("{}: {what}", fault.name())));
            match endured {
                Ok(healed) => {
                    tally.healed = tally.healed.max(healed);
                    tell(&format!("{}: healed in {:.1} s", fault.name(), healed.as_secs_f64()));
                }
                Err(why) => {
                    field.ledger.wrong(format!("{} does not heal: {why}", fault.name()));
                    stuck = true;
                    break;
                }
            }
        }
        first = false;
    }
    let (mut tallies, violations) = field.close().await;
    for (fault, times) in struck {
        let tally = tallies.entry(fault).or_default();
        (tally.struck, tally.healed) = (times.struck, times.healed);
    }
    Outcome { seed: plan.seed, tallies, violations }
}
