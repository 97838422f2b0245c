//! The township office: rectifies what was fed back to it and its villages, and
//! files with its district.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use desks::{running::Service, tiers};
use event_store::View;
use kernel::{OfficeId, id::Tier};
use process::Arguments;
use web::Route;

fn views(office: &OfficeId) -> Vec<Arc<dyn View>> {
    tiers::common_views(office)
}

fn routes() -> Vec<Route> {
    let mut routes = tiers::common_routes();
    routes.extend(tiers::filing_routes());
    routes
}

fn main() -> ExitCode {
    process::run(Service { tier: Tier::Township, views, routes }, Arguments::parse())
}
