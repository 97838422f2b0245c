//! Ports of tests: below those that outgoing connections get, so that an office that was
//! down for a moment finds its own again, and none given to two processes.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    ops::Range,
    sync::Mutex,
};

use rustix::process::getuid;

/// Above those that `./deploy/up` asks for, below those of outgoing connections.
const OURS: Range<u16> = 20_000..32_700;

/// Locked as long as this process lives.
static HELD: Mutex<Vec<(u16, File)>> = Mutex::new(Vec::new());

/// A port that nobody else uses or is given as long as this process lives.
pub fn port() -> u16 {
    let folder = env::temp_dir().join(format!("liandong-ports-{}", getuid().as_raw()));
    fs::create_dir_all(&folder).unwrap();
    let mut held = HELD.lock().unwrap();
    // Elsewhere than the process before, whose clients may still be calling.
    let own = std::process::id().wrapping_mul(2_654_435_761) % u32::from(OURS.end - OURS.start);
    let own = OURS.start + u16::try_from(own).unwrap();
    let from = held.last().map_or(own, |(last, _)| last + 1);
    for port in (from..OURS.end).chain(OURS.start..from) {
        let lock = File::create(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            held.push((port, lock));
            return port;
        }
    }
    panic!("every port of {OURS:?} is in use");
}
