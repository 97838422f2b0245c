//! The table of routes.

use std::{collections::HashSet, sync::Arc};

use access::Subject;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, on},
};
use kernel::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tower_http::csrf::CsrfLayer;

use crate::{
    Problem, Seat,
    command::MAX_BODY,
    guard, openapi, problem, request,
    sight::{At, InTime},
};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody, signed in or not.
    Public,
    /// Whoever is signed in at this office and holds a post.
    SignedIn,
    /// Whoever is signed in, with a post or without: one's own account.
    Oneself,
    /// Whoever may read something of one of these subjects.
    Reads(&'static [Subject]),
    /// Whoever may read what the whole office has of a subject: no row is asked about later.
    ReadsWhole(Subject),
    /// Whoever may give one of these commands; which, the handler asks.
    DoesOne(&'static [&'static str]),
    /// Whoever may give this command for the whole office.
    DoesWhole(&'static str),
    /// Whoever may give this command, `round.enter`, to something.
    Does(&'static str),
}

/// What stands before a route's handler.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The method.
    pub(crate) method: Method,
    /// The path, as a template.
    pub(crate) path: &'static str,
    /// Who may use it.
    pub(crate) who: Who,
    /// Whether `If-Match` must be there.
    pub(crate) if_match: bool,
    /// Whether bodies pass through without being held.
    pub(crate) streams: bool,
    /// Whether bodies hold what is sealed, so that not even their hash is kept.
    pub(crate) sealed: bool,
    /// How it takes a past, if it does.
    pub(crate) in_time: Option<InTime>,
}

/// One row.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'static str,
    /// Who may use it.
    pub who: Who,
    /// What it does, Chinese and English.
    pub does: [&'static str; 2],
    /// The body's schema.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The schemas of what its query may hold.
    pub query: Vec<fn(&mut SchemaGenerator) -> Schema>,
    /// Whether it changes what is there, so that `If-Match` must say what was read.
    pub if_match: bool,
    /// Whether `If-Match` must say it only of what is there already.
    pub if_known: bool,
    /// Whether its bodies are bytes that pass through and are never held whole.
    pub streams: bool,
    /// Whether its bodies hold what is sealed: not even their hash is kept then.
    pub sealed: bool,
    /// How it takes `as_of` and `known_at`, if it does.
    pub in_time: Option<InTime>,
    /// The headers that it reads, beside those of every command.
    pub headers: &'static [&'static str],
    handler: MethodRouter<Arc<Seat>>,
}

impl Route {
    /// Says that the query may hold the members of `Q`.
    #[must_use]
    pub fn query<Q: JsonSchema>(mut self) -> Self {
        self.query.push(Q::json_schema);
        self
    }

    /// Says that it shows the past too, by what was done by a day.
    #[must_use]
    pub fn in_time(mut self) -> Self {
        self.in_time = Some(InTime::Folded);
        self.query::<At>()
    }

    /// The same for rows that say themselves from which day on they hold.
    #[must_use]
    pub fn dated(mut self) -> Self {
        self.in_time = Some(InTime::Dated);
        self.query::<At>()
    }

    /// Says that `If-Match` is needed once there is something to change.
    #[must_use]
    pub fn if_known(mut self) -> Self {
        self.if_known = true;
        self
    }

    /// Says that whoever is only consulted on what is shown says why it is read.
    #[must_use]
    pub fn consulted(mut self) -> Self {
        self.headers = &["Reading-Reason"];
        self
    }

    /// Says that bodies hold what is sealed: nothing that follows from them is kept, not
    /// even the hash by which a key that is used for two bodies would be noticed.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.sealed = true;
        self
    }

    /// Says that it reads these headers too.
    #[must_use]
    pub fn under(mut self, headers: &'static [&'static str]) -> Self {
        self.headers = headers;
        self
    }

    /// Says that bytes pass through, under these headers.
    #[must_use]
    pub fn streams(mut self, headers: &'static [&'static str]) -> Self {
        (self.streams, self.headers) = (true, headers);
        self
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a route says of itself: path, who may, what it does.
type Row = (&'static str, Who, [&'static str; 2]);

