//! Lists: opaque cursors, one way for all views.

use std::collections::BTreeSet;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use kernel::{Code, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use web::{Caller, Governed, Problem, Sight, reading::Seen};

/// The query of every list.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Page {
    /// The cursor of the last answer.
    #[serde(default)]
    pub after: String,
    /// At most so many, 1 to 500; 100 if not said.
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<usize>,
}

/// The state to which some lists can be narrowed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct InState {
    /// Only in this state.
    pub state: Option<String>,
}

impl Page {
    fn limit(&self) -> Result<usize, Refusal> {
        match self.limit {
            None => Ok(100),
            Some(limit @ 1..=500) => Ok(limit),
            Some(_) => Err(Refusal::new(Code::BadField).detail("limit: 1 … 500")),
        }
    }

    fn key(&self) -> Result<String, Refusal> {
        let bytes = BASE64.decode(&self.after).ok();
        let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        key.ok_or_else(|| Refusal::new(Code::BadField).detail("after"))
    }
}

/// Puts a version on an answer as its `ETag`.
pub fn tagged(mut response: Response, version: Option<u64>) -> Response {
    let tag = version.and_then(|at| HeaderValue::from_str(&format!("\"{at}\"")).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The rows of a view under a prefix that `keep` keeps, a page of them.
pub async fn list<T: DeserializeOwned + Serialize>(
    seat: &Sight,
    view: &str,
    prefix: &str,
    page: &Page,
    keep: impl Fn(&T) -> bool,
) -> Result<Response, Problem> {
    list_as(seat, view, prefix, page, |_, row: T| keep(&row).then_some(row)).await
}

/// The rows of a governed view that the caller may read and `keep` keeps, a page of them;
/// what of it is secret is on record as read.
pub async fn list_governed<T: Governed>(
    seat: &Sight,
    caller: &Caller,
    prefix: &str,
    page: &Page,
    keep: impl Fn(&T) -> bool,
) -> Result<Response, Problem> {
    list_governed_as(seat, caller, prefix, page, keep, |row: T| row).await
}

/// The same, each row as `shown` shows it.
pub async fn list_governed_as<T: Governed, S: Serialize>(
    seat: &Sight,
    caller: &Caller,
    prefix: &str,
    page: &Page,
    keep: impl Fn(&T) -> bool,
    shown: impl Fn(T) -> S,
) -> Result<Response, Problem> {
    let (items, next) = page_governed(seat, caller, prefix, page, keep).await?;
    let items: Vec<S> = items.into_iter().map(shown).collect();
    Ok(answered(seat, &items, next.as_deref()))
}

/// The same rows for whoever shows them, and where the next page begins.
pub(crate) async fn page_governed<T: Governed>(
    seat: &Sight,
    caller: &Caller,
    prefix: &str,
    page: &Page,
    keep: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let here = &seat.office.setting().office;
    // Who looks back sees what he may see today as well: the past opens nothing.
    let today = readable_today::<T>(seat, caller, prefix).await?;
    let sees = |key: &str, row: T| {
        let open = today.as_ref().is_none_or(|keys| keys.contains(key));
        let sees = open && caller.reads(&row.matter(here)) && keep(&row);
        sees.then(|| (key.to_owned(), row))
    };
    let (rows, next) = page_of(seat, T::VIEW, prefix, page, sees).await?;
    let mut seen = Seen::default();
    for (key, row) in &rows {
        seen.note(caller, &row.matter(here), || format!("{}/{key}", T::FAMILY));
    }
    seen.record(seat, caller, T::VIEW).await?;
    let mut items: Vec<T> = rows.into_iter().map(|(_, row)| row).collect();
    for row in &mut items {
        row.withhold(caller, here);
    }
    Ok((items, next))
}

/// The rows that the caller may read as they are now; nothing if it is now that is shown.
async fn readable_today<T: Governed>(
    seat: &Sight,
    caller: &Caller,
    prefix: &str,
) -> Result<Option<BTreeSet<String>>, Problem> {
    if !seat.looks_back() {
        return Ok(None);
    }
    let here = &seat.office.setting().office;
    let rows: Vec<(String, T)> = seat.office.reader().await?.all(T::VIEW, prefix).await?;
    let readable = rows.into_iter().filter(|(_, row)| caller.reads(&row.matter(here)));
    Ok(Some(readable.map(|(key, _)| key).collect()))
}

/// The rows of a view under a prefix as `shown` shows them, a page of them.
pub async fn list_as<T: DeserializeOwned, S: Serialize>(
    seat: &Sight,
    view: &str,
    prefix: &str,
    page: &Page,
    shown: impl Fn(&str, T) -> Option<S>,
) -> Result<Response, Problem> {
    let (items, next) = page_of(seat, view, prefix, page, shown).await?;
    Ok(answered(seat, &items, next.as_deref()))
}

/// The answer with a page of items.
pub(crate) fn answered<S: Serialize>(seat: &Sight, items: &[S], next: Option<&str>) -> Response {
    Json(json!({"demo": seat.pin.demo, "items": items, "next": next})).into_response()
}

/// A page of what is shown, and where the next one begins.
async fn page_of<T: DeserializeOwned, S>(
    seat: &Sight,
    view: &str,
    prefix: &str,
    page: &Page,
    shown: impl Fn(&str, T) -> Option<S>,
) -> Result<(Vec<S>, Option<String>), Problem> {
    let (mut after, limit) = (page.key()?, page.limit()?);
    // The next page is said to be there if it shows anything: what is hidden does not
    // even make a cursor.
    let (mut items, mut last, mut next) = (Vec::new(), String::new(), None);
    let mut reader = seat.reader().await?;
    let mut more = true;
    while next.is_none() && more {
        let rows: Vec<(String, T)> = reader.scan(view, prefix, &after, 500).await?;
        more = rows.len() == 500;
        for (key, row) in rows {
            if let Some(item) = shown(&key, row) {
                if items.len() == limit {
                    next = Some(BASE64.encode(&last));
                    break;
                }
                items.push(item);
                last.clone_from(&key);
            }
            after = key;
        }
    }
    Ok((items, next))
}
