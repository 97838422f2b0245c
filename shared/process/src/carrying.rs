//! Carrying parcels between an office's tray and a disc, or the folder of a gate.

use std::path::Path;

use desks::{
    config::OfficeConfig,
    joining::{MEMBERSHIP, Membership},
};
use messaging::{files::Tray, keys::Keys};

use crate::{Failed, write_out};

/// Which way.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Way {
    /// From the office to the medium.
    Out,
    /// From the medium to the office.
    In,
}

/// Carries everything that is to be carried, and says what.
pub(crate) fn carry(
    config: &OfficeConfig,
    way: Way,
    medium: &Path,
    office: &str,
) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed(3, format!("{}: {error}", medium.display()));
    let Some(folder) = &config.files else {
        return Err(Failed(2, "this office is not configured for files".to_owned()));
    };
    let tray = Tray::at(folder).map_err(failed)?;
    let carried = match way {
        Way::Out => tray.carry_out(medium, office),
        Way::In => {
            let keys = Keys::at(&config.keys).map_err(failed)?;
            let membership: Option<Membership> = keys.read(MEMBERSHIP).map_err(failed)?;
            let office = membership.map(|known| known.seat.office.to_string());
            tray.carry_in(medium, &office.unwrap_or_default())
        }
    };
    for name in carried.map_err(failed)? {
        write_out(&format!("{name}\n"));
    }
    Ok(())
}
