//! A month without a link: a township and its district go on by themselves, then the
//! links heal. How fast the backlog drains, and whether everybody agrees.

use std::time::{Duration, Instant};

use kernel::Timestamp;
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

use crate::{quantile, say};

const CALLERS: usize = 64;

/// Runs `commands` commands at the two offices while their links are cut.
pub(crate) async fn measure(commands: usize) {
    let mut town = Town::start().await;
    town.register_units().await;
    for code in [TOWN, DISTRICT] {
        quiet(&town, code).await;
        town.links[code].cut();
    }
    let days = 30;
    let start = Timestamp::parse("2024-02-01T01:00:00Z").unwrap();
    let mut samples = Vec::new();
    let began = Instant::now();
    for day in 0..days {
        let at = Timestamp(start.0 + i64::try_from(day).unwrap() * 24 * 3_600_000);
        for code in [TOWN, DISTRICT] {
            town.api(code).drive(at).await.unwrap();
        }
        samples.extend(one_day(&town, day, commands / days).await);
    }
    let worked = began.elapsed();
    let unsent = unsent(&town, TOWN).await + unsent(&town, DISTRICT).await;
    say(&format!(
        "{} commands in {days} days without a link: {:.0}/s, p50 {:?} p99 {:?}; {unsent} entries wait",
        samples.len(),
        rate(samples.len(), worked),
        quantile(&mut samples, 0.5),
        quantile(&mut samples, 0.99),
    ));
    let healed = Instant::now();
    for code in [TOWN, DISTRICT] {
        town.links[code].heal();
    }
    while unsent_all(&town).await > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let drained = healed.elapsed();
    let waited = usize::try_from(unsent).unwrap();
    say(&format!("drained in {drained:.1?}: {:.0} entries/s", rate(waited, drained)));
    while !agrees(&town).await {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    say(&format!(
        "every neighbour has receipted everything {:.1?} after the links healed",
        healed.elapsed()
    ));
    for code in [TOWN, DISTRICT, CITY] {
        town.stop_office(code).await;
        assert!(town.views_agree(code).await);
    }
    say("every view of all three offices equals a fresh fold");
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

/// A day's filings, half of them at the township and half at the district.
async fn one_day(town: &Town, day: usize, commands: usize) -> Vec<Duration> {
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (code, role) = if caller % 2 == 0 { (TOWN, "COM") } else { (DISTRICT, "FILE") };
            let api = town.api(code);
            tokio::spawn(async move {
                let mut samples = Vec::new();
                for n in 0..commands.div_ceil(CALLERS) {
                    let period = format!("{day}-{caller}-{n}");
                    let body = json!({"set": "staff", "period": period, "due": "2024-06-30"});
                    let began = Instant::now();
                    api.post(role, "/api/filings", &period, None, &body).await.unwrap();
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
    samples
}

async fn unsent(town: &Town, code: &str) -> u64 {
    let ready = town.api(code).get("SYS", "/health/ready").await.unwrap();
    ready["unsent"].as_u64().unwrap()
}

async fn unsent_all(town: &Town) -> u64 {
    unsent(town, TOWN).await + unsent(town, DISTRICT).await
}

async fn quiet(town: &Town, code: &str) {
    while unsent(town, code).await > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn agrees(town: &Town) -> bool {
    for code in [TOWN, DISTRICT, CITY] {
        let all: Value = town.api(code).get("SYS", "/api/neighbours").await.unwrap();
        let settled = |n: &Value| n["not_received"] == 0 && n["differs"] == false;
        if !all.as_array().unwrap().iter().all(settled) || unsent(town, code).await > 0 {
            return false;
        }
    }
    true
}
