//! What a reader is given, and when again.

use std::time::{Duration, Instant};

use messaging::link::{Hub, ReaderSpec, Stream};

use super::{Carrier, SOON, done, given, office, reader, say, spec, texts};

/// a1 b1 a2 b2 …, by two origins in turn.
async fn pairs(hub: &dyn Hub, from: usize, to: usize) {
    for n in from..=to {
        say(hub, "aaaaaaaa", "all", &format!("a{n}")).await;
        say(hub, "bbbbbbbb", "to-rrrrrrrr", &format!("b{n}")).await;
    }
}

pub(super) async fn a_reader_is_given_what_its_filters_cover_in_order_and_nothing_else(
    carrier: &dyn Carrier,
) {
    let hub = carrier.hub();
    pairs(&*hub, 1, 3).await;
    let mut both =
        reader(carrier, spec("rrrrrrrr", &["ev.*.to-rrrrrrrr.>", "ev.aaaaaaaa.all.>"])).await;
    let mut one = reader(carrier, spec("ssssssss", &["ev.*.to-ssssssss.>", "cf.>"])).await;
    let first = both.next(100, SOON).await.unwrap();
    assert_eq!(texts(&first), ["a1", "b1", "a2", "b2", "a3", "b3"]);
    assert_eq!(first[1].subject, "ev.bbbbbbbb.to-rrrrrrrr.round");
    say(&*hub, "aaaaaaaa", "to-ssssssss", "s1").await;
    say(&*hub, "aaaaaaaa", "all", "a4").await;
    assert_eq!(given(&mut *both).await, ["a4"]);
    assert_eq!(given(&mut *one).await, ["s1"]);
}

pub(super) async fn what_was_not_done_is_given_to_who_binds_again(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    pairs(&*hub, 1, 2).await;
    let mut first = reader(carrier, spec("rrrrrrrr", &["ev.>"])).await;
    assert_eq!(texts(&first.next(2, SOON).await.unwrap()), ["a1", "b1"]);
    done(&mut *first).await;
    assert_eq!(texts(&first.next(2, SOON).await.unwrap()), ["a2", "b2"]);
    drop(first);
    let link = carrier.link(office("rrrrrrrr")).await;
    let mut second = link.reader(Stream::History, "rrrrrrrr").await.unwrap();
    assert_eq!(given(&mut *second).await, ["a2", "b2"]);
    done(&mut *second).await;
    drop(second);
    let mut third = link.reader(Stream::History, "rrrrrrrr").await.unwrap();
    assert_eq!(given(&mut *third).await, [""; 0]);
}

pub(super) async fn again_gives_what_was_not_done_at_once(carrier: &dyn Carrier) {
    pairs(&*carrier.hub(), 1, 3).await;
    let mut reader = reader(carrier, spec("rrrrrrrr", &["ev.>"])).await;
    assert_eq!(texts(&reader.next(2, SOON).await.unwrap()), ["a1", "b1"]);
    done(&mut *reader).await;
    assert_eq!(texts(&reader.next(3, SOON).await.unwrap()), ["a2", "b2", "a3"]);
    for _ in 0..2 {
        reader.again().await.unwrap();
        assert_eq!(given(&mut *reader).await, ["a2", "b2", "a3", "b3"]);
    }
}

pub(super) async fn done_is_done_with_everything_given(carrier: &dyn Carrier) {
    pairs(&*carrier.hub(), 1, 3).await;
    let mut reader = reader(carrier, spec("rrrrrrrr", &["ev.>"])).await;
    assert_eq!(texts(&reader.next(2, SOON).await.unwrap()), ["a1", "b1"]);
    assert_eq!(texts(&reader.next(2, SOON).await.unwrap()), ["a2", "b2"]);
    done(&mut *reader).await;
    reader.again().await.unwrap();
    assert_eq!(given(&mut *reader).await, ["a3", "b3"]);
    done(&mut *reader).await;
    reader.again().await.unwrap();
    assert_eq!(given(&mut *reader).await, [""; 0]);
}

