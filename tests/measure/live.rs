//! The city's live feed, as somebody follows it: when each measure was due and when it came.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use deploy::api::from_base64;
use http_body_util::BodyExt;
use hyper::{Method, body::Incoming};
use kernel::{Fact, clock::wall};
use serde_json::Value;
use web::client::Client;

use crate::inspected::Inspected;

/// One measure: when it was due, and when which entry of it came.
#[derive(Clone, Debug)]
pub(crate) struct One {
    due: Instant,
    /// The same by the machine's clock, in milliseconds.
    pub(crate) due_at: i64,
    came: Option<Instant>,
    pub(crate) came_at: i64,
    /// The entry's id.
    pub(crate) id: String,
}

/// All of them, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(pub(crate) Vec<One>);

impl Times {
    /// How long each took that came.
    pub(crate) fn took(&self) -> Vec<Duration> {
        self.0.iter().filter_map(|one| Some(one.came?.duration_since(one.due))).collect()
    }
}

/// The feed.
pub(crate) struct Live {
    times: Arc<Mutex<Times>>,
}

impl Live {
    /// Follows it; everything from before has been read then.
    pub(crate) async fn follow(inspected: &Inspected) -> Self {
        let (url, token) = inspected.feed();
        let headers = [("authorization", token.as_str())];
        let feed = Client::default().open(Method::GET, &url, &headers, Vec::new()).await.unwrap();
        let times = Arc::default();
        let (caught_up, mut is_there) = tokio::sync::watch::channel(false);
        tokio::spawn(read(feed.into_body(), Arc::clone(&times), caught_up));
        is_there.wait_for(|there| *there).await.unwrap();
        Self { times }
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next measure was due.
    pub(crate) fn due(&self, number: u32, due: Instant) {
        let mut times = self.lock();
        assert_eq!(u32::try_from(times.0.len()), Ok(number));
        let late = i64::try_from(due.elapsed().as_millis()).unwrap();
        let (due_at, id) = (wall().0 - late, String::new());
        times.0.push(One { due, due_at, came: None, came_at: 0, id });
    }

    /// How many have come.
    pub(crate) fn came(&self) -> usize {
        self.lock().0.iter().filter(|one| one.came.is_some()).count()
    }

    /// All of them now.
    pub(crate) fn times(&self) -> Times {
        self.lock().clone()
    }
}

async fn read(
    mut body: Incoming,
    times: Arc<Mutex<Times>>,
    caught_up: tokio::sync::watch::Sender<bool>,
) {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let (now, now_at) = (Instant::now(), wall().0);
        text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let event = String::from_utf8_lossy(&text[..end]).into_owned();
            text.drain(..end + 2);
            if event.contains("event: caught-up") {
                caught_up.send_replace(true);
            }
            let Some((number, id)) = measure(&event) else { continue };
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(one) = times.0.get_mut(number) else { continue };
            assert!(one.came.is_none(), "{number} came twice");
            (one.came, one.came_at, one.id) = (Some(now), now_at, id);
        }
    }
}

/// The number in a measure's text, and its entry's id.
fn measure(event: &str) -> Option<(usize, String)> {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    if !data.contains("rectification.measure-planned") {
        return None;
    }
    let item: Value = serde_json::from_str(data).ok()?;
    let (fact, _) = Fact::of_entry(&from_base64(item["entry"].as_str()?)).ok()?;
    let said: Value = fact.read().ok()?;
    Some((said["text"].as_str()?.strip_prefix('m')?.parse().ok()?, fact.id))
}
