//! The certificates view: which certificate stands for whom.

use domain::certificate::Event;
use event_store::{FoldError, Rows, View};
use kernel::Fact;
use serde::{Deserialize, Serialize};

/// Certificates by fingerprint.
pub const CERTIFICATES: &str = "certificates";

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRow {
    /// Whose it is.
    pub person: String,
    /// Whether it was ended.
    pub ended: bool,
    /// The stream's version.
    pub version: u64,
}

/// Folds certificates.
#[derive(Debug)]
pub struct CertificatesView;

impl View for CertificatesView {
    fn name(&self) -> &'static str {
        CERTIFICATES
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "certificate" {
            return Ok(());
        }
        let Some((_, fingerprint)) = fact.stream.split_once('/') else { return Ok(()) };
        let (person, ended) = match fact.read()? {
            Event::Bound { person } => (person, false),
            Event::Ended { person } => (person, true),
        };
        let row = CertificateRow { person, ended, version: fact.version.unwrap_or(0) };
        rows.put(CERTIFICATES, fingerprint, &row)
    }
}