fn route<T: 'static>(method: Method, row: Row, handler: impl Handler<T, Arc<Seat>>) -> Route {
    use axum::routing::MethodFilter;
    let filter = match method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::HEAD => MethodFilter::HEAD,
        _ => MethodFilter::GET,
    };
    let ((path, who, does), handler) = (row, on(filter, handler));
    Route {
        method,
        path,
        who,
        does,
        body: None,
        query: Vec::new(),
        if_match: false,
        if_known: false,
        streams: false,
        sealed: false,
        in_time: None,
        headers: &[],
        handler,
    }
}

/// A route that reads.
pub fn get<T: 'static>(
    path: &'static str,
    who: Who,
    does: [&'static str; 2],
    handler: impl Handler<T, Arc<Seat>>,
) -> Route {
    route(Method::GET, (path, who, does), handler)
}

/// A command with a body of type `B`.
pub fn post<B: JsonSchema, T: 'static>(
    path: &'static str,
    who: Who,
    does: [&'static str; 2],
    handler: impl Handler<T, Arc<Seat>>,
) -> Route {
    Route { body: Some(schema_of::<B>), ..post_empty(path, who, does, handler) }
}

/// A command that changes what is there: without `If-Match` 428.
pub fn change<B: JsonSchema, T: 'static>(
    path: &'static str,
    who: Who,
    does: [&'static str; 2],
    handler: impl Handler<T, Arc<Seat>>,
) -> Route {
    Route { if_match: true, ..post::<B, T>(path, who, does, handler) }
}

/// A command without a JSON body.
pub fn post_empty<T: 'static>(
    path: &'static str,
    who: Who,
    does: [&'static str; 2],
    handler: impl Handler<T, Arc<Seat>>,
) -> Route {
    route(Method::POST, (path, who, does), handler)
}

/// A route that stores bytes under their own name.
pub fn put<T: 'static>(
    path: &'static str,
    who: Who,
    does: [&'static str; 2],
    handler: impl Handler<T, Arc<Seat>>,
) -> Route {
    route(Method::PUT, (path, who, does), handler)
}

/// A route that says how much of something is there.
pub fn head<T: 'static>(
    path: &'static str,
    who: Who,
    does: [&'static str; 2],
    handler: impl Handler<T, Arc<Seat>>,
) -> Route {
    route(Method::HEAD, (path, who, does), handler)
}

/// Headers of every answer: no cache keeps it, no other site frames it or is told of it,
/// and a page loads nothing but its own style.
async fn guarded(mut response: Response) -> Response {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in ALWAYS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The router of one office: the interface, where every route is guarded by its own row,
/// and the pages before it.
pub fn router(seat: Arc<Seat>, routes: Vec<Route>, pages: fn(Router) -> Router) -> Router {
    let document = openapi::document(&routes, &seat);
    let mut router = Router::new();
    let mut paths = HashSet::new();
    for route in routes {
        paths.insert(route.path);
        let Route { method, path, who, if_match, streams, sealed, in_time, .. } = route;
        let gate = Gate { method, path, who, if_match, streams, sealed, in_time };
        let guard = middleware::from_fn_with_state((seat.clone(), Arc::new(gate)), guard::guard);
        router = router.route(route.path, route.handler.layer(guard));
    }
    let interface = router
        .merge(openapi::routes(&document))
        .fallback(|| async { Problem::from(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::from(Code::MethodNotAllowed) })
        .layer(middleware::map_response(problem::speak))
        .with_state(seat);
    pages(interface)
        .layer(middleware::map_response(problem::speak))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(
            CsrfLayer::new()
                .with_rejection_response(|_| Problem::from(Code::CrossSite).into_response()),
        )
        .layer(middleware::map_response(problem::speak))
        .layer(middleware::map_response(guarded))
        .layer(middleware::from_fn(request::named))
}
