//! The township office: rectifies what was fed back to it and its villages, and
//! files with its district.

use std::sync::Arc;

use desks::{running::Service, tiers};
use event_store::View;
use kernel::{OfficeId, id::Tier};
use web::Route;

/// The township's desks.
pub fn service() -> Service {
    Service { tier: Tier::Township, views, routes, pages: pages::around }
}

fn views(office: &OfficeId) -> Vec<Arc<dyn View>> {
    tiers::common_views(office)
}

fn routes() -> Vec<Route> {
    let mut routes = tiers::common_routes();
    routes.extend(tiers::filing_routes());
    routes
}
