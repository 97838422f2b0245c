//! What the hub keeps: order, expectations, batches, notes.

use bytes::Bytes;
use messaging::link::{Outgoing, Published, Stream};

use super::{Carrier, batch, message, say};

fn many(count: usize) -> Vec<Outgoing> {
    (0..count).map(|n| message("ev.aaaaaaaa.all.round", &format!("m{n}"))).collect()
}

pub(super) async fn what_is_published_is_stored_in_order_as_it_is(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    let mut messages = many(30);
    for (at, message) in (0..).zip(&mut messages) {
        message.other = at * 3;
        message.payload = Bytes::from(vec![0xff, 0, at.to_le_bytes()[0]]);
    }
    let first = say(&*hub, "aaaaaaaa", "own", "first").await;
    let stored = hub.publish(&batch(), "*.aaaaaaaa.>", first, messages.clone()).await.unwrap();
    assert_eq!(stored, Published::Stored(first + 30));
    for (from, message) in (first + 1..).zip(&messages) {
        let stored = hub.next(Stream::History, "ev.aaaaaaaa.>", from).await.unwrap().unwrap();
        assert_eq!(
            (stored.sequence, &stored.subject, stored.other, &stored.payload),
            (from, &message.subject, message.other, &message.payload)
        );
    }
}

pub(super) async fn the_last_is_the_newest_under_a_filter(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    assert_eq!(hub.last(Stream::History, ">").await.unwrap(), None);
    say(&*hub, "aaaaaaaa", "all", "a1").await;
    say(&*hub, "bbbbbbbb", "all", "b1").await;
    say(&*hub, "aaaaaaaa", "peers", "a2").await;
    for (filter, text) in [
        (">", Some("a2")),
        ("*.bbbbbbbb.>", Some("b1")),
        ("ev.aaaaaaaa.all.>", Some("a1")),
        ("ev.aaaaaaaa.all.round", Some("a1")),
        ("ev.aaaaaaaa", None),
        ("cf.aaaaaaaa.>", None),
    ] {
        let last = hub.last(Stream::History, filter).await.unwrap().map(|last| last.payload);
        assert_eq!(last.as_deref(), text.map(str::as_bytes), "{filter}");
    }
    assert_eq!(hub.last(Stream::Safe, ">").await.unwrap(), None);
}

pub(super) async fn the_next_is_the_first_from_a_place_on(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    assert_eq!(hub.next(Stream::History, ">", 0).await.unwrap(), None);
    say(&*hub, "aaaaaaaa", "all", "a1").await;
    say(&*hub, "bbbbbbbb", "all", "b1").await;
    say(&*hub, "aaaaaaaa", "all", "a2").await;
    for (filter, from, text) in [
        (">", 0, Some("a1")),
        (">", 1, Some("a1")),
        (">", 2, Some("b1")),
        ("*.aaaaaaaa.>", 2, Some("a2")),
        ("*.bbbbbbbb.>", 3, None),
        (">", 4, None),
        (">", 400, None),
    ] {
        let next = hub.next(Stream::History, filter, from).await.unwrap().map(|next| next.payload);
        assert_eq!(next.as_deref(), text.map(str::as_bytes), "{filter} from {from}");
    }
}

pub(super) async fn who_expects_another_end_stores_nothing(carrier: &dyn Carrier) {
    let (hub, filter) = (carrier.hub(), "*.aaaaaaaa.>");
    for count in [1, 25] {
        let expects = hub.publish(&batch(), filter, 7, many(count)).await.unwrap();
        assert_eq!(expects, Published::Behind(0));
    }
    let first = say(&*hub, "aaaaaaaa", "all", "a1").await;
    let last = say(&*hub, "aaaaaaaa", "all", "a2").await;
    for count in [1, 25] {
        for after in [0, first, last + 1] {
            let outcome = hub.publish(&batch(), filter, after, many(count)).await.unwrap();
            assert_eq!(outcome, Published::Behind(last), "{count} after {after}");
        }
    }
    assert_eq!(hub.last(Stream::History, ">").await.unwrap().unwrap().sequence, last);
    let outcome = hub.publish(&batch(), filter, last, many(25)).await.unwrap();
    assert_eq!(outcome, Published::Stored(last + 25));
}

pub(super) async fn what_one_origin_publishes_disturbs_no_other(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    let last = say(&*hub, "aaaaaaaa", "all", "a1").await;
    say(&*hub, "bbbbbbbb", "all", "b1").await;
    let safe = vec![message("safe.aaaaaaaa", "sealed")];
    let outcome = hub.publish(&batch(), "safe.aaaaaaaa", 0, safe).await.unwrap();
    assert_eq!(outcome, Published::Stored(1), "each stream counts for itself");
    let outcome = hub.publish(&batch(), "*.aaaaaaaa.>", last, many(1)).await.unwrap();
    assert_eq!(outcome, Published::Stored(last + 2));
}

pub(super) async fn a_batch_is_stored_whole_or_not_at_all(carrier: &dyn Carrier) {
    let (hub, filter) = (carrier.hub(), "*.aaaaaaaa.>");
    let mut too_large = many(30);
    too_large[17].payload = vec![7; 70 * 1024].into();
    assert!(hub.publish(&batch(), filter, 0, too_large).await.is_err());
    assert!(hub.publish(&batch(), filter, 0, many(1001)).await.is_err());
    assert!(hub.publish(&batch(), filter, 0, Vec::new()).await.is_err());
    assert_eq!(hub.last(Stream::History, ">").await.unwrap(), None);
    let outcome = hub.publish(&batch(), filter, 0, many(1000)).await.unwrap();
    assert_eq!(outcome, Published::Stored(1000));
}

pub(super) async fn what_no_stream_takes_is_not_stored(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    let stray = vec![message("xx.aaaaaaaa.all.round", "stray")];
    assert!(hub.publish(&batch(), "*.aaaaaaaa.>", 0, stray).await.is_err());
    let large = vec![message("ev.aaaaaaaa.all.round", &"x".repeat(70 * 1024))];
    assert!(hub.publish(&batch(), "*.aaaaaaaa.>", 0, large).await.is_err());
    for stream in [Stream::History, Stream::Safe, Stream::Attest] {
        assert_eq!(hub.last(stream, ">").await.unwrap(), None, "{stream:?}");
    }
}

pub(super) async fn of_notes_the_last_of_each_subject_is_kept(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    for (subject, text) in
        [("at.hb.aaaaaaaa", "one"), ("at.hb.bbbbbbbb", "two"), ("at.hb.aaaaaaaa", "three")]
    {
        hub.note(subject.to_owned(), text.into()).await.unwrap();
    }
    let (mut kept, mut from) = (Vec::new(), 0);
    while let Some(note) = hub.next(Stream::Attest, "at.>", from).await.unwrap() {
        from = note.sequence + 1;
        kept.push((note.subject, note.payload));
    }
    let kept: Vec<_> = kept.iter().map(|(s, p)| (s.as_str(), p.as_ref())).collect();
    assert_eq!(kept, [("at.hb.bbbbbbbb", &b"two"[..]), ("at.hb.aaaaaaaa", &b"three"[..])]);
    let last = hub.last(Stream::Attest, "at.hb.aaaaaaaa").await.unwrap().unwrap();
    assert_eq!((last.payload.as_ref(), last.sequence), (&b"three"[..], 3));
}
