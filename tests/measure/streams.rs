//! What the first command on a long stream waits for: the fold from its first event, and
//! the same from its snapshot.

use std::time::{Duration, Instant};

use domain::directory::{Command, Directory, Member, Seat};
use event_store::{Act, Answer, Office, StoreError, Unit, act};
use kernel::{
    OfficeId, Timestamp,
    id::Tier,
    sign::{EventKey, Hash},
};
use testkit::TestStore;

use crate::{ms, say};

const CITY: &str = "dddddddd";

fn seat(office: &str, tier: Tier, parent: Option<&str>) -> Seat {
    let office = OfficeId::parse(office).unwrap();
    let parent = parent.and_then(OfficeId::parse);
    Seat { office, tier, parent, code: "370100".into(), name: "济南市".into() }
}

/// Founds the city, or makes these numbered tokens.
fn inviting(from: u64, to: u64) -> Act {
    act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let key = EventKey::from_seed(&[1; 32]).ok_or(kernel::Code::Internal)?.public();
            let city = Member { seat: seat(CITY, Tier::City, None), key, epoch: 1, key_from: 1 };
            unit.execute::<Directory>(CITY, Command::Found { city, demo: true }).await?;
            for number in from..to {
                let seat = seat("eeeeeeee", Tier::District, Some(CITY));
                let token = Hash::of(&[&number.to_be_bytes()]);
                let ask = Command::Invite { seat, token, expires: Timestamp(i64::MAX) };
                unit.execute::<Directory>(CITY, ask).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    })
}

async fn open(store: &TestStore) -> Office {
    loop {
        let setting = event_store::Setting {
            tier: Tier::City,
            bindings: domain::binding::bindings,
            ..testkit::setting(store)
        };
        match Office::open(setting).await {
            Ok(office) => return office,
            Err(StoreError::Fenced) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The first command after a start, on a stream of this length.
async fn first_command(store: &TestStore, number: u64) -> Duration {
    let office = open(store).await;
    let began = Instant::now();
    office.system(inviting(number, number + 1)).await.unwrap();
    began.elapsed()
}

/// Measures at each of these lengths.
pub(crate) async fn measure(lengths: &[u64]) {
    for &length in lengths {
        let store = TestStore::sqlite();
        let office = open(&store).await;
        let mut at = 0;
        while at < length {
            let to = (at + 500).min(length);
            office.system(inviting(at, to)).await.unwrap();
            at = to;
        }
        drop(office);
        let folded = first_command(&store, length).await;
        let kept = first_command(&store, length + 1).await;
        say(&format!(
            "directory of {length} events, first command after a start: {} from its first event, {} the second time",
            ms(folded),
            ms(kept)
        ));
    }
}
