//! The city office: oversees the districts, runs the hub, inspects its own targets.
//! Ingest, enrolment and the hub's papers come with its tier.

use std::sync::Arc;

use desks::{
    clues::counts::CluesReportedView, divisions, enrolment::EnrolledView, keys,
    results::ReportedView, running::Service, tiers,
};
use event_store::View;
use kernel::{OfficeId, id::Tier};
use web::Route;

/// The city's desks.
pub fn service() -> Service {
    Service { tier: Tier::City, views, routes, pages: pages::around }
}

fn views(office: &OfficeId) -> Vec<Arc<dyn View>> {
    let mut views = tiers::common_views(office);
    views.push(Arc::new(ReportedView { office: office.clone() }));
    views.push(Arc::new(EnrolledView));
    views.push(Arc::new(CluesReportedView { office: office.clone() }));
    views
}

fn routes() -> Vec<Route> {
    let mut routes = tiers::common_routes();
    routes.extend(divisions::city_routes());
    routes.extend(keys::city_routes());
    routes.extend(tiers::inspecting_routes());
    routes
}