pub(super) async fn back_to_gives_from_a_place_on_done_or_not(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    pairs(&*hub, 1, 3).await;
    let mut reader = reader(carrier, spec("rrrrrrrr", &["ev.bbbbbbbb.>"])).await;
    assert_eq!(texts(&reader.next(2, SOON).await.unwrap()), ["b1", "b2"]);
    done(&mut *reader).await;
    for (place, texts) in [
        (1, vec!["b1", "b2", "b3"]),
        (3, vec!["b2", "b3"]),
        (6, vec!["b3"]),
        (1, vec!["b1", "b2", "b3"]),
    ] {
        reader.back_to(place).await.unwrap();
        assert_eq!(given(&mut *reader).await, texts, "back to {place}");
    }
    done(&mut *reader).await;
    say(&*hub, "bbbbbbbb", "all", "b4").await;
    assert_eq!(given(&mut *reader).await, ["b4"]);
}

pub(super) async fn a_reader_begins_where_it_was_made_to_and_may_go_behind_that(
    carrier: &dyn Carrier,
) {
    let hub = carrier.hub();
    pairs(&*hub, 1, 3).await;
    let later = ReaderSpec { from: Some(4), fixed: true, ..spec("rrrrrrrr_d", &["ev.>"]) };
    let mut begun = reader(carrier, later).await;
    assert_eq!(given(&mut *begun).await, ["b2", "a3", "b3"]);
    done(&mut *begun).await;
    // A hub that was filled again has other sequences: a gap is asked for from the start.
    begun.back_to(1).await.unwrap();
    assert_eq!(given(&mut *begun).await, ["a1", "b1", "a2", "b2", "a3", "b3"]);
    done(&mut *begun).await;
    let ahead = ReaderSpec { from: Some(8), ..spec("rrrrrrrr", &["ev.>"]) };
    let mut ahead = reader(carrier, ahead).await;
    pairs(&*hub, 4, 4).await;
    assert_eq!(given(&mut *ahead).await, ["b4"]);
}

pub(super) async fn a_reader_made_again_goes_on_where_it_was(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    pairs(&*hub, 1, 2).await;
    for fixed in [false, true] {
        let name = if fixed { "rrrrrrrr_d" } else { "rrrrrrrr" };
        let made = ReaderSpec { fixed, ..spec(name, &["ev.>"]) };
        let mut first = reader(carrier, made.clone()).await;
        assert_eq!(texts(&first.next(3, SOON).await.unwrap()), ["a1", "b1", "a2"]);
        done(&mut *first).await;
        hub.make_reader(made.clone()).await.unwrap();
        hub.make_reader(made).await.unwrap();
        assert_eq!(given(&mut *first).await, ["b2"], "fixed: {fixed}");
        let link = carrier.link(office("rrrrrrrr")).await;
        let mut bound_again = link.reader(Stream::History, name).await.unwrap();
        assert_eq!(given(&mut *bound_again).await, ["b2"], "fixed: {fixed}");
    }
}

pub(super) async fn filters_change_and_a_fixed_reader_with_others_is_another_one(
    carrier: &dyn Carrier,
) {
    let hub = carrier.hub();
    let moving = spec("rrrrrrrr", &["ev.aaaaaaaa.>"]);
    let fixed = ReaderSpec { fixed: true, ..spec("rrrrrrrr_d", &["ev.aaaaaaaa.>"]) };
    let mut moves = reader(carrier, moving.clone()).await;
    let mut stays = reader(carrier, fixed.clone()).await;
    pairs(&*hub, 1, 1).await;
    for reader in [&mut moves, &mut stays] {
        assert_eq!(given(&mut **reader).await, ["a1"]);
        done(&mut **reader).await;
    }
    drop(stays);
    // The same once more is the same reader.
    let mut stays = reader(carrier, fixed.clone()).await;
    assert_eq!(given(&mut *stays).await, [""; 0]);
    drop(stays);
    let filters = vec!["ev.bbbbbbbb.>".to_owned()];
    hub.make_reader(ReaderSpec { filters: filters.clone(), ..moving }).await.unwrap();
    let mut other = reader(carrier, ReaderSpec { filters, ..fixed }).await;
    pairs(&*hub, 2, 2).await;
    // What lay there before the change is given or not; what comes after it is.
    assert_eq!(given(&mut *moves).await.last().map(String::as_str), Some("b2"));
    assert_eq!(given(&mut *other).await, ["b1", "b2"]);
}

