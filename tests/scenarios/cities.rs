//! Offices on NATS and on files in two cities, and a carrier who loses, doubles and
//! mixes up their discs. `nemesis --cities` does the same for as long as one likes.

use std::time::Duration;

use tests::nemesis::two_cities;

#[tokio::test(flavor = "multi_thread")]
async fn two_cities_on_nats_and_files_end_with_equal_views_and_nothing_of_each_other() {
    let outcome = two_cities(21, Duration::from_secs(8), |said| println!("{said}")).await;
    assert!(outcome.violations.is_empty(), "{}", outcome.table());
    assert!(outcome.tallies["two-cities"].acknowledged > 100, "{}", outcome.table());
}
