//! Custody of clues among services that are cut off, killed with -9 and put back from
//! backups: never two organs that may act, always one that answers.
//!
//! Three things are held against each other: what the interfaces offer all the while, what
//! stands in everybody's whole log, and what clerks were answered.

mod chain;
mod clerks;
mod houses;
mod logs;
mod strikes;
mod watch;
mod work;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use self::{
    chain::{Holder, Stand, Told},
    clerks::Book,
    houses::Houses,
    logs::Auditor,
    strikes::Strike,
    watch::{Watch, acts},
    work::{Work, answer_all},
};
use super::{field::Field, offices::Layout};

/// How a run came out.
#[derive(Debug, Default)]
pub struct Custody {
    /// Everything random came from it.
    pub seed: u64,
    /// How often each fault struck.
    pub struck: BTreeMap<&'static str, u64>,
    /// What there was of everything else.
    pub counts: BTreeMap<&'static str, u64>,
    /// What must not have happened.
    pub violations: Vec<String>,
    /// How long it took.
    pub time: Duration,
}

impl Custody {
    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!("seed {}, {:.0} s\n", self.seed, self.time.as_secs_f64());
        for (what, counts) in [("fault", &self.struck), ("count", &self.counts)] {
            for (name, count) in counts {
                let _ = writeln!(text, "{what} {name:>28} {count:>8}");
            }
        }
        for violation in self.violations.iter().take(40) {
            let _ = writeln!(text, "VIOLATION {violation}");
        }
        text
    }
}

/// Everything of one run.
struct Run {
    field: Field,
    book: Arc<Book>,
    work: Arc<Work>,
    watch: Arc<Watch>,
    auditor: Auditor,
    struck: BTreeMap<&'static str, u64>,
    backups: u64,
    /// Entries that offices fetched back from the hub.
    fetched_back: u64,
    /// Commands that an office refused because it was behind.
    refused_behind: u64,
}

/// How long everything may need to be answered once all is healed.
const LONGEST: Duration = Duration::from_secs(150);
/// When an offer that was not delivered by then is withdrawn: its bytes were in a store
/// that is lost.
const GIVEN_UP: Duration = Duration::from_secs(12);

/// Lets clues go round while every fault strikes, each in turn until the time is over.
pub async fn custody(seed: u64, time: Duration, tell: impl Fn(&str)) -> Custody {
    let began = Instant::now();
    let field = Field::idle(seed, Layout::handling()).await;
    tell(&format!("seed {seed}: {}", field.offices.folder.display()));
    let book = Arc::new(Book::default());
    let houses = Houses::open(&field.offices, &book).await;
    tell(&format!("everybody is hired after {:.0} s", began.elapsed().as_secs_f64()));
    let most = 24.max(time.as_secs() / 3);
    let work = Arc::new(Work::new(&field.offices, houses, most));
    let mut run = Run {
        field,
        book,
        work,
        watch: Arc::default(),
        auditor: Auditor::default(),
        struck: BTreeMap::new(),
        backups: 0,
        fetched_back: 0,
        refused_behind: 0,
    };
    let set = run.go(began, time, &tell).await;
    run.close(set, began, seed, &tell).await
}

