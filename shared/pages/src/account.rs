//! 本人账号 One's own account: sessions, the password, the second factor.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Request, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use qrcode::{QrCode, render::svg};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ask::{Answer, Office, encoded, refused},
    view::{Head, local, parts, shown, text},
};

struct Session {
    id: String,
    began: String,
    until: String,
    address: String,
    second_factor: bool,
    this: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    head: Head,
    roles: Vec<String>,
    sessions: Vec<Session>,
    factor_set: bool,
    /// Whether nothing else is open until a factor is set.
    factor_missing: bool,
    number: String,
    secret: String,
    /// The secret's address as a picture.
    picture: String,
    /// What did not work.
    why: Option<String>,
}

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let asks = parts(request);
    show(&office, &asks, None, None).await
}

async fn show(
    office: &Office,
    asks: &Parts,
    why: Option<(StatusCode, String)>,
    number: Option<&str>,
) -> Response {
    let mut head = Head::of(office, asks).await;
    "/account".clone_into(&mut head.here);
    let sessions = match office.get(asks, "/api/sessions").await.good() {
        Ok(sessions) => sessions,
        Err(answer) => return refused(office, asks, &answer).await,
    };
    // Whoever mistyped a digit goes on with the secret that he has scanned.
    let offer = number.map_or_else(String::new, |number| format!("?number={}", encoded(number)));
    let offer = format!("/api/second-factor{offer}");
    let factor = match office.get(asks, &offer).await.good() {
        Ok(factor) => factor,
        Err(answer) => return refused(office, asks, &answer).await,
    };
    let me = office.get(asks, "/api/me").await;
    let roles = me.body["roles"].as_array().into_iter().flatten().map(text).collect();
    let offer = &factor["offer"];
    let page = Page {
        roles,
        sessions: sessions["items"].as_array().into_iter().flatten().map(session).collect(),
        factor_set: factor["set"] == true,
        factor_missing: me.code() == "second-factor-unset",
        number: text(&offer["number"]),
        secret: text(&offer["secret"]),
        picture: picture(&text(&offer["address"])),
        why: why.as_ref().map(|(_, why)| why.clone()),
        head,
    };
    shown(why.map_or(StatusCode::OK, |(status, _)| status), &page)
}

fn session(row: &Value) -> Session {
    Session {
        id: text(&row["id"]),
        began: local(&text(&row["at"])),
        until: local(&text(&row["until"])),
        address: text(&row["address"]),
        second_factor: row["second_factor"] == true,
        this: row["this"] == true,
    }
}

/// An address as a picture that an authenticator reads.
fn picture(address: &str) -> String {
    let Ok(code) = QrCode::new(address.as_bytes()) else { return String::new() };
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(180, 180).build();
    // The declaration of an XML document has no place inside a page.
    drawn.split_once("?>").map_or(drawn.clone(), |(_, svg)| svg.to_owned())
}

/// Back to the account, or the account with what did not work.
async fn done(office: &Office, asks: &Parts, answer: Answer, number: Option<&str>) -> Response {
    if answer.status.is_success() {
        return Redirect::to("/account").into_response();
    }
    if matches!(answer.code(), "not-signed-in" | "cross-site") {
        return refused(office, asks, &answer).await;
    }
    let names = Head::plain(asks).t("title detail", "title_en advice_en").split(' ');
    let why: Vec<String> = names.map(|name| text(&answer.body[name])).collect();
    let between = Head::plain(asks).t("。", ". ");
    show(office, asks, Some((answer.status, why.join(between))), number).await
}

#[derive(Debug, Deserialize)]
pub(crate) struct Password {
    password: String,
    new: String,
}

pub(crate) async fn password(
    State(office): State<Office>,
    asks: Parts,
    Form(sent): Form<Password>,
) -> Response {
    let body = json!({"password": sent.password, "new": sent.new});
    let answer = office.post(&asks, "/api/password", &body).await;
    done(&office, &asks, answer, None).await
}

#[derive(Debug, Deserialize)]
pub(crate) struct Factor {
    number: String,
    code: String,
    #[serde(default)]
    current: String,
}

pub(crate) async fn second_factor(
    State(office): State<Office>,
    asks: Parts,
    Form(sent): Form<Factor>,
) -> Response {
    let current = Some(sent.current.trim()).filter(|code| !code.is_empty());
    let body = json!({"number": sent.number, "code": sent.code.trim(), "current": current});
    let answer = office.post(&asks, "/api/second-factor", &body).await;
    done(&office, &asks, answer, Some(&sent.number)).await
}

pub(crate) async fn end(
    State(office): State<Office>,
    Path(id): Path<String>,
    asks: Parts,
) -> Response {
    let path = format!("/api/sessions/{}/end", encoded(&id));
    let answer = office.post(&asks, &path, &json!({})).await;
    done(&office, &asks, answer, None).await
}
