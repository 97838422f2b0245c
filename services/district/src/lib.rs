//! The district office: inspects its own targets and villages, files with the
//! city, reviews what its townships file.

use std::sync::Arc;

use desks::{
    clues::counts::CluesReportedView, keys, results::ReportedView, running::Service, tiers,
};
use event_store::View;
use kernel::{OfficeId, id::Tier};
use web::Route;

/// The district's desks.
pub fn service() -> Service {
    Service { tier: Tier::District, views, routes, pages: pages::around }
}

fn views(office: &OfficeId) -> Vec<Arc<dyn View>> {
    let mut views = tiers::common_views(office);
    views.push(Arc::new(ReportedView { office: office.clone() }));
    views.push(Arc::new(CluesReportedView { office: office.clone() }));
    views
}

fn routes() -> Vec<Route> {
    let mut routes = tiers::common_routes();
    routes.extend(tiers::inspecting_routes());
    routes.extend(tiers::filing_routes());
    routes.extend(keys::district_routes());
    routes
}
