//! The pages: what a clerk sees in a browser, without a script.
//!
//! What a reader would get wrong: a page knows nothing that the interface does not say.
//! It asks the office's own routes, as the browser's session, and sets the answer in a
//! template; so whoever may not read a thing has no page of it, and what is recorded
//! when it is read is recorded here too.

mod account;
mod ask;
mod board;
mod clues;
mod deadlines;
mod docs;
mod elsewhere;
mod events;
mod form;
mod openid;
mod plans;
mod policy;
mod problems;
mod sign_in;
mod view;
mod way;
mod worklist;

use std::sync::Arc;

use axum::{
    Router,
    http::header,
    middleware,
    response::Redirect,
    routing::{get, post},
};

pub use ask::Office;
use tokio::sync::Semaphore;

const STYLE: &str = include_str!("../templates/style.css");

/// The pages before the interface that they ask.
pub fn around(interface: Router) -> Router {
    let room = Arc::new(Semaphore::new(form::MOST));
    let office = Office::new(interface);
    let css = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    Router::new()
        .route("/", get(|| std::future::ready(Redirect::to("/worklist"))))
        .route("/style.css", get(move || std::future::ready((css, STYLE))))
        .route("/language", get(view::language))
        .route("/sign-in", get(sign_in::form).post(sign_in::send))
        .route("/first-sign-in", get(sign_in::first_form).post(sign_in::first_send))
        .route("/openid", get(openid::go))
        .route("/openid/back", get(openid::back))
        .route("/sign-out", post(sign_in::out))
        .route("/account", get(account::page))
        .route("/account/password", post(account::password))
        .route("/account/second-factor", post(account::second_factor))
        .route("/account/sessions/{id}/end", post(account::end))
        .route("/worklist", get(worklist::page))
        .route("/filing-board", get(board::page))
        .route("/deadlines", get(deadlines::page))
        .route("/plans", get(plans::page))
        .route("/clues", get(clues::page))
        .route("/clues/{id}", get(way::clue))
        .route("/clues/{id}/slip", get(clues::slip))
        .route("/clue-cases/{id}", get(way::case))
        .route("/events", get(events::page))
        .route("/policy", get(policy::page))
        .route("/problems/{code}", get(problems::page))
        .route("/api/docs", get(docs::page))
        .route_layer(middleware::from_fn_with_state(room, form::held))
        .method_not_allowed_fallback(elsewhere::other_method)
        .fallback(elsewhere::answer)
        .with_state(office)
}