pub(super) async fn readers_of_two_streams_may_share_a_name(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    say(&*hub, "aaaaaaaa", "all", "a1").await;
    hub.note("at.hb.aaaaaaaa".to_owned(), "note".into()).await.unwrap();
    let of_notes = ReaderSpec { stream: Stream::Attest, ..spec("rrrrrrrr_a", &["at.>"]) };
    hub.make_reader(of_notes).await.unwrap();
    hub.make_reader(spec("rrrrrrrr_a", &["ev.>"])).await.unwrap();
    let link = carrier.link(office("rrrrrrrr")).await;
    let mut notes = link.reader(Stream::Attest, "rrrrrrrr_a").await.unwrap();
    assert_eq!(given(&mut *notes).await, ["note"]);
}

pub(super) async fn no_reader_is_given_what_is_sealed(carrier: &dyn Carrier) {
    let sealed = ReaderSpec { stream: Stream::Safe, ..spec("rrrrrrrr", &["safe.>"]) };
    assert!(carrier.hub().make_reader(sealed).await.is_err());
}

pub(super) async fn a_filter_within_another_is_refused(carrier: &dyn Carrier) {
    for filters in [["ev.>", "ev.aaaaaaaa.all.>"], ["ev.aaaaaaaa.all.round", "ev.*.all.round"]] {
        let overlapping = spec("rrrrrrrr", &filters);
        assert!(carrier.hub().make_reader(overlapping).await.is_err(), "{filters:?}");
    }
}

pub(super) async fn who_has_no_reader_binds_none(carrier: &dyn Carrier) {
    let link = carrier.link(office("rrrrrrrr")).await;
    assert!(link.reader(Stream::History, "rrrrrrrr").await.is_err());
}

pub(super) async fn next_waits_for_what_comes_and_no_longer(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    let mut reader = reader(carrier, spec("rrrrrrrr", &["ev.>"])).await;
    let began = Instant::now();
    assert_eq!(texts(&reader.next(10, Duration::from_millis(300)).await.unwrap()), [""; 0]);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let writing = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        say(&*hub, "aaaaaaaa", "all", "late").await;
    });
    let began = Instant::now();
    let came = reader.next(1, Duration::from_secs(20)).await.unwrap();
    assert_eq!(texts(&came), ["late"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    writing.await.unwrap();
}

pub(super) async fn a_reader_of_notes_is_given_the_last_value(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    let of_notes = ReaderSpec { stream: Stream::Attest, ..spec("rrrrrrrr_a", &["at.hb.*"]) };
    let mut notes = reader(carrier, of_notes).await;
    for text in ["one", "two", "three"] {
        hub.note("at.hb.aaaaaaaa".to_owned(), text.into()).await.unwrap();
    }
    hub.note("at.rc.aaaaaaaa.bbbbbbbb".to_owned(), "not its".into()).await.unwrap();
    assert_eq!(given(&mut *notes).await, ["three"]);
    hub.note("at.hb.aaaaaaaa".to_owned(), "four".into()).await.unwrap();
    notes.again().await.unwrap();
    assert_eq!(given(&mut *notes).await, ["four"]);
    done(&mut *notes).await;
    hub.note("at.hb.bbbbbbbb".to_owned(), "five".into()).await.unwrap();
    assert_eq!(given(&mut *notes).await, ["five"]);
}
