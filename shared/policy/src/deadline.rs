//! Deadlines as rows of a policy pack.

use kernel::Day;

use crate::calendar;

/// The version of the rows below.
pub const POLICY_VERSION: &str = "default-2026.1";

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Read in a source.
    Source,
    /// From memory.
    Memory,
    /// Our own proposal: it reminds and does not judge.
    Proposal,
}

/// How long a deadline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Workdays(u32),
    Months(u32),
    Days(u32),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The row's key in the policy pack.
    pub key: &'static str,
    span: Span,
    /// Where it comes from.
    pub mark: Mark,
}

/// The rows in use (`model.md` 3.20).
const ROWS: &[Deadline] = &[
    // The sources say only 及时 and 按时; the number is ours.
    Deadline { key: "filing.default", span: Span::Workdays(10), mark: Mark::Proposal },
    Deadline { key: "filing.review", span: Span::Workdays(10), mark: Mark::Proposal },
    Deadline { key: "filing.correct", span: Span::Workdays(5), mark: Mark::Proposal },
    // What belongs to the upper organ goes up sealed (W22 art. 15).
    Deadline { key: "envelope.up", span: Span::Workdays(5), mark: Mark::Source },
    // Clues: receipt (by analogy to W22 art. 16), 永寿's 24 days, 兴平's 6 months, W24.
    Deadline { key: "clue.ack", span: Span::Workdays(5), mark: Mark::Proposal },
    Deadline { key: "clue.stall.unhandled", span: Span::Days(24), mark: Mark::Source },
    Deadline { key: "clue.stall.no_progress", span: Span::Months(6), mark: Mark::Source },
    // After the secretary's meeting clues go over in one batch; the number is ours.
    Deadline { key: "clue.transfer.batch", span: Span::Workdays(10), mark: Mark::Proposal },
    // 2019 rules art. 21, from memory; W4: as a rule half a year, at most one.
    Deadline { key: "clue.disposal_proposal", span: Span::Months(1), mark: Mark::Memory },
    // The verse on the 2017 rules (W23): an answer in fifteen days; then a month to close.
    Deadline { key: "clue.inquiry_reply", span: Span::Workdays(15), mark: Mark::Memory },
    Deadline { key: "clue.inquiry_close", span: Span::Days(30), mark: Mark::Memory },
    Deadline { key: "clue.close.target", span: Span::Months(6), mark: Mark::Source },
    Deadline { key: "clue.close.hard", span: Span::Months(12), mark: Mark::Source },
    Deadline { key: "clue.result_feedback", span: Span::Months(3), mark: Mark::Source },
    // 定远县 请示报告制度.
    Deadline { key: "rect.concentrated", span: Span::Months(3), mark: Mark::Source },
];

/// The row of a key.
pub fn row(key: &str) -> Option<&'static Deadline> {
    ROWS.iter().find(|row| row.key == key)
}

/// The day on which the deadline `key`, running from `from`, ends. An unknown
/// key ends at once, so that a mistake shows.
pub fn due(key: &str, from: Day) -> Day {
    match row(key).map(|row| row.span) {
        Some(Span::Workdays(count)) => calendar::workdays_after(from, count),
        Some(Span::Days(count)) => calendar::days_after(from, count),
        Some(Span::Months(count)) => calendar::months_after(from, count),
        None => from,
    }
}

/// Whether a deadline is only proposed.
pub fn is_proposal(key: &str) -> bool {
    row(key).is_none_or(|row| row.mark == Mark::Proposal)
}
