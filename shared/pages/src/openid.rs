//! 统一身份认证 The way to the identity provider and back.

use axum::{
    extract::State,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};

use crate::ask::{Office, refused};

pub(crate) async fn go(State(office): State<Office>, parts: Parts) -> Response {
    passed_on(&office, &parts, "/api/openid").await
}

pub(crate) async fn back(State(office): State<Office>, parts: Parts) -> Response {
    passed_on(&office, &parts, "/api/openid/back").await
}

/// What the interface says to the browser, or why it does not.
async fn passed_on(office: &Office, parts: &Parts, path: &str) -> Response {
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let answer = office.get(parts, &format!("{path}{query}")).await;
    if !answer.status.is_redirection() {
        return refused(office, parts, &answer).await;
    }
    let mut response = answer.status.into_response();
    for name in [header::LOCATION, header::SET_COOKIE] {
        let all = answer.headers.get_all(&name).iter().cloned();
        for value in all.collect::<Vec<HeaderValue>>() {
            response.headers_mut().append(&name, value);
        }
    }
    response
}
