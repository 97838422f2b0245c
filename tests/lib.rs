//! Small cities for tests: real nats-server, real stores, real HTTP, and a proxy
//! on each office's link. `town` runs the services inside the test, so that it can
//! look into them; `nemesis` runs them as processes, so that it can kill them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read their servers from the environment")]

pub mod authority;
pub mod browser;
pub mod canary;
pub mod chance;
pub mod chancery;
pub mod collector;
pub mod conformance;
pub mod crash;
pub mod exported;
pub mod nemesis;
pub mod ports;
pub mod proxy;
pub mod simulation;
pub mod town;

use std::collections::HashMap;

use deploy::api::Api;
use serde_json::Value;

/// Every entry that an office holds, own and received, in its order. The audit
/// administrator sees that each is there; what it says, those read whose post allows it.
pub async fn entries(api: &Api) -> Result<Vec<Value>, String> {
    let mut all = log_of(api, "AUDADM").await?;
    for role in ["TL", "FILE", "COM"] {
        if all.iter().all(|item| item["entry"].is_string()) {
            return Ok(all);
        }
        let read = log_of(api, role).await.unwrap_or_default().into_iter();
        let mut read: HashMap<String, Value> =
            read.map(|item| (item["cursor"].to_string(), item)).collect();
        for item in all.iter_mut().filter(|item| !item["entry"].is_string()) {
            if let Some(whole) = read.remove(&item["cursor"].to_string()) {
                *item = whole;
            }
        }
    }
    match all.iter().find(|item| !item["entry"].is_string()) {
        Some(item) => Err(format!("nobody reads {item}")),
        None => Ok(all),
    }
}

async fn log_of(api: &Api, role: &str) -> Result<Vec<Value>, String> {
    let (mut after, mut all) = (String::new(), Vec::new());
    loop {
        let page = api.get(role, &format!("/api/events?limit=1000&after={after}")).await?;
        all.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(all),
        }
    }
}
