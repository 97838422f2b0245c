//! What every carrier promises, rule by rule, at the level of the traits `Hub`,
//! `Link` and `Reader`: the real hub on NATS and the hub in memory pass the same
//! list, so that what the simulation proves holds for the real one.
//!
//! What a reader would get wrong: the files have no place here. Nobody answers a
//! disc, so the carrier by files has neither trait; what it promises (nothing lost,
//! doubled or reordered in a lane, repeats change nothing) is tried with whole
//! offices, in `scenarios/links.rs` and `scenarios/cities.rs`, over all carriers.

mod carriers;
mod links;
mod readers;
mod streams;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use kernel::OfficeId;
use messaging::link::{
    Delivery, Failure, Hub, Link, Outgoing, Published, Reader, ReaderSpec, Stream,
};

pub use carriers::{InMemory, OverNats};

/// Something that takes its time.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How the links of all offices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Whole.
    Whole,
    /// Nothing gets through.
    Cut,
    /// What offices ask arrives; what they are told does not.
    Deaf,
}

/// One hub with the ends of its offices.
pub trait Carrier: Send + Sync {
    /// The hub's end, as ingest has it.
    fn hub(&self) -> Arc<dyn Hub>;

    /// A new link of an office. The city's ingest, which knows nobody but
    /// [`city`], answers at its other end.
    fn link(&self, office: OfficeId) -> Soon<'_, Arc<dyn Link>>;

    /// Changes all links.
    fn set(&self, line: Line);

    /// Remembers everything that the hub keeps.
    fn keep(&self) -> Soon<'_, ()>;

    /// The hub becomes what it was.
    fn put_back(&self) -> Soon<'_, ()>;
}

/// A rule.
pub type Rule = for<'a> fn(&'a dyn Carrier) -> Soon<'a, ()>;

macro_rules! rules {
    ($($file:ident: $($rule:ident)*;)*) => {
        /// All rules, by name.
        pub const RULES: &[(&str, Rule)] =
            &[$($((stringify!($rule), |carrier| Box::pin($file::$rule(carrier))),)*)*];
    };
}

rules! {
    streams:
        what_is_published_is_stored_in_order_as_it_is
        the_last_is_the_newest_under_a_filter
        the_next_is_the_first_from_a_place_on
        who_expects_another_end_stores_nothing
        what_one_origin_publishes_disturbs_no_other
        a_batch_is_stored_whole_or_not_at_all
        what_no_stream_takes_is_not_stored
        of_notes_the_last_of_each_subject_is_kept;
    readers:
        a_reader_is_given_what_its_filters_cover_in_order_and_nothing_else
        what_was_not_done_is_given_to_who_binds_again
        again_gives_what_was_not_done_at_once
        done_is_done_with_everything_given
        back_to_gives_from_a_place_on_done_or_not
        a_reader_begins_where_it_was_made_to_and_may_go_behind_that
        a_reader_made_again_goes_on_where_it_was
        filters_change_and_a_fixed_reader_with_others_is_another_one
        readers_of_two_streams_may_share_a_name
        no_reader_is_given_what_is_sealed
        a_filter_within_another_is_refused
        who_has_no_reader_binds_none
        next_waits_for_what_comes_and_no_longer
        a_reader_of_notes_is_given_the_last_value;
    links:
        what_is_asked_twice_is_stored_once
        a_cut_link_fails_and_heals
        what_was_not_answered_may_have_been_done
        a_cut_loses_nothing_of_what_was_given
        a_hub_that_is_put_back_uses_its_sequences_again;
}

/// The city of every carrier here.
pub fn city() -> OfficeId {
    office("cccccccc")
}

fn office(id: &str) -> OfficeId {
    OfficeId::parse(id).unwrap()
}

/// Long enough for everything that is there already.
const SOON: Duration = Duration::from_millis(400);

fn message(subject: &str, text: &str) -> Outgoing {
    Outgoing { subject: subject.to_owned(), other: 0, payload: text.to_owned().into() }
}

/// Publishes one message of `origin` to `audience` behind whatever is there.
async fn say(hub: &dyn Hub, origin: &str, audience: &str, text: &str) -> u64 {
    let filter = format!("*.{origin}.>");
    let last = hub.last(Stream::History, &filter).await.unwrap().map_or(0, |last| last.sequence);
    let subject = format!("ev.{origin}.{audience}.round");
    let said = hub.publish(&batch(), &filter, last, vec![message(&subject, text)]).await.unwrap();
    let Published::Stored(sequence) = said else { panic!("{said:?}") };
    sequence
}

/// A batch's name that was never used.
fn batch() -> String {
    kernel::Entropy::System.uuid()
}

/// A reader of HISTORY with these filters.
fn spec(name: &str, filters: &[&str]) -> ReaderSpec {
    ReaderSpec {
        stream: Stream::History,
        name: name.to_owned(),
        filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
        from: None,
        fixed: false,
        everywhere: false,
    }
}

/// Makes a reader `name` of the office `name` begins with, and binds it.
async fn reader(carrier: &dyn Carrier, spec: ReaderSpec) -> Box<dyn Reader> {
    let (stream, name) = (spec.stream, spec.name.clone());
    carrier.hub().make_reader(spec).await.unwrap();
    let link = carrier.link(office(&name[..8])).await;
    link.reader(stream, &name).await.unwrap()
}

/// What has come, as text.
async fn given(reader: &mut dyn Reader) -> Vec<String> {
    texts(&reader.next(100, SOON).await.unwrap())
}

/// Says that it is done, and waits until the word is there: nobody confirms it.
async fn done(reader: &mut dyn Reader) {
    reader.done().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|it| String::from_utf8_lossy(&it.payload).into_owned()).collect()
}

/// Tries until it succeeds: a link that was cut heals in its own time.
async fn healed<T, F>(what: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Failure>>,
{
    let began = std::time::Instant::now();
    loop {
        match what().await {
            Ok(done) => return done,
            Err(why) => assert!(began.elapsed() < Duration::from_secs(30), "not healed: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
