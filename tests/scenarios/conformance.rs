//! The hub on NATS and the hub in memory keep the same rules (`tests/conformance`).

use std::{future::Future, sync::Arc};

use tests::conformance::{Carrier, InMemory, OverNats, RULES};
use tokio::{sync::Semaphore, task::JoinSet};

/// Tries every rule on a carrier of its own, a few at a time, and names all that break.
async fn keeps_every_rule<C, F>(new: fn() -> F)
where
    C: Carrier + 'static,
    F: Future<Output = C> + Send + 'static,
{
    let (room, mut trying) = (Arc::new(Semaphore::new(6)), JoinSet::new());
    for &(name, rule) in RULES {
        let room = room.clone();
        trying.spawn(async move {
            let _place = room.acquire().await.unwrap();
            let carrier: Arc<dyn Carrier> = Arc::new(new().await);
            let kept = tokio::spawn(async move { rule(&*carrier).await }).await;
            kept.err().map(|_| name)
        });
    }
    let broken: Vec<&str> = trying.join_all().await.into_iter().flatten().collect();
    assert!(broken.is_empty(), "of {} rules broken: {broken:#?}", RULES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_on_nats_keeps_every_rule_of_the_link() {
    keeps_every_rule(OverNats::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_in_memory_keeps_every_rule_of_the_link() {
    keeps_every_rule(InMemory::new).await;
}
