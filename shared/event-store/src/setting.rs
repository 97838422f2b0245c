//! What makes an office the office it is.

use std::sync::Arc;

use kernel::{Bindings, Clock, Entropy, Fact, OfficeId, Tier, Turn, sign::Ring};

use crate::{Engine, Reaction, Readers, View};

/// An office's identity, its store and its desks' folds and rules.
#[derive(Clone)]
pub struct Setting {
    /// The office.
    pub office: OfficeId,
    /// Its tier.
    pub tier: Tier,
    /// The office that it was enrolled below; it may have moved since, see
    /// [`Standpoint::parent`].
    pub enrolled_below: Option<OfficeId>,
    /// The city of its history.
    pub city: OfficeId,
    /// Where its store lies.
    pub engine: Engine,
    /// The keys that sign its entries.
    pub key: Arc<Ring>,
    /// What this own fact changes for the entries after it.
    pub turns: fn(&Fact) -> Option<Turn>,
    /// Its clock.
    pub clock: Arc<Clock>,
    /// Its randomness.
    pub entropy: Arc<Entropy>,
    /// How far each event type may travel.
    pub bindings: Bindings,
    /// The families of facts that say themselves from which day on they hold.
    pub dated: &'static [&'static str],
    /// Its projections.
    pub views: Arc<[Arc<dyn View>]>,
    /// Its rules "on this event, issue that command".
    pub reactions: Arc<[Reaction]>,
    /// The reading connections, shared by the process.
    pub readers: Readers,
}

/// Where an office stands in the tree at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standpoint {
    /// The office.
    pub office: OfficeId,
    /// Its tier.
    pub tier: Tier,
    /// The office it reports to.
    pub parent: Option<OfficeId>,
    /// The city of its history.
    pub city: OfficeId,
}

impl Setting {
    pub(crate) fn below(&self, parent: Option<OfficeId>) -> Standpoint {
        let (office, city) = (self.office.clone(), self.city.clone());
        Standpoint { office, tier: self.tier, parent, city }
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting").field("office", &self.office).finish_non_exhaustive()
    }
}
