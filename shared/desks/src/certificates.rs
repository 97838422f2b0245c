//! 证书绑定 Certificates: which certificate of the wire stands for which person.
//!
//! A certificate is a second factor beside the password, where phones are barred. The
//! security administrator binds it and cannot make links, so it takes two persons to
//! come in as somebody else.

use std::sync::Arc;

use access::{
    PEOPLE, PersonRow, Subject,
    certificates::{CERTIFICATES, CertificateRow},
};
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use domain::certificate::{Certificate, Command as Ask};
use kernel::{Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Command, Nothing, Problem, Route, Seat, Sight, Who, change, get, post, wire::fingerprint_of,
};

use crate::own_account;

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/persons/{id}/certificates",
            Who::Reads(&[Subject::Accounts]),
            ["人员证书", "The certificates that stand or stood for a person, by fingerprint"],
            of_person,
        )
        .in_time(),
        post::<NewCertificate, _>(
            "/api/persons/{id}/certificates",
            Who::Does("certificate.bind"),
            ["绑定证书", "Let a certificate stand for a person as the second factor"],
            bind,
        ),
        change::<Nothing, _>(
            "/api/certificates/{fingerprint}/end",
            Who::Does("certificate.end"),
            ["停用证书", "End a certificate; every session of the person ends"],
            end,
        ),
    ]
}

/// Whether a certificate stands for a person now.
pub(crate) async fn is_certified(seat: &Seat, person: &str) -> Result<bool, Problem> {
    let all: Vec<(String, CertificateRow)> =
        seat.office.reader().await?.all(CERTIFICATES, "").await?;
    Ok(all.iter().any(|(_, row)| row.person == person && !row.ended))
}

async fn of_person(seat: Sight, Path(id): Path<String>) -> Result<Response, Problem> {
    let mut reader = seat.reader().await?;
    let person: Option<PersonRow> = reader.view(PEOPLE, &id).await?;
    person.ok_or(Code::NotFound)?;
    let all: Vec<(String, CertificateRow)> = reader.all(CERTIFICATES, "").await?;
    let items: Vec<_> = all
        .into_iter()
        .filter(|(_, row)| row.person == id)
        .map(|(fingerprint, row)| {
            json!({"fingerprint": fingerprint, "ended": row.ended, "version": row.version})
        })
        .collect();
    Ok(Json(json!({"items": items})).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewCertificate {
    /// The certificate as PEM, without its private key.
    certificate: String,
}

async fn bind(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<NewCertificate>,
) -> Result<Response, Problem> {
    if command.caller.actor.person == id {
        return Err(Code::SamePerson.into());
    }
    let person: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, &id).await?;
    person.ok_or(Code::NotFound)?;
    if command.body.certificate.contains("PRIVATE KEY") {
        let why = "含私钥,该证书不可再用 / holds the private key: that certificate is spoilt";
        return Err(Refusal::new(Code::BadField).detail(why).into());
    }
    let fingerprint = fingerprint_of(&command.body.certificate)
        .ok_or_else(|| Refusal::new(Code::BadField).detail("certificate: PEM"))?;
    let (seat, caller) = (command.seat().clone(), command.caller.clone());
    let ask = Ask::Bind { person: id.clone() };
    let done = command.decide::<Certificate>(fingerprint.to_string(), None, ask).await?;
    // From now on it is asked for: whoever came in without it comes in again.
    let ids = own_account::live(&seat, &id).await?.into_iter().map(|(id, _)| id).collect();
    own_account::end_sessions(&seat, &caller.actor, &id, ids).await?;
    Ok(done)
}

async fn end(
    State(seat): State<Arc<Seat>>,
    Path(fingerprint): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let caller = command.caller.clone();
    let row: Option<CertificateRow> =
        seat.office.reader().await?.view(CERTIFICATES, &fingerprint).await?;
    let person = row.ok_or(Code::NotFound)?.person;
    let done = command.decide::<Certificate>(fingerprint, expected, Ask::End).await?;
    let ids = own_account::live(&seat, &person).await?.into_iter().map(|(id, _)| id).collect();
    own_account::end_sessions(&seat, &caller.actor, &person, ids).await?;
    Ok(done)
}
