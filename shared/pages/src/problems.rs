//! 拒绝说明 The page of every refusal, in both languages whatever the reader chose: whoever
//! is asked for help reads it too.

use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use kernel::Code;
use web::Problem;

use crate::{
    ask::{Answer, Office},
    view::{Head, parts, shown, text},
};

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    head: Head,
    slug: String,
    status: u16,
    titles: [String; 2],
    todo: [String; 2],
    /// The name of the request, of a refusal that happened.
    instance: String,
}

pub(crate) async fn page(
    State(office): State<Office>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    let Some(code) = Code::of(&slug) else {
        return Problem::from(Code::NotFound).into_response();
    };
    let (_, status, titles, todo) = code.row();
    let (titles, todo) = (titles.map(str::to_owned), todo.map(str::to_owned));
    let head = Head::of(&office, &parts(request)).await;
    shown(StatusCode::OK, &Page { head, slug, status, titles, todo, instance: String::new() })
}

/// What a browser sees of a refusal.
pub(crate) async fn refusal(office: &Office, asks: &Parts, answer: &Answer) -> Response {
    let body = &answer.body;
    let page = Page {
        head: Head::of(office, asks).await,
        slug: answer.code().to_owned(),
        status: answer.status.as_u16(),
        titles: ["title", "title_en"].map(|name| text(&body[name])),
        todo: ["detail", "advice_en"].map(|name| text(&body[name])),
        instance: text(&body["instance"]),
    };
    shown(answer.status, &page)
}
