//! How the hub's word on what it holds fits the own log, and whether the office may
//! record before the hub has said anything.

use event_store::{Office, StoreError, log};
use kernel::{entry, sign::Hash};

use crate::{keys::Keys, lives, relay::wire};

/// How the hub's word on what it holds fits the own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is a beginning of it.
    Fits,
    /// The hub holds more.
    More,
    /// The hub holds another entry at the same place.
    Other,
    /// It fits, but the log is behind what the office noted before it sent.
    Behind,
}

/// Holds the hub's word on the last sequence and its hash against the own log.
pub(crate) async fn fits(
    office: &Office,
    keys: &Keys,
    sealing: &[u8; 32],
    sequence: u64,
    hash: Hash,
) -> Result<Fit, StoreError> {
    if sequence > office.head() {
        return Ok(Fit::More);
    }
    if sequence > 0 {
        let own = log::own_at(&mut office.reader().await?, sequence).await?;
        let Some(own) = own else { return Ok(Fit::Other) };
        let sent = wire(&own, office.setting(), sealing)?;
        let vouched = lives::next(keys).map_err(|error| StoreError::Unfit(error.to_string()))?;
        let vouched = vouched.is_some_and(|next| next.vouches(sequence, hash, own.hash));
        if entry::hash(&sent) != hash && !vouched {
            return Ok(Fit::Other);
        }
    }
    Ok(if behind(office, keys).await? { Fit::Behind } else { Fit::Fits })
}

/// Whether the office must not record before the hub has answered: its log is
/// behind what it noted, or what it noted is gone while there is a log.
pub async fn unsure(office: &Office, keys: &Keys) -> Result<bool, StoreError> {
    let noted = keys.sent_up_to().map_err(|error| StoreError::Unfit(error.to_string()))?;
    match noted {
        None => Ok(office.head() > 0),
        Some(_) => behind(office, keys).await,
    }
}

/// Whether the log is behind what the office noted before it sent.
async fn behind(office: &Office, keys: &Keys) -> Result<bool, StoreError> {
    let sent = keys.sent_up_to().map_err(|error| StoreError::Unfit(error.to_string()))?;
    let Some(sent) = sent else { return Ok(false) };
    // What was noted in a life that is closed says nothing of this one.
    if sent.epoch < office.life().epoch {
        return Ok(false);
    }
    if sent.sequence > office.head() || sent.epoch > office.life().epoch {
        return Ok(true);
    }
    let own = log::own_at(&mut office.reader().await?, sent.sequence).await?;
    Ok(own.is_none_or(|own| own.hash != sent.hash))
}
