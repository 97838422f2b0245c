//! Lists: opaque cursors, one way for all views.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use kernel::{Code, Refusal};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use web::{Problem, Seat};

/// The query of every list.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Page {
    /// The cursor of the last answer.
    #[serde(default)]
    pub after: String,
    /// At most so many, 1 to 500; 100 if not said.
    pub limit: Option<usize>,
    /// Only of this round.
    pub round: Option<String>,
    /// Only of this task.
    pub task: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
}

impl Page {
    /// The limit in force.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 500)
    }

    fn key(&self) -> Result<String, Problem> {
        let bytes = BASE64.decode(&self.after).ok();
        let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        key.ok_or_else(|| Refusal::new(Code::BadField).detail("after").into())
    }
}

/// The rows of a view under a prefix that `keep` keeps, a page of them.
pub async fn list<T: DeserializeOwned + Serialize>(
    seat: &Seat,
    view: &str,
    prefix: &str,
    page: &Page,
    keep: impl Fn(&T) -> bool,
) -> Result<Response, Problem> {
    let mut after = page.key()?;
    let mut items = Vec::new();
    let mut reader = seat.office.reader().await?;
    let mut more = true;
    while items.len() < page.limit() && more {
        let rows: Vec<(String, T)> = reader.scan(view, prefix, &after, 500).await?;
        more = rows.len() == 500;
        for (key, row) in rows {
            if items.len() == page.limit() {
                more = true;
                break;
            }
            after = key;
            if keep(&row) {
                items.push(row);
            }
        }
    }
    let next = if more { Some(BASE64.encode(after)) } else { None };
    let demo = seat.pin.demo;
    Ok(Json(json!({"demo": demo, "items": items, "next": next})).into_response())
}
