//! The count over many points: Jepsen's columns, and every point that failed.

use super::audit::Verdict;

/// What came of one point.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The point, as the program that repeats it takes it.
    pub point: String,
    /// Whether the fault happened at all.
    pub reached: bool,
    /// What the office said about it, if it was alive to say something.
    pub note: String,
    /// What the audit found.
    pub verdict: Verdict,
    /// What else is wrong with how the office behaved.
    pub complaint: Option<String>,
}

impl Outcome {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.verdict.is_sound() && self.complaint.is_none()
    }
}

/// The sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Points tried whose fault happened.
    pub points: usize,
    /// Points that the program did not come to.
    pub unreached: usize,
    /// Answers given before the faults.
    pub acknowledged: usize,
    /// Applied, not answered, and answered once when asked again.
    pub ambiguous: usize,
    /// Answered and gone.
    pub lost: usize,
    /// Happened twice.
    pub doubled: usize,
    /// In parts.
    pub torn: usize,
    /// Points where the office behaved otherwise than promised.
    pub complaints: usize,
}

impl Tally {
    /// Adds an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        self.points += usize::from(outcome.reached);
        self.unreached += usize::from(!outcome.reached);
        self.acknowledged += outcome.verdict.acknowledged;
        self.ambiguous += outcome.verdict.ambiguous;
        self.lost += outcome.verdict.lost.len();
        self.doubled += outcome.verdict.doubled.len();
        self.torn += outcome.verdict.torn.len();
        self.complaints += usize::from(outcome.complaint.is_some());
    }

    /// The sums of several outcomes.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut tally = Self::default();
        outcomes.into_iter().for_each(|outcome| tally.add(outcome));
        tally
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} points ({} not reached), {} acknowledged, {} ambiguous; lost {}, doubled {}, torn {}, misbehaved {}",
            self.points,
            self.unreached,
            self.acknowledged,
            self.ambiguous,
            self.lost,
            self.doubled,
            self.torn,
            self.complaints
        )
    }
}

/// Fails the test if a point was not sound, and names the command that repeats it;
/// also if hardly anything was answered, for then nothing could be lost.
#[track_caller]
pub fn sound(outcomes: &[Outcome], acknowledged: usize, repeat: &str) {
    let tally = Tally::of(outcomes);
    let unsound = outcomes.iter().filter(|outcome| !outcome.is_sound());
    let unsound: Vec<_> = unsound.map(|it| format!("{repeat} {}\n{it:#?}", it.point)).collect();
    assert!(unsound.is_empty(), "{tally}\n{}", unsound.join("\n"));
    assert!(tally.acknowledged >= acknowledged, "hardly anything was answered: {tally}");
}
