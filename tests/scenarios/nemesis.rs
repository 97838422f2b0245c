//! Services and hub as processes, killed, cut off, lied to: short runs with fixed
//! seeds. `cargo run -p tests --bin nemesis` does the same for as long as one likes.

use std::time::Duration;

use tests::nemesis::{Fault, Plan, custody, reads, reads_at_every_call, run, term};

async fn holds(seed: u64, faults: &[Fault], postgres: Option<String>) {
    let plan = Plan { seed, faults: faults.to_vec(), time: Duration::ZERO, postgres };
    let outcome = run(plan, |_| {}).await;
    assert!(outcome.violations.is_empty(), "{}", outcome.table());
    for fault in faults {
        let tally = &outcome.tallies[fault.name()];
        assert!(
            tally.struck == 1 && (fault.is_quiet() || tally.acknowledged > 0),
            "{}",
            outcome.table()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_processes_are_killed() {
    holds(7, &[Fault::Kill, Fault::KillHub, Fault::Away], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_answers_are_lost_and_entries_come_twice() {
    holds(8, &[Fault::LostAnswers, Fault::Duplicates, Fault::Poison], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_hub_forgets() {
    holds(9, &[Fault::RestoreHub, Fault::WipeHub, Fault::FlipHub], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_of_an_office_that_recorded_alone_stays_stopped() {
    holds(5, &[Fault::IdleTwin], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_on_postgresql() {
    let postgres = std::env::var("LIANDONG_TEST_POSTGRES")
        .expect("LIANDONG_TEST_POSTGRES is not set: run ./deploy/test");
    holds(10, &[Fault::Kill, Fault::LostAnswers], Some(postgres)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_whose_processes_are_killed_ends_with_the_same_figures() {
    let (killed, code) = term(11, "1/50", 6).await;
    assert!(killed >= 3 && code == Some(0), "{killed} killed, exit {code:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_left_without_its_reading_on_record_whenever_the_process_died() {
    let reads = reads(11, 15).await;
    eprintln!("{reads:?}");
    assert!(reads.answered > 30, "{reads:?}");
    assert!(reads.recorded >= reads.answered, "{reads:?}");
    // Beyond them only what was on its way when the process died, and what was read after
    // the last kill by the same people.
    assert!(reads.recorded <= reads.answered + reads.kills * 4, "{reads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_left_without_its_reading_on_record_at_any_call_of_a_read() {
    let reads = reads_at_every_call(12).await;
    eprintln!("{reads:?}");
    // The calls of a read: the log's pages, their sync, the answer; each was died at.
    assert!(reads.kills >= 8, "{reads:?}");
    assert!(reads.recorded > reads.answered, "nobody died between record and answer: {reads:?}");
}

/// Clues go round among four services that are cut off, killed and put back from backups.
#[tokio::test(flavor = "multi_thread")]
async fn one_organ_holds_each_clue_through_cuts_kills_and_restored_backups() {
    let outcome = custody(21, Duration::ZERO, |text| eprintln!("{text}")).await;
    eprintln!("{}", outcome.table());
    assert!(outcome.violations.is_empty(), "{}", outcome.table());
    let kinds = [
        "cut",
        "one-way",
        "kill",
        "kill-two",
        "kill-hub",
        "restored",
        "restored-city",
        "lost-tail",
    ];
    for kind in kinds {
        assert!(outcome.struck.get(kind).is_some_and(|count| *count > 0), "{kind} never struck");
    }
    let words = ["offered", "offer-withdrawn", "offer-returned", "released", "custody-taken"];
    let beside = [
        "assigned",
        "(sent at one moment)",
        "(accepted and withdrawn)",
        "(entries fetched back)",
        "(refused while behind)",
    ];
    for what in words.into_iter().chain(beside) {
        assert!(outcome.counts.get(what).is_some_and(|count| *count > 0), "{what}: none");
    }
}
