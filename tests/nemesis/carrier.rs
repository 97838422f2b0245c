//! The carrier between trays: empties what is put out and brings it, on one disc for
//! all. He loses one parcel in five, brings one in five twice, and one disc in four
//! also, or instead, to the other city.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use messaging::files::Tray;

use super::offices::CITY;
use crate::chance::Chance;

/// A carrier who goes as long as a clone of this is there.
#[derive(Clone)]
pub(crate) struct Carrier {
    /// The folder of each city's trays.
    cities: Arc<Mutex<Vec<PathBuf>>>,
    /// Parcels lost, doubled and brought to the wrong city.
    did: Arc<[AtomicU64; 3]>,
    /// His mistakes are over.
    careful: Arc<AtomicU64>,
}

impl Carrier {
    /// Goes from now on.
    pub(crate) fn new(chance: Chance) -> Self {
        let carrier = Self { cities: Arc::default(), did: Arc::default(), careful: Arc::default() };
        let (cities, did, careful) =
            (Arc::downgrade(&carrier.cities), carrier.did.clone(), carrier.careful.clone());
        tokio::task::spawn_blocking(move || {
            while let Some(cities) = cities.upgrade() {
                let careful = careful.load(Ordering::Relaxed) > 0;
                let now = cities.lock().unwrap();
                Round { cities: &now, chance: &chance, did: &did, careful }.go();
                drop(now);
                drop(cities);
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        carrier
    }

    /// Also goes between the trays below this folder.
    pub(crate) fn serves(&self, trays: &Path) {
        fs::create_dir_all(trays.join(CITY)).unwrap();
        self.cities.lock().unwrap().push(trays.to_owned());
    }

    /// Goes nowhere any more; no disc is on its way when this returns.
    pub(crate) fn rests(&self) {
        self.cities.lock().unwrap().clear();
    }

    /// Makes no mistakes any more.
    pub(crate) fn sobers(&self) {
        self.careful.store(1, Ordering::Relaxed);
    }

    /// How many parcels he lost, doubled and brought to the wrong city.
    pub(crate) fn did(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.did[at].load(Ordering::Relaxed))
    }
}

/// One time round all trays.
struct Round<'a> {
    cities: &'a [PathBuf],
    chance: &'a Chance,
    did: &'a [AtomicU64; 3],
    careful: bool,
}

impl Round<'_> {
    fn go(&self) {
        for (at, city) in self.cities.iter().enumerate() {
            let mut codes: Vec<PathBuf> =
                fs::read_dir(city).unwrap().map(|entry| entry.unwrap().path()).collect();
            codes.retain(|code| code.file_name().is_some_and(|name| name != "disc"));
            for from in self.chance.shuffled(&codes) {
                self.carry(at, &from, &codes);
            }
        }
    }

    /// From one tray to those that it writes to.
    fn carry(&self, city: usize, from: &Path, codes: &[PathBuf]) {
        let disc = self.cities[city].join("disc");
        fs::create_dir_all(&disc).unwrap();
        let carried = Tray::at(from).unwrap().carry_out(&disc, "").unwrap();
        let parcels: Vec<String> =
            carried.into_iter().filter(|name| name.ends_with(".parcel")).collect();
        for name in &parcels {
            match self.chance.below(5) {
                _ if self.careful => {}
                0 => {
                    fs::remove_file(disc.join(name)).unwrap();
                    self.did[0].fetch_add(1, Ordering::Relaxed);
                }
                1 => {
                    fs::copy(disc.join(name), disc.join(format!("{name}2.parcel"))).unwrap();
                    self.did[1].fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        let from_city = from.ends_with(CITY);
        let right = |code: &&PathBuf| code.ends_with(CITY) != from_city;
        let mut only_wrong = false;
        if !self.careful && !parcels.is_empty() && self.chance.once_in(4) {
            only_wrong = self.chance.once_in(2);
            self.did[2].fetch_add(parcels.len() as u64, Ordering::Relaxed);
            for wrong in self.cities.iter().filter(|other| **other != self.cities[city]) {
                for code in fs::read_dir(wrong).unwrap() {
                    let code = code.unwrap().path();
                    if code.file_name().is_some_and(|name| name != "disc") {
                        Tray::at(&code).unwrap().carry_in(&disc, "").unwrap();
                    }
                }
            }
        }
        for to in codes.iter().filter(right).filter(|_| !only_wrong) {
            Tray::at(to).unwrap().carry_in(&disc, "").unwrap();
        }
        fs::remove_dir_all(&disc).unwrap();
    }
}
