//! What every page has in common: the language, the head, who is signed in.

use askama::Template;
use axum::{
    extract::{Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;

use crate::ask::{Office, encoded, path_here};

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lang {
    Zh,
    En,
}

const COOKIE: &str = "liandong-language";

impl Lang {
    /// Chinese, unless the reader chose English.
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
        let chosen = pairs.find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='));
        if chosen == Some("en") { Self::En } else { Self::Zh }
    }

    /// The text in this language.
    pub(crate) fn of_two<'t>(self, zh: &'t str, en: &'t str) -> &'t str {
        if self == Self::Zh { zh } else { en }
    }

    /// The tag of the language.
    pub(crate) fn tag(self) -> &'static str {
        self.of_two("zh-CN", "en")
    }
}

/// The head of a page.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) lang: Lang,
    /// The path of the page, for the way back and the navigation.
    pub(crate) here: String,
    /// The same with its query, as part of a query.
    pub(crate) back: String,
    /// The office's name.
    pub(crate) office: String,
    /// Who is signed in, as the screens show it.
    pub(crate) person: Option<String>,
    pub(crate) demo: bool,
}

impl Head {
    /// The head for whoever asks.
    pub(crate) async fn of(office: &Office, asks: &Parts) -> Self {
        let me = office.get(asks, "/api/me").await;
        let (known, me) = (me.status.is_success(), me.body);
        let text = |name: &str| me[name].as_str().unwrap_or_default().to_owned();
        let name = || {
            let said = text("display");
            if said.is_empty() { text("account") } else { said }
        };
        Self {
            person: known.then(name),
            office: text("name"),
            demo: me["demo"] == true,
            ..Self::plain(asks)
        }
    }

    /// The head of a page that asks nobody.
    pub(crate) fn plain(asks: &Parts) -> Self {
        let here = asks.uri.path().to_owned();
        let back = asks.uri.path_and_query().map_or("/", |path| path.as_str());
        let (office, person, back) = (String::new(), None, encoded(back));
        Self { back, lang: Lang::of(&asks.headers), here, office, person, demo: false }
    }

    pub(crate) fn t<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        self.lang.of_two(zh, en)
    }

    /// `page` for the link of the page itself.
    pub(crate) fn current(&self, path: &str) -> &'static str {
        if self.here == path { "page" } else { "false" }
    }
}

/// A page, or the refusal that there is none.
pub(crate) fn shown(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be set");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The parts of a request without its body.
pub(crate) fn parts(request: Request) -> Parts {
    request.into_parts().0
}

/// A text of a JSON value; nothing for what is none.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `2026-01-05T01:02:03.000Z` as the clock of Shanghai shows it, to the minute.
pub(crate) fn local(at: &str) -> String {
    use kernel::Timestamp;
    let Some(Timestamp(at)) = Timestamp::parse(at) else { return at.to_owned() };
    let there = Timestamp(at + 8 * 3_600_000).to_string();
    there.get(..16).map_or(there.clone(), |minute| minute.replace('T', " "))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    to: String,
    #[serde(default)]
    back: String,
}

/// Remembers the language, in the browser only.
pub(crate) async fn language(Query(choice): Query<Choice>) -> Response {
    let to = if choice.to == "en" { "en" } else { "zh-CN" };
    let cookie = format!("{COOKIE}={to}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000");
    ([(header::SET_COOKIE, cookie)], Redirect::to(path_here(&choice.back))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_on_the_wall_is_that_of_shanghai() {
        assert_eq!(local("2026-01-05T18:02:03.000Z"), "2026-01-06 02:02");
        assert_eq!(local("?"), "?");
    }
}
