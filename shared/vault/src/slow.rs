//! Argon2id whose memory is used again: 19 MiB that every thread takes and lets go of would
//! stay with the process, so much for each thread that ever saw a password.

use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Memory that waits to be used again; wiped.
static ROOMS: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());
/// How many wait at most.
const MOST: usize = 2;

/// Derives `out` from a secret and a salt of 8 bytes or more; nothing if the parameters do
/// not allow it. Takes some ten milliseconds of a core: not on an async thread.
pub fn argon2id(secret: &[u8], salt: &[u8], params: Params, out: &mut [u8]) -> Option<()> {
    let rooms = || ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut room = rooms().pop().unwrap_or_default();
    room.resize(params.block_count(), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = argon2.hash_password_into_with_memory(secret, salt, out, &mut room);
    room.fill(Block::default());
    let mut rooms = rooms();
    if rooms.len() < MOST {
        rooms.push(room);
    }
    done.ok()
}
