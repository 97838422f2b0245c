//! 配置 What the configuration file says of an office.

use std::{path::PathBuf, time::Duration};

use event_store::Engine;
use kernel::OfficeId;
use messaging::files::JOURNEY;
use serde::{Deserialize, Serialize};
use web::{Classification, Wire, openid::OpenIdConfig};

/// One office, as its configuration names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficeConfig {
    /// Where it serves HTTP, `127.0.0.1:8401`.
    pub listen: String,
    /// The folder of its whole store.
    pub data: PathBuf,
    /// The folder of its keys, outside the data folder.
    pub keys: PathBuf,
    /// The city's address, `http://127.0.0.1:8400`.
    pub city: String,
    /// `postgres://…`; without it the store is SQLite in the data folder.
    #[serde(default)]
    pub postgres: Option<String>,
    /// The enrolment token, needed at the first start only.
    #[serde(default)]
    pub token: Option<String>,
    /// At the city's first start: what it is.
    #[serde(default)]
    pub founding: Option<Founding>,
    /// The hub's address, if it is not the one given at enrolment; of a cluster all
    /// three, with commas between them. The city's then keep everything three times.
    #[serde(default)]
    pub hub: Option<String>,
    /// The folder of the link by files, `out` and `in`: beside the hub at the city, else instead.
    #[serde(default)]
    pub files: Option<PathBuf>,
    /// Seconds that a journey of these files may take before they are sent again; 6 hours.
    #[serde(default)]
    pub files_journey: Option<u64>,
    /// Where a demo office's clock starts, RFC 3339.
    #[serde(default)]
    pub clock: Option<String>,
    /// Who is registered at the first start.
    #[serde(default)]
    pub people: Vec<FirstPerson>,
    /// Certificates, proxies and paces.
    #[serde(default)]
    pub wire: Wire,
    /// What is above this classification does not enter: only internal content does, if
    /// nothing is said.
    #[serde(default)]
    pub ceiling: Classification,
    /// The house that says who somebody is, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenIdConfig>,
    /// A file with the vault's passphrase: a systemd credential, or `/dev/fd/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_passphrase: Option<PathBuf>,
    /// The verifier keys of witnesses that are no offices, `auditor/witness+…`: their word
    /// on the log is kept as that of the offices is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside_witnesses: Vec<String>,
}

impl OfficeConfig {
    /// Where the store of this configuration lies.
    pub fn engine(&self, office: &OfficeId) -> Engine {
        match &self.postgres {
            Some(url) => Engine::Postgres { url: url.clone(), schema: format!("office_{office}") },
            None => Engine::Sqlite(self.data.clone()),
        }
    }

    /// How long a journey of files may take.
    pub fn journey(&self) -> Duration {
        self.files_journey.map_or(JOURNEY, Duration::from_secs)
    }
}

/// What a city is founded as.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founding {
    /// The division's code.
    pub code: String,
    /// The name.
    pub name: String,
    /// Whether it is a demo city, for ever.
    pub demo: bool,
}

/// A person registered at the first start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstPerson {
    /// The account.
    pub account: String,
    /// What the screens show.
    pub display: String,
    /// The roles.
    pub roles: Vec<String>,
}
