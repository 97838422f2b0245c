//! The same through HTTP: a district's findings, with the hub connected.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::town::{DISTRICT, Town};

use crate::quantile;

const CALLERS: usize = 64;
const EACH: usize = 100;

/// Commands a second, p50 and p99.
pub(crate) async fn measure() -> (f64, Duration, Duration) {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round("R1");
    let mut round = deploy::round::Script::new(&district, plan, tasks, Vec::new());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    let id = format!("{}-R1", district.id);
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (district, id) = (district.clone(), id.clone());
            tokio::spawn(async move {
                let mut samples = Vec::new();
                let body = json!({"round": id, "task": "k1", "category": "四个落实",
                    "title": "台账不全", "text": "问".repeat(300)});
                for n in 0..EACH {
                    let began = Instant::now();
                    let key = format!("m-{caller}-{n}");
                    district.post("TM", "/api/findings", &key, None, &body).await.unwrap();
                    samples.push(began.elapsed());
                }
                samples
            })
        })
        .collect();
    let mut samples = Vec::new();
    for caller in callers {
        samples.extend(caller.await.unwrap());
    }
    let elapsed = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let rate = samples.len() as f64 / elapsed;
    (rate, quantile(&mut samples, 0.5), quantile(&mut samples, 0.99))
}
