//! Stores for tests: a fresh folder, or a fresh schema of the test server.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use event_store::{Engine, Readers, Setting};
use kernel::{
    Clock, Entropy, OfficeId, Tier,
    sign::{EventKey, Ring},
};

/// A store that is removed when the test ends.
pub struct TestStore {
    /// Where it lies.
    pub engine: Engine,
    folder: Option<PathBuf>,
}

static NEXT: AtomicU32 = AtomicU32::new(1);

fn fresh_name() -> String {
    format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

impl TestStore {
    /// A folder of its own.
    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("liandong-{}", fresh_name()));
        Self { engine: Engine::Sqlite(folder.clone()), folder: Some(folder) }
    }

    /// A schema of its own on the server of `LIANDONG_TEST_POSTGRES`, which
    /// `./deploy/test` starts. Without it the test fails: it does not skip.
    pub fn postgres() -> Self {
        let url = std::env::var("LIANDONG_TEST_POSTGRES")
            .expect("LIANDONG_TEST_POSTGRES is not set: run ./deploy/test");
        Self { engine: Engine::Postgres { url, schema: fresh_name() }, folder: None }
    }

    /// The folder of a SQLite store.
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(Path::new("/nonexistent"))
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// An office id from any 8 letters.
pub fn office_id(text: &str) -> OfficeId {
    OfficeId::parse(text).expect("8 letters or digits")
}

/// A district `dddddddd` below the city `cccccccc` without views and rules.
pub fn setting(store: &TestStore) -> Setting {
    Setting {
        office: office_id("dddddddd"),
        tier: Tier::District,
        enrolled_below: Some(office_id("cccccccc")),
        city: office_id("cccccccc"),
        engine: store.engine.clone(),
        key: Arc::new(Ring::of(EventKey::from_seed(&[4; 32]).expect("32 bytes"))),
        turns: |_| None,
        dated: &[],
        clock: Arc::new(Clock::Wall),
        entropy: Arc::new(Entropy::System),
        bindings: |_| None,
        views: Arc::new([]),
        reactions: Arc::new([]),
        readers: Readers::new(4),
    }
}
