//! The district office: inspects its own targets and villages, files with the
//! city, reviews what its townships file.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use desks::{results::ReportedView, running::Service, tiers};
use event_store::View;
use kernel::{OfficeId, id::Tier};
use process::Arguments;
use web::Route;

fn views(office: &OfficeId) -> Vec<Arc<dyn View>> {
    let mut views = tiers::common_views(office);
    views.push(Arc::new(ReportedView { office: office.clone() }));
    views
}

fn routes() -> Vec<Route> {
    let mut routes = tiers::common_routes();
    routes.extend(tiers::inspecting_routes());
    routes.extend(tiers::filing_routes());
    routes
}

fn main() -> ExitCode {
    process::run(Service { tier: Tier::District, views, routes }, Arguments::parse())
}
