//! The two carriers that answer: nats-server behind a proxy, and the hub in memory
//! with the links of the simulation.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use event_store::{Office, Setting};
use kernel::{OfficeId, Tier};
use messaging::{
    directory::DirectoryView,
    ingest::Ingest,
    link::{Hub, Link},
    memory::{Memory, State},
    nats::{
        connection::Connection,
        history::create_streams,
        provision::{self, HubKeys, HubPlace},
    },
};
use testkit::{TestStore, setting};
use tokio::{process::Child, task::JoinHandle};

use super::{Carrier, Line, Soon, city};
use crate::{
    proxy::{Proxy, Way, Weather},
    simulation::link::{Mood, Moody},
};

/// The city's ingest on an empty store, with the hub it publishes to.
async fn ingest(store: &TestStore, hub: Arc<dyn Hub>) -> Arc<Ingest> {
    let office = Office::open(Setting {
        office: city(),
        tier: Tier::City,
        enrolled_below: None,
        bindings: domain::binding::bindings,
        views: Arc::new([Arc::new(DirectoryView)]),
        ..setting(store)
    });
    Arc::new(Ingest::new(office.await.unwrap(), hub, store.folder().join("grants")))
}

/// The hub in memory.
pub struct InMemory {
    hub: Memory,
    ingest: Arc<Ingest>,
    mood: Arc<Mood>,
    kept: Mutex<State>,
    _store: TestStore,
}

impl InMemory {
    /// An empty hub.
    pub async fn new() -> Self {
        let (hub, store, mood) =
            (Memory::default(), TestStore::sqlite(), Arc::new(Mood::default()));
        mood.mend();
        let ingest = ingest(&store, Arc::new(hub.clone())).await;
        Self { hub, ingest, mood, kept: Mutex::default(), _store: store }
    }
}

impl Carrier for InMemory {
    fn hub(&self) -> Arc<dyn Hub> {
        Arc::new(self.hub.clone())
    }

    fn link(&self, _: OfficeId) -> Soon<'_, Arc<dyn Link>> {
        let ingest = Arc::new(Mutex::new(Some(self.ingest.clone())));
        let link = Moody { hub: self.hub.clone(), ingest, mood: self.mood.clone() };
        Box::pin(async move { Arc::new(link) as Arc<dyn Link> })
    }

    fn set(&self, line: Line) {
        self.mood.set(line == Line::Cut, line == Line::Deaf);
    }

    fn keep(&self) -> Soon<'_, ()> {
        Box::pin(async { *self.kept.lock().unwrap() = self.hub.copy() })
    }

    fn put_back(&self) -> Soon<'_, ()> {
        Box::pin(async { self.hub.put_back(self.kept.lock().unwrap().clone()) })
    }
}

/// nats-server as it is provisioned for a city; its offices come through a proxy.
pub struct OverNats {
    folder: PathBuf,
    server: Mutex<Option<Child>>,
    proxy: Proxy,
    keys: HubKeys,
    hub: Connection,
    answering: JoinHandle<()>,
    _store: TestStore,
}

impl OverNats {
    /// An empty hub.
    pub async fn new() -> Self {
        let store = TestStore::sqlite();
        let folder = store.folder().with_extension("hub");
        fs::create_dir_all(&folder).unwrap();
        let port = crate::ports::port();
        let (keys, listen) = (HubKeys::generate(), format!("127.0.0.1:{port}"));
        let jets = folder.join("store").display().to_string();
        let place = HubPlace { name: "conformance", listen: &listen, store: &jets, routes: &[] };
        fs::write(folder.join("conf"), provision::hub_config(&keys, &place, None, &[], 1).unwrap())
            .unwrap();
        let server = Mutex::new(Some(serve(&folder)));
        let (url, proxy) = (format!("nats://{listen}"), Proxy::to(port).await);
        let provisioner = provision::provision_user(&keys, 1).unwrap();
        let mut provisioner =
            Connection::open(&url, "provision", &provisioner.creds, None).await.unwrap();
        provisioner.ready().await.unwrap();
        create_streams(&provisioner, 1).await.unwrap();
        let user = provision::ingest_user(&keys, 1).unwrap();
        let mut hub = Connection::open(&url, "ingest", &user.creds, None).await.unwrap();
        hub.ready().await.unwrap();
        let ingest = ingest(&store, Arc::new(hub.clone())).await;
        let answering = tokio::spawn(answer(ingest, hub.clone()));
        Self { folder, server, proxy, keys, hub, answering, _store: store }
    }

    async fn stop(&self) {
        let server = self.server.lock().unwrap().take();
        server.unwrap().kill().await.unwrap();
    }

    /// Starts again what was stopped, and waits until the hub's end is there.
    async fn start(&self) {
        *self.server.lock().unwrap() = Some(serve(&self.folder));
        super::healed(|| self.hub.last(messaging::link::Stream::History, ">")).await;
    }
}

fn serve(folder: &std::path::Path) -> Child {
    let program =
        std::env::var("LIANDONG_NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    tokio::process::Command::new(program)
        .arg("-c")
        .arg(folder.join("conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("nats-server is missing: run ./deploy/test")
}

async fn answer(ingest: Arc<Ingest>, link: Connection) {
    let mut requests = link.requests().await.unwrap();
    while let Some(request) = requests.next().await {
        let office = super::office(request.office());
        let answer = ingest.answer(&office, &request.body).await;
        request.answer(&link, serde_json::to_vec(&answer).unwrap()).await;
    }
}

impl Carrier for OverNats {
    fn hub(&self) -> Arc<dyn Hub> {
        Arc::new(self.hub.clone())
    }

    fn link(&self, office: OfficeId) -> Soon<'_, Arc<dyn Link>> {
        Box::pin(async move {
            let (seed, public) = provision::office_key().unwrap();
            let (role, account) = (&self.keys.office_role, &self.keys.offices);
            let jwt = provision::office_jwt(role, account, office.as_str(), &public, 1).unwrap();
            let creds = provision::creds_text(&jwt, &seed);
            let url = format!("nats://127.0.0.1:{}", self.proxy.port);
            let mut link = Connection::open(&url, office.as_str(), &creds, None).await.unwrap();
            link.ready().await.unwrap();
            Arc::new(link) as Arc<dyn Link>
        })
    }

    fn set(&self, line: Line) {
        match line {
            Line::Cut => self.proxy.cut(),
            Line::Deaf => self.proxy.set(Weather::Swallow(Way::ToOffice)),
            // What lost bytes breaks first.
            Line::Whole => {
                self.proxy.cut();
                let proxy = self.proxy.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    proxy.heal();
                });
            }
        }
    }

    fn keep(&self) -> Soon<'_, ()> {
        Box::pin(async {
            self.stop().await;
            crate::nemesis::copy(&self.folder.join("store"), &self.folder.join("kept"));
            self.start().await;
        })
    }

    fn put_back(&self) -> Soon<'_, ()> {
        Box::pin(async {
            self.stop().await;
            crate::nemesis::copy(&self.folder.join("kept"), &self.folder.join("store"));
            self.start().await;
        })
    }
}

impl Drop for OverNats {
    fn drop(&mut self) {
        self.answering.abort();
        // The server is killed with its handle; its files may go before it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
