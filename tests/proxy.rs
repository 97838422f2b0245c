//! A TCP proxy with weather: it cuts, swallows, delays, drips, truncates and resets.
//!
//! What a reader would get wrong: a connection that lost bytes must never carry
//! others again. It stays dead until one of its ends gives it up, as on a real
//! network; only connections made after the weather changed are whole.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::chance::Chance;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the office to the hub.
    ToHub,
    /// From the hub to the office: answers and deliveries.
    ToOffice,
}

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They arrive.
    Fair,
    /// Connections end and none is taken.
    Cut,
    /// Those of one way vanish; both ends believe in the connection.
    Swallow(Way),
    /// All vanish; both ends believe in the connections that stand.
    HalfOpen,
    /// Each piece comes late, by up to twice so many milliseconds.
    Slow(u64),
    /// They come in pieces of a few bytes.
    Drip,
    /// One more piece comes by half, then the connection ends.
    Truncate,
    /// The connection is reset.
    Reset,
    /// Each connection ends when it has carried so many bytes, or up to a quarter fewer.
    CutAfter(u64),
}

impl Weather {
    fn swallows(self, way: Way) -> bool {
        self == Self::HalfOpen || self == Self::Swallow(way)
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A proxy on a port of its own.
#[derive(Clone)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    weather: Arc<watch::Sender<Weather>>,
    swallowed: Arc<AtomicU64>,
    carried: [Arc<AtomicU64>; 2],
    heard: Arc<OnceLock<PathBuf>>,
}

impl Proxy {
    /// Forwards to `target` from now on.
    pub async fn to(target: u16) -> Self {
        Self::seeded(target, 1).await
    }

    /// The same; what is random in its weather comes from the seed.
    pub async fn seeded(target: u16, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, now) = watch::channel(Weather::Fair);
        let swallowed = Arc::new(AtomicU64::new(0));
        let counter = swallowed.clone();
        let carried = [Arc::default(), Arc::default()];
        let carrying = carried.clone();
        let heard = Arc::<OnceLock<PathBuf>>::default();
        let hearing = heard.clone();
        tokio::spawn(async move {
            let chance = Chance::new(seed);
            while let Ok((inside, _)) = listener.accept().await {
                let line = Line {
                    now: now.clone(),
                    chance: chance.part(),
                    swallowed: counter.clone(),
                    carried: carrying.clone(),
                    own: Arc::default(),
                    heard: hearing.clone(),
                };
                tokio::spawn(line.carry(inside, target));
            }
        });
        Self { port, weather: Arc::new(weather), swallowed, carried, heard }
    }

    /// Writes down from now on what it carries: a file below this folder for each way of
    /// each connection.
    pub fn listen_in(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        self.heard.set(folder.join(self.port.to_string())).unwrap();
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Ends every connection and takes no more.
    pub fn cut(&self) {
        self.set(Weather::Cut);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.set(Weather::Fair);
    }

    /// How many bytes vanished so far.
    pub fn swallowed(&self) -> u64 {
        self.swallowed.load(Ordering::Relaxed)
    }

    /// How many bytes arrived that way.
    pub fn carried(&self, way: Way) -> u64 {
        self.carried[way as usize].load(Ordering::Relaxed)
    }
}

/// One connection.
struct Line {
    now: watch::Receiver<Weather>,
    chance: Chance,
    swallowed: Arc<AtomicU64>,
    carried: [Arc<AtomicU64>; 2],
    /// What this one has carried, both ways.
    own: Arc<AtomicU64>,
    heard: Arc<OnceLock<PathBuf>>,
}

impl Line {
    async fn carry(self, inside: TcpStream, target: u16) {
        if *self.now.borrow() == Weather::Cut {
            return;
        }
        let Ok(outside) = TcpStream::connect(("127.0.0.1", target)).await else { return };
        let (_, _) = (inside.set_nodelay(true), outside.set_nodelay(true));
        let (from_office, to_office) = inside.into_split();
        let (from_hub, to_hub) = outside.into_split();
        let mut ending = self.now.clone();
        let (out, back) = (self.pump(Way::ToHub), self.pump(Way::ToOffice));
        tokio::select! {
            () = out.run(from_office, to_hub) => {}
            () = back.run(from_hub, to_office) => {}
            _ = ending.wait_for(|weather| *weather == Weather::Cut) => {}
        }
    }

    fn pump(&self, way: Way) -> Pump {
        let (now, chance) = (self.now.clone(), self.chance.part());
        Pump {
            way,
            now,
            chance,
            lost: false,
            swallowed: self.swallowed.clone(),
            carried: self.carried[way as usize].clone(),
            own: self.own.clone(),
            heard: self.heard.clone(),
            written: OnceLock::new(),
        }
    }
}

/// One way of one connection.
struct Pump {
    way: Way,
    now: watch::Receiver<Weather>,
    chance: Chance,
    /// Whether bytes of it vanished: then all that follow vanish too.
    lost: bool,
    swallowed: Arc<AtomicU64>,
    carried: Arc<AtomicU64>,
    own: Arc<AtomicU64>,
    heard: Arc<OnceLock<PathBuf>>,
    written: OnceLock<fs::File>,
}

impl Pump {
    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
            let weather = *self.now.borrow();
            self.lost |= weather.swallows(self.way);
            if self.lost {
                self.swallowed.fetch_add(read as u64, Ordering::Relaxed);
                continue;
            }
            if self.pass(weather, &buffer[..read], &mut to).await.is_none() {
                if weather == Weather::Reset {
                    // What is closed with no time to linger says so by a reset.
                    let _ = to.as_ref().set_zero_linger();
                }
                return;
            }
        }
    }

    /// Passes a piece on; `None` if the connection ends here.
    async fn pass(&self, weather: Weather, piece: &[u8], to: &mut OwnedWriteHalf) -> Option<()> {
        match weather {
            Weather::Cut | Weather::Reset => return None,
            Weather::Truncate => {
                self.write(&piece[..piece.len() / 2], to).await?;
                return None;
            }
            Weather::CutAfter(most) => {
                let most = most - self.chance.below(most / 4 + 1);
                let left = most.saturating_sub(self.own.load(Ordering::Relaxed));
                let part = usize::try_from(left).unwrap().min(piece.len());
                self.write(&piece[..part], to).await?;
                return (part == piece.len()).then_some(());
            }
            Weather::Slow(most) => {
                tokio::time::sleep(Duration::from_millis(self.chance.below(2 * most + 1))).await;
            }
            Weather::Drip => {
                let mut rest = piece;
                while !rest.is_empty() {
                    let few = usize::try_from(1 + self.chance.below(64)).unwrap().min(rest.len());
                    self.write(&rest[..few], to).await?;
                    tokio::task::yield_now().await;
                    rest = &rest[few..];
                }
                return Some(());
            }
            Weather::Fair | Weather::Swallow(_) | Weather::HalfOpen => {}
        }
        self.write(piece, to).await
    }

    async fn write(&self, piece: &[u8], to: &mut OwnedWriteHalf) -> Option<()> {
        if let Some(path) = self.heard.get() {
            let new = || {
                let name = format!("{}-{}", path.display(), NEXT.fetch_add(1, Ordering::Relaxed));
                fs::File::create(name).unwrap()
            };
            let mut file = self.written.get_or_init(new);
            file.write_all(piece).unwrap();
        }
        to.write_all(piece).await.ok()?;
        for count in [&self.carried, &self.own] {
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        Some(())
    }
}
