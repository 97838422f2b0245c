//! A new life of the office's own log, begun once the city has opened it.
//!
//! What a reader would get wrong: nothing is decided here. The city has said behind
//! which entry the new life begins; the office begins it as soon as its log stands
//! exactly there, and until then it records nothing.

use domain::{
    directory::Opening,
    office::{Command, Standing},
};
use event_store::{Answer, Office, Unit, act, log};
use kernel::sign::{Hash, PublicKey};
use serde::{Deserialize, Serialize};

use crate::keys::Keys;

/// The name of the file in the key folder.
pub const NEXT_LIFE: &str = "next-life.json";

/// What the city answered to an office that asked for a new life of its log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NextLife {
    /// What was opened.
    pub opening: Opening,
    /// What the hub held of the log then: the last sequence, the hash of its item as
    /// it lies there, and of the entry inside. An office that lost its keys cannot make
    /// the item again.
    pub held: (u64, Hash, Hash),
    /// The keys that the office had before, by which its log is proved.
    pub before: Vec<PublicKey>,
}

impl NextLife {
    /// Whether the item that the hub holds last is the one that it held then, and the
    /// own log holds the entry inside.
    pub(crate) fn vouches(&self, sequence: u64, item: Hash, own: Hash) -> bool {
        self.held == (sequence, item, own)
    }
}

/// What the office keeps of the life that the city has opened last, if any.
pub fn next(keys: &Keys) -> std::io::Result<Option<NextLife>> {
    keys.read(NEXT_LIFE)
}

/// What became of the life that the city has opened last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// There is none, or it goes on since long.
    None,
    /// It began just now.
    Now,
    /// The log does not stand where the one before was closed: it records nothing.
    Waits,
}

/// Begins the life that the city has opened, if the log stands where the one before
/// was closed.
pub async fn begin(office: &Office, keys: &Keys) -> Result<Begun, String> {
    let Some(NextLife { opening, .. }) = next(keys).map_err(|error| error.to_string())? else {
        return Ok(Begun::None);
    };
    let (epoch, key, closed) = (opening.member.epoch, opening.member.key, opening.closed);
    let parent = opening.member.seat.parent;
    let sent = keys.sent_up_to().map_err(|error| error.to_string())?;
    // What was begun and sent once is not begun in another way: it is fetched back.
    if office.life().epoch >= epoch || sent.is_some_and(|sent| sent.epoch >= epoch) {
        return Ok(Begun::None);
    }
    if office.head() != closed.sequence {
        return Ok(Begun::Waits);
    }
    if closed.sequence > 0 {
        let mut reader = office.reader().await.map_err(|error| error.to_string())?;
        let own = log::own_at(&mut reader, closed.sequence).await;
        let own = own.map_err(|error| error.to_string())?;
        if own.is_none_or(|own| own.hash != closed.hash) {
            tracing::error!(office = %office.setting().office, "the log does not end where the city has closed it");
            return Ok(Begun::Waits);
        }
    }
    let beginning = act(move |unit: &mut Unit<'_>| {
        let parent = parent.clone();
        Box::pin(async move {
            let (id, city) = (unit.setting().office.to_string(), unit.setting().city.clone());
            unit.begin_epoch(epoch, &key);
            unit.execute::<Standing>(&id, Command::Begin { epoch, closed }).await?;
            if let Some(parent) = parent {
                // Of a move that is in the lost part the city knows.
                unit.execute::<Standing>(&id, Command::Move { city, parent }).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    office.recover(beginning).await.map_err(|refusal| refusal.to_string())?;
    tracing::warn!(office = %office.setting().office, epoch, "a new life of this log has begun");
    Ok(Begun::Now)
}
