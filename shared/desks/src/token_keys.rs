//! 令牌密钥 The keys that sign tokens: shown to whoever checks one, and turned.
//!
//! The next key is on the disk before the log names it, and takes over after; whatever
//! stops in between, the command sent again finishes it.

use std::sync::Arc;

use access::tokens::{MAX_LIFE, key_name};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::token_key::{TokenKey, Turn};
use event_store::{Unit, act};
use kernel::{Code, Entropy, Timestamp, clock::wall};
use messaging::keys::Keys;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use web::{Command, Nothing, Problem, Route, Seat, Who, answer, command::respond, get, post};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/jwks.json",
            Who::Public,
            ["令牌公钥", "The public keys of this office's tokens (RFC 7517)"],
            shown,
        ),
        post::<Nothing, _>(
            "/api/token-keys",
            Who::Does("token-key.turn"),
            ["更换令牌密钥", "Let a new key sign tokens; those signed before end with their time"],
            turn,
        ),
    ]
}

/// The key that signs.
pub(crate) const NOW: &str = "jwt.key";
const NEXT: &str = "jwt-next.key";
const BEFORE: &str = "jwt-before.json";

static TURNING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A key that signed before, until its last token has ended.
#[derive(Serialize, Deserialize)]
struct Before {
    seed: [u8; 32],
    until: i64,
}

/// The tokens of an office, with the key that signed before.
pub(crate) fn load(seat_keys: &Keys, tokens: &access::Tokens) -> std::io::Result<()> {
    let before: Option<Vec<Before>> = seat_keys.read(BEFORE)?;
    for Before { seed, until } in before.into_iter().flatten() {
        tokens.before(&seed, until);
    }
    Ok(())
}

async fn shown(State(seat): State<Arc<Seat>>) -> Response {
    Json(json!({"keys": seat.tokens.public()})).into_response()
}

async fn turn(command: Command<Nothing>) -> Result<Response, Problem> {
    let seat = command.seat().clone();
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "the keys cannot be written");
        Problem::from(Code::Internal)
    };
    // One turn at a time: it reads and writes the same files.
    let _turning = TURNING.lock().await;
    let mut next = seat.keys.secret(NEXT, &Entropy::System).map_err(failed)?;
    if key_name(&next) == key_name(&seat.keys.secret(NOW, &Entropy::System).map_err(failed)?) {
        // It took over, and was stopped before the file went.
        seat.keys.remove(NEXT).map_err(failed)?;
        next = seat.keys.secret(NEXT, &Entropy::System).map_err(failed)?;
    }
    let kid = key_name(&next).ok_or(Code::Internal)?;
    let (id, name) = (seat.office.setting().office.to_string(), kid.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, kid) = (id.clone(), name.clone());
        Box::pin(async move {
            let done = unit.execute::<TokenKey>(&id, Turn { kid: kid.clone() }).await?;
            Ok(answer(&id, &done, json!({"kid": kid})))
        })
    });
    let answered = command.outcome(run).await?;
    let said: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    if said["kid"] == kid.as_str() {
        let seed = seat.keys.secret(NOW, &Entropy::System).map_err(failed)?;
        let Timestamp(now) = wall();
        let until = now / 1000 + MAX_LIFE;
        let before: Option<Vec<Before>> = seat.keys.read(BEFORE).map_err(failed)?;
        let mut before = before.unwrap_or_default();
        before.retain(|key| now / 1000 < key.until);
        before.push(Before { seed, until });
        seat.keys.write_json(BEFORE, &before).map_err(failed)?;
        seat.keys.write(NOW, &next).map_err(failed)?;
        seat.keys.remove(NEXT).map_err(failed)?;
        seat.tokens.turn(&next, until);
    }
    Ok(respond(answered))
}
