//! 登录 Signing in and out, and the first sign-in by a link.

use askama::Template;
use axum::{
    Form,
    extract::{Query, Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    ask::{Answer, Office, path_here, refused},
    view::{Head, parts, shown},
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    head: Head,
    next: String,
    account: String,
    /// Of a first sign-in: the link.
    link: Option<String>,
    /// Whether an identity provider can say who it is.
    openid: bool,
    /// Why it did not work, in the reader's language.
    why: Option<String>,
}

/// Whether this office has an identity provider.
async fn openid(office: &Office, parts: &Parts) -> bool {
    office.get(parts, "/api/sign-in").await.body["openid"] == true
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    link: String,
}

pub(crate) async fn form(
    State(office): State<Office>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Response {
    let parts = parts(request);
    let (head, openid) = (Head::plain(&parts), openid(&office, &parts).await);
    let next = path_here(&asked.next).to_owned();
    let page = Page { head, next, account: String::new(), link: None, openid, why: None };
    shown(StatusCode::OK, &page)
}

pub(crate) async fn first_form(Query(asked): Query<Asked>, request: Request) -> Response {
    let head = Head::plain(&parts(request));
    let (next, account) = ("/worklist".to_owned(), String::new());
    shown(
        StatusCode::OK,
        &Page { head, next, account, link: Some(asked.link), openid: false, why: None },
    )
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    account: String,
    #[serde(default)]
    link: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

impl Sent {
    /// The code, if one was typed.
    fn code(&self) -> Option<&str> {
        Some(self.code.trim()).filter(|code| !code.is_empty())
    }
}

pub(crate) async fn send(
    State(office): State<Office>,
    parts: Parts,
    Form(sent): Form<Sent>,
) -> Response {
    let body = json!({"account": sent.account.trim(), "password": sent.password,
        "code": sent.code(), "cookie": true});
    let answer = office.post(&parts, "/api/sign-in", &body).await;
    come_in(&office, &parts, &answer, sent, false).await
}

pub(crate) async fn first_send(
    State(office): State<Office>,
    parts: Parts,
    Form(sent): Form<Sent>,
) -> Response {
    let body = json!({"link": sent.link.trim(), "password": sent.password, "code": sent.code(),
        "cookie": true});
    let answer = office.post(&parts, "/api/sign-in", &body).await;
    come_in(&office, &parts, &answer, sent, true).await
}

/// Whoever came in goes where he wanted; whoever did not sees why, and what he typed.
async fn come_in(
    office: &Office,
    parts: &Parts,
    answer: &Answer,
    sent: Sent,
    first: bool,
) -> Response {
    if answer.code() == "cross-site" {
        return refused(office, parts, answer).await;
    }
    if !answer.status.is_success() {
        let head = Head::plain(parts);
        let (title, todo) = match head.t("zh", "en") {
            "zh" => ("title", "detail"),
            _ => ("title_en", "advice_en"),
        };
        let why = [title, todo].map(|name| answer.body[name].as_str().unwrap_or_default());
        let why = Some(why.join(head.t("。", ". ")));
        let link = first.then(|| sent.link.clone());
        let next = path_here(&sent.next).to_owned();
        let openid = !first && openid(office, parts).await;
        return shown(
            answer.status,
            &Page { head, next, account: sent.account, link, openid, why },
        );
    }
    let to = match answer.body["second_factor"].as_str() {
        Some("must-be-set") => "/account",
        _ => path_here(&sent.next),
    };
    let mut response = Redirect::to(to).into_response();
    for cookie in answer.headers.get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

pub(crate) async fn out(State(office): State<Office>, parts: Parts) -> Response {
    let answer = office.post(&parts, "/api/sign-out", &json!({})).await;
    if !answer.status.is_success() {
        return refused(&office, &parts, &answer).await;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    for cookie in answer.headers.get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}