/// Whether a content opens within two minutes: both sides ask every half.
async fn opens_soon(hand: &clerks::Hand, path: &str) -> bool {
    for _ in 0..240 {
        if hand.get(path).await.is_some() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

impl Run {
    async fn go(&mut self, began: Instant, time: Duration, tell: &impl Fn(&str)) -> JoinSet<()> {
        let mut set = self.work.start(&self.field.chance.part());
        let (watch, houses, chance) =
            (self.watch.clone(), self.work.houses.clone(), self.field.chance.part());
        set.spawn(async move { watch.keep(&houses, &chance).await });
        let mut first = true;
        while first || began.elapsed() < time {
            for strike in self.field.chance.shuffled(&Strike::ALL) {
                if !first && began.elapsed() > time {
                    break;
                }
                let at = began.elapsed().as_secs_f64();
                tell(&format!("{at:.0} s: {}", strike.name()));
                if let Err(why) = self.strike(strike).await {
                    self.book.wrong(format!("{}: {why}", strike.name()));
                    self.mend().await;
                    return set;
                }
                if let Err(why) = self.audit(false).await {
                    self.book.wrong(why);
                }
            }
            first = false;
        }
        set
    }

    async fn audit(&mut self, whole: bool) -> Result<Told, String> {
        let told = self.auditor.audit(&self.field.offices, &self.book, whole).await?;
        told.wrong.iter().for_each(|what| self.book.wrong(what.clone()));
        Ok(told)
    }

    /// Heals everything, lets everything be answered, and looks whether one holds each clue.
    async fn close(
        mut self,
        mut set: JoinSet<()>,
        began: Instant,
        seed: u64,
        tell: &impl Fn(&str),
    ) -> Custody {
        let closed = self.book.gate.write().await;
        set.abort_all();
        while set.join_next().await.is_some() {}
        drop(closed);
        tell(&format!("{:.0} s: the work is over", began.elapsed().as_secs_f64()));
        let mut outcome = Custody { seed, ..Custody::default() };
        match self.come_to_rest(tell).await {
            Ok(told) => {
                self.one_holds(&told.holders).await;
                self.counted(&told, &mut outcome.counts);
            }
            Err(why) => self.book.wrong(format!("at the end: {why}")),
        }
        self.opens(&mut outcome.counts).await;
        for code in self.field.offices.codes() {
            self.field.offices.kill(code).await;
            if let Err(why) = self.field.offices.views_agree(code).await {
                self.book.wrong(why);
            }
        }
        outcome.violations = std::mem::take(&mut *self.book.wrong.lock().unwrap());
        outcome.violations.append(&mut self.watch.wrong.lock().unwrap());
        outcome.violations.append(&mut self.field.ledger.violations.lock().unwrap());
        outcome.struck = self.struck;
        outcome.time = began.elapsed();
        if outcome.violations.is_empty() {
            self.field.offices.remove().await;
        }
        outcome
    }

    /// Waits until nothing is between two organs any more.
    async fn come_to_rest(&mut self, tell: &impl Fn(&str)) -> Result<Told, String> {
        let began = Instant::now();
        loop {
            let open = answer_all(&self.work, began.elapsed() > GIVEN_UP).await;
            if open == 0 {
                self.field.settle().await?;
                let told = self.audit(true).await?;
                if told.between.is_empty() {
                    tell(&format!("all is answered after {:.0} s", began.elapsed().as_secs_f64()));
                    return Ok(told);
                }
            }
            if began.elapsed() > LONGEST {
                let told = self.audit(true).await?;
                return Err(format!("{open} wait, between two organs: {:?}", told.between));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Exactly one organ answers for each clue, and it alone is offered what to do with it.
    async fn one_holds(&self, holders: &BTreeMap<String, Holder>) {
        for (clue, holder) in holders {
            let drafted = holder.number == 0 && holder.stand == Stand::Nowhere;
            if !drafted && holder.stand != Stand::Able {
                let Holder { office, stand, .. } = holder;
                self.book.wrong(format!("{clue} is with {office}, where it stands {stand:?}"));
            }
        }
        let mut able: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for of in &self.work.houses.drafters {
            for row in of.custodian.rows("/api/clues").await.unwrap_or_default() {
                let id = row["id"].as_str().unwrap_or_default();
                let one = of.custodian.get(&format!("/api/clues/{id}")).await.unwrap_or_default();
                if row["state"] == "sealed" && !acts(&one).is_empty() {
                    able.entry(id.to_owned()).or_default().push(format!("clue/{id}"));
                }
            }
        }
        for at in &self.work.houses.registries {
            let rows = at.hand.rows("/api/clue-cases").await.unwrap_or_default();
            for row in rows.iter().filter(|row| work::is_of(row, at)) {
                let id = row["id"].as_str().unwrap_or_default();
                let one = at.hand.get(&format!("/api/clue-cases/{id}")).await.unwrap_or_default();
                if !acts(&one).is_empty() {
                    let clue = row["clue"].as_str().unwrap_or_default().to_owned();
                    able.entry(clue).or_default().push(format!("clue-case/{id}"));
                }
            }
        }
        for (clue, holder) in holders.iter().filter(|(_, holder)| holder.stand == Stand::Able) {
            let may = able.remove(clue).unwrap_or_default();
            if may != [holder.stream.clone()] {
                self.book.wrong(format!("{clue} is held in {}, {may:?} may act", holder.stream));
            }
        }
        if !able.is_empty() {
            self.book.wrong(format!("held by nobody, and some may act: {able:?}"));
        }
    }

    /// What is held opens at its holder, also where a store lost the bytes meanwhile: they
    /// are fetched again, and where the hub lost them too, their sender brings them.
    async fn opens(&self, counts: &mut BTreeMap<&'static str, u64>) {
        for at in &self.work.houses.registries {
            let rows = at.hand.rows("/api/clue-cases").await.unwrap_or_default();
            let held = |row: &&serde_json::Value| row["state"] == "held" && work::is_of(row, at);
            for row in rows.iter().filter(held) {
                let id = row["id"].as_str().unwrap_or_default();
                if opens_soon(&at.hand, &format!("/api/clue-cases/{id}/content")).await {
                    *counts.entry("held and open").or_default() += 1;
                } else if self.lies_somewhere(row["part"]["hash"].as_str().unwrap_or_default()) {
                    self.book.wrong(format!(
                        "{id} is held, and its bytes lie where they do not come from"
                    ));
                } else {
                    self.book.wrong(format!("{id} is held and nobody has its bytes"));
                }
            }
        }
    }

    /// Whether some office has a paper.
    fn lies_somewhere(&self, hash: &str) -> bool {
        let data = self.field.offices.folder.join("data");
        let of = |code: &str| data.join(code).join("papers").join(&hash[..2]).join(hash);
        !hash.is_empty() && self.field.offices.codes().into_iter().any(|code| of(code).exists())
    }

    fn counted(&self, told: &Told, counts: &mut BTreeMap<&'static str, u64>) {
        counts.extend(&told.counts);
        let [crossings, both] = [0, 1].map(|at: usize| self.work.crossings[at].load(Relaxed));
        let [lists, singles] = [0, 1].map(|at: usize| self.watch.looks[at].load(Relaxed));
        let acks: u64 = self.book.done.lock().unwrap().values().sum();
        let refusals: u64 = self.book.refused.lock().unwrap().values().sum();
        counts.extend([
            ("(clues begun)", self.work.made()),
            ("(clues in the logs)", told.holders.len() as u64),
            ("(longest way)", u64::from(told.longest)),
            ("(accepted and withdrawn)", told.crossed),
            ("(sent at one moment)", crossings),
            ("(both said yes)", both),
            ("(lists looked at)", lists),
            ("(matters looked at)", singles),
            ("(commands confirmed)", acks),
            ("(commands refused)", refusals),
            ("(asked again)", self.book.again.load(Relaxed)),
            ("(confirmed, then lost)", self.auditor.excused[0]),
            ("(entries lost)", self.auditor.excused[1]),
            ("(entries fetched back)", self.fetched_back),
            ("(refused while behind)", self.refused_behind),
            ("(audits of all logs)", self.auditor.audits),
            ("(entries audited)", self.auditor.entries as u64),
        ]);
    }
}
