//! The same command three times: through HTTP with the hub connected, through HTTP with
//! the link cut, and handed to the store with the district's own views and rules.

use std::time::{Duration, Instant};

use domain::finding::Finding;
use event_store::{Answer, Idempotency, Office, Unit, act};
use kernel::Actor;
use serde_json::{Value, json};
use testkit::TestStore;
use tests::town::{DISTRICT, Town};

use crate::{history, quantile};

const CALLERS: usize = 64;
const EACH: usize = 100;

/// Commands a second, p50 and p99.
pub(crate) type Figures = (f64, Duration, Duration);

/// What one place gave.
pub(crate) struct Measured {
    /// HTTP with the hub connected.
    pub(crate) connected: Figures,
    /// HTTP with the link cut.
    pub(crate) cut: Figures,
    /// The store alone.
    pub(crate) store: Figures,
}

/// Findings drafted by 64 callers.
pub(crate) async fn measure() -> Measured {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round("R1");
    let mut round = deploy::round::Script::new(&district, plan, tasks, Vec::new());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    let body = json!({"round": format!("{}-R1", district.id), "task": "k1",
        "category": "四个落实", "title": "台账不全", "text": "问".repeat(300)});
    let post = |key: String, body: Value| {
        let district = district.clone();
        async move {
            district.post("TM", "/api/findings", &key, None, &body).await.unwrap();
        }
    };
    let connected = callers(|n| post(format!("m{n}"), body.clone())).await;
    town.links[DISTRICT].cut();
    let cut = callers(|n| post(format!("c{n}"), body.clone())).await;
    drop(town);
    Measured { connected, cut, store: store().await }
}

async fn store() -> Figures {
    let store = TestStore::sqlite();
    let office = Office::open(history::setting(&store)).await.unwrap();
    callers(|n| draft(office.clone(), n)).await
}

async fn draft(office: Office, n: usize) {
    let run = act(move |unit: &mut Unit<'_>| {
        let id = format!("dddddddd-n{n}");
        Box::pin(async move {
            unit.execute::<Finding>(&id, history::drafted(7)).await?;
            Ok(Answer { status: 200, etag: String::new(), body: b"{}".to_vec() })
        })
    });
    let key = Idempotency::new("p1", "POST /api/findings", &n.to_string(), b"");
    let actor = Actor { person: "p1".to_owned(), role: "D_TM".to_owned() };
    office.command(actor, None, Some(key), run).await.unwrap();
}

/// 64 callers, each with its commands one after the other.
async fn callers<F>(command: impl Fn(usize) -> F) -> Figures
where
    F: Future<Output = ()> + Send + 'static,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let each: Vec<F> = (0..EACH).map(|n| command(caller * EACH + n)).collect();
            tokio::spawn(async move {
                let mut samples = Vec::new();
                for one in each {
                    let began = Instant::now();
                    one.await;
                    samples.push(began.elapsed());
                }
                samples
            })
        })
        .collect();
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await.unwrap());
    }
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let rate = samples.len() as f64 / began.elapsed().as_secs_f64();
    (rate, quantile(&mut samples, 0.5), quantile(&mut samples, 0.99))
}
