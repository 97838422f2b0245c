//! 权限 The policy, asked from outside: every post against every route, and every post
//! against matters of its own and of others, held against a model that was written from
//! the offices' matrix and not from the table.

use std::{collections::BTreeMap, time::Duration};

use access::Tokens;
use deploy::round::Script;
use hyper::Method;
use kernel::{OfficeId, id::Tier};
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};
use web::client::{Client, Reply};

/// Somebody with one post.
#[derive(Clone, Debug)]
pub(crate) struct Somebody {
    pub(crate) role: &'static str,
    pub(crate) scope: String,
    pub(crate) person: String,
    pub(crate) bearer: String,
}

pub(crate) struct Desk<'a> {
    pub(crate) town: &'a Town,
    pub(crate) code: &'static str,
    pub(crate) client: Client,
}

impl Desk<'_> {
    fn bearer(&self, person: &str) -> String {
        let office = OfficeId::parse(&self.town.id(self.code)).unwrap();
        let seed: [u8; 32] =
            std::fs::read(self.town.keys(self.code).join("jwt.key")).unwrap().try_into().unwrap();
        let tokens = Tokens::new(office, &seed, true).unwrap();
        format!("Bearer {}", tokens.issue(person, 3600).unwrap())
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        who: &str,
        key: &str,
        body: Value,
    ) -> Reply {
        self.send_at("*", (method, path), who, key, body).await
    }

    /// The same at a version, as `If-Match` names it.
    pub(crate) async fn send_at(
        &self,
        version: &str,
        (method, path): (Method, &str),
        who: &str,
        key: &str,
        body: Value,
    ) -> Reply {
        let url = format!("{}{path}", self.town.url(self.code));
        let mut headers = vec![
            ("authorization", who),
            ("if-match", version),
            ("reading-reason", "%E4%BC%9A%E5%95%86"),
        ];
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        let body = if method == Method::POST { body.to_string().into_bytes() } else { Vec::new() };
        self.client.send(method, &url, &headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, who: &str) -> Reply {
        self.send(Method::GET, path, who, "", Value::Null).await
    }

    /// Registers somebody and gives him a post.
    pub(crate) async fn hire(
        &self,
        role: &'static str,
        scope: &str,
        from: &str,
        to: Option<&str>,
    ) -> Somebody {
        let account = format!("{role}-{scope}-{from}").to_lowercase();
        let account: String = account
            .chars()
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
            .take(40)
            .collect();
        let api = self.town.api(self.code);
        let new = json!({"account": account, "display": "测试人员"});
        let made = api.post("SYS", "/api/persons", &account, None, &new).await.unwrap();
        let person = made.body["id"].as_str().unwrap().to_owned();
        let bearer = self.bearer(&person);
        let somebody = Somebody { role, scope: scope.to_owned(), person, bearer };
        self.give(&somebody, role, scope, from, to).await;
        somebody
    }

    /// Gives somebody one more post.
    pub(crate) async fn give(
        &self,
        who: &Somebody,
        role: &str,
        scope: &str,
        from: &str,
        to: Option<&str>,
    ) {
        let tier = match self.code {
            CITY => Tier::City,
            DISTRICT => Tier::District,
            _ => Tier::Township,
        };
        let letter = domain::post::letter(tier);
        let post =
            json!({"role": format!("{letter}_{role}"), "scope": scope, "from": from, "to": to});
        let path = format!("/api/persons/{}/authorisations", who.person);
        let key = format!("{}-{role}-{scope}", who.person);
        let api = self.town.api(self.code);
        let row = api.get("SECADM", &format!("/api/persons/{}", who.person)).await.unwrap();
        let version = row["version"].to_string();
        let given = api.post("SECADM", &path, &key, Some(&version), &post).await;
        given.unwrap_or_else(|why| panic!("{role} {scope}: {why}"));
    }
}

/// Who may use which route, by the offices' matrix: `*` is whoever holds a post, `~` only
/// with a post on the very work or unit, `^` only with one on the whole office. What is not
/// here, nobody may use.
const ROUTES: &[(&str, &str)] = &[
    ("GET /api/me", "*"),
    ("GET /api/worklist", "*"),
    ("GET /operations/past", "*"),
    ("GET /api/differences", PLANS),
    ("GET /api/envelopes", "CLUE NDI_REG DISC"),
    ("GET /api/envelopes/{id}", "CLUE NDI_REG DISC"),
    ("POST /api/envelopes", "CLUE NDI_REG DISC"),
    ("POST /api/envelopes/{id}/hand-on", "CLUE NDI_REG DISC"),
    ("GET /api/organs", "*"),
    ("GET /api/clues", "TL TD TM NRD CLUE SEC"),
    ("GET /api/clues/{id}", "TL TD TM NRD CLUE SEC"),
    ("GET /api/clues/{id}/content", "TL TD TM NRD SEC"),
    ("POST /api/clues", "TL TD TM"),
    ("POST /api/clues/{id}/revise", "TL TD TM"),
    ("POST /api/clues/{id}/discuss", "TL TD"),
    ("POST /api/clues/{id}/sign", "TL TD TM NRD"),
    ("POST /api/clues/{id}/drop", "TL TD"),
    ("POST /api/clues/{id}/seal", "CLUE"),
    ("GET /api/clues/{id}/slip", "CLUE"),
    ("POST /api/clues/{id}/reroute", "CLUE"),
    ("POST /api/clues/{id}/offer", "CLUE"),
    ("POST /api/clues/{id}/withdraw", "CLUE"),
    ("POST /api/clues/{id}/paper", "CLUE"),
    ("POST /api/clues/{id}/result", "CLUE"),
    ("POST /api/clues/{id}/close", "CLUE"),
    ("POST /api/clues/{id}/reopen", "CLUE"),
    ("GET /api/clue-counts", "SEC LG PLAN FILE RECT CLUE NDI_REG NDI_SUP"),
    ("GET /api/clue-cases", "NDI_REG NDI_OFF ORG SEC"),
    ("GET /api/clue-cases/{id}", "NDI_REG NDI_OFF ORG SEC"),
    ("GET /api/clue-cases/{id}/content", "NDI_REG NDI_OFF ORG SEC"),
    ("POST /api/clue-cases/{id}/accept", "NDI_REG ORG"),
    ("POST /api/clue-cases/{id}/return", "NDI_REG ORG"),
    ("POST /api/clue-cases/{id}/assign", "NDI_REG"),
    ("POST /api/clue-cases/{id}/propose", "NDI_OFF ORG"),
    ("POST /api/clue-cases/{id}/approve", "NDI_REG ORG"),
    ("POST /api/clue-cases/{id}/progress", "NDI_OFF ORG"),
    ("POST /api/clue-cases/{id}/inquire", "NDI_OFF ORG"),
    ("POST /api/clue-cases/{id}/reply", "NDI_OFF ORG"),
    ("POST /api/clue-cases/{id}/review", "NDI_REG NDI_OFF ORG"),
    ("POST /api/clue-cases/{id}/result", "NDI_OFF ORG"),
    ("POST /api/clue-cases/{id}/feed-back", "NDI_REG ORG"),
    ("POST /api/clue-cases/{id}/offer", "NDI_REG ORG"),
    ("POST /api/clue-cases/{id}/withdraw", "NDI_REG ORG"),
    ("GET /api/identities", "TL CLUE"),
    ("GET /api/identities/{id}", "TL CLUE"),
    ("GET /api/identities/{id}/content", "TL CLUE"),
    ("POST /api/identities", "LO"),
    ("POST /api/identities/{id}/ask", "TL CLUE"),
    ("POST /api/identities/{id}/open", "TL CLUE"),
    ("POST /api/identities/{id}/ask-destruction", "TL CLUE"),
    ("POST /api/identities/{id}/destroy", "TL CLUE"),
    ("GET /api/signing-key", "*"),
    ("POST /api/signing-key", "*"),
    ("GET /api/signing-keys/{person}", "SECADM ORG PLAN"),
    ("POST /api/signing-keys/{person}/certify", "SECADM ORG PLAN"),
    ("GET /api/escrow", "SYS SECADM AUDADM"),
    ("POST /api/escrow", "SECADM"),
    ("GET /api/escrow/share", "*"),
    ("POST /api/escrow/share", "*"),
    ("GET /api/recusals", "SEC LG PLAN ORG"),
    ("GET /api/recusals/{id}", "SEC LG PLAN ORG"),
    ("POST /api/recusals", "*"),
    ("POST /api/recusals/{id}/judge", "LG PLAN ORG"),
    ("GET /api/offices", "*"),
    ("GET /api/neighbours", "*"),
    ("GET /api/intake", "*"),
    ("GET /api/ingest", "*"),
    ("GET /api/keys", "*"),
    ("GET /api/ledger", "*"),
    ("GET /api/divisions", "*"),
    ("GET /api/divisions/{id}", "*"),
    ("GET /api/events", "*"),
    ("GET /api/history/{family}/{id}", "*"),
    ("HEAD /api/papers/{hash}", "*"),
    ("POST /api/enrolment-tokens", "SYS"),
    ("POST /api/offices/{id}/renewal-tokens", "SYS"),
    ("POST /api/offices/{id}/move", "SYS"),
    ("POST /api/organ-homes", "SYS"),
    ("POST /api/offices/{id}/key", "SYS"),
    ("POST /api/offices/{id}/consent", "SYS"),
    ("POST /api/key-changes", "SYS"),
    ("POST /api/token-keys", "SYS"),
    ("POST /api/views/refold", "SYS"),
    ("POST /api/demo/clock", "SYS"),
    ("GET /api/views/check", "SYS AUDADM"),
    ("GET /api/operations", "SYS AUDADM"),
    ("GET /metrics", "SYS AUDADM"),
    ("GET /api/persons", "SYS SECADM AUDADM"),
    ("GET /api/persons/{id}", "SYS SECADM AUDADM"),
    ("POST /api/persons", "SYS"),
    ("POST /api/persons/{id}/authorisations", "SECADM"),
    ("POST /api/persons/{id}/authorisations/{authorisation}/end", "SECADM"),
    ("POST /api/persons/{id}/link", "SYS"),
    ("POST /api/persons/{id}/identity", "SYS"),
    ("POST /api/persons/{id}/identity/end", "SYS"),
    ("GET /api/persons/{id}/certificates", "SYS SECADM AUDADM"),
    ("POST /api/persons/{id}/certificates", "SECADM"),
    ("POST /api/certificates/{fingerprint}/end", "SECADM"),
    ("POST /api/persons/{id}/clear-second-factor", "SECADM"),
    ("POST /api/persons/{id}/end-sessions", "SECADM"),
    ("GET /api/sessions", "*"),
    ("POST /api/sessions/{id}/end", "*"),
    ("POST /api/sign-out", "*"),
    ("GET /api/second-factor", "*"),
    ("POST /api/second-factor", "*"),
    ("POST /api/password", "*"),
    ("GET /api/reads", "AUDADM"),
    ("GET /api/findings/{id}/reads", "AUDADM TL TD TM LO NRD AUD"),
    ("POST /api/divisions/import", "PLAN SYS"),
    ("POST /api/organizations", "PLAN"),
    ("POST /api/organizations/{id}/attributes", "PLAN"),
    ("POST /api/target-lists", "PLAN"),
    ("GET /api/annual-plans", PLANS),
    ("GET /api/annual-plans/{id}", PLANS),
    ("GET /api/annual-plans/{id}/conflicts", "SEC LG PLAN TL^ TD^"),
    ("POST /api/annual-plans", "PLAN"),
    ("POST /api/annual-plans/{id}/rounds", "PLAN"),
    ("POST /api/annual-plans/{id}/rounds/{number}/remove", "PLAN"),
    ("POST /api/annual-plans/{id}/excuses", "LG"),
    ("POST /api/annual-plans/{id}/adopt", "LG"),
    ("POST /api/annual-plans/{id}/approve", "SEC"),
    ("POST /api/annual-plans/{id}/insertions", "LG"),
    ("POST /api/annual-plans/{id}/close", "PLAN"),
    ("GET /api/deadline-policies", "*"),
    ("GET /api/deadline-policies/{key}", "*"),
    ("POST /api/deadline-policies/{key}/decisions", "LG"),
    ("GET /api/organizations", PLANS),
    ("GET /api/organizations/{id}", PLANS),
    ("GET /api/target-lists", PLANS),
    ("GET /api/coverage", PLANS),
    ("GET /api/coverage/pace", PLANS),
    ("GET /api/results", PLANS),
    ("GET /api/rounds", ROUNDS),
    ("GET /api/rounds/{id}", ROUNDS),
    ("GET /api/rounds/{id}/tasks", ROUNDS),
    ("POST /api/rounds", "PLAN"),
    ("POST /api/rounds/{id}/tasks", "PLAN"),
    ("POST /api/rounds/{id}/authorise", "SEC"),
    ("POST /api/rounds/{id}/enter", "TL TD"),
    ("POST /api/rounds/{id}/withdraw", "TL TD"),
    ("POST /api/rounds/{id}/tasks/{task}/list", "TL TD"),
    ("POST /api/rounds/{id}/tasks/{task}/no-finding", "TL TD"),
    ("POST /api/rounds/{id}/hear", "SEC LG"),
    ("POST /api/rounds/{id}/tasks/{task}/feedback", "PLAN TL"),
    ("POST /api/rounds/{id}/archive", "PLAN"),
    ("POST /api/findings", "TL TD TM"),
    ("POST /api/findings/{id}/co-sign", "TL TD TM"),
    ("POST /api/findings/{id}/drop", "TL TD"),
    ("POST /api/findings/{id}/close-out", "RECT"),
    ("POST /api/findings/{id}/reopen", "RECT"),
    ("GET /api/findings", FINDINGS),
    ("GET /api/findings/{id}", FINDINGS),
    ("GET /api/rectifications", FEEDBACK),
    ("GET /api/rectifications/{id}", FEEDBACK),
    ("POST /api/rectifications/{id}/measures", "UNIT COM BR"),
    ("POST /api/rectifications/{id}/complete", "UNIT COM BR"),
    ("GET /api/filings", FILINGS),
    ("GET /api/filings/{id}", FILINGS),
    ("GET /api/filing-reviews", FILINGS),
    ("GET /api/filing-reviews/{id}", FILINGS),
    ("GET /api/filing-board", FILINGS),
    ("GET /api/papers/{hash}", FILINGS),
    ("POST /api/filings", "FILE COM"),
    ("POST /api/filings/{id}/items", "FILE COM"),
    ("POST /api/filings/{id}/submit", "FILE COM"),
    ("POST /api/filing-reviews", "FILE PLAN"),
    ("POST /api/filing-reviews/{id}/items/{code}", "FILE"),
    ("POST /api/filing-reviews/{id}/return", "FILE"),
    ("POST /api/filing-reviews/{id}/accept", "FILE"),
    ("POST /api/history-shares", "PLAN FILE COM"),
    ("POST /api/papers", "FILE LO COM UNIT TL PLAN"),
    ("PUT /api/papers/{hash}", "FILE LO COM UNIT TL PLAN"),
];
const PLANS: &str = "SEC LG PLAN FILE RECT TL^ TD^ LO^ NDI_SUP ORG";
const ROUNDS: &str = "SEC LG PLAN FILE RECT TL TD TM~ LO NRD~ NDI_SUP ORG AUD PL~ UNIT~";
const FEEDBACK: &str =
    "SEC LG PLAN RECT TL TD LO NDI_REG NDI_OFF NDI_SUP ORG AUD PL UNIT COM DISC BR";
const FINDINGS: &str =
    "SEC LG PLAN RECT TL TD TM LO NRD NDI_REG NDI_OFF NDI_SUP ORG AUD PL UNIT COM DISC BR";
const FILINGS: &str = "SEC LG PLAN FILE RECT COM";

fn expected(route: &str, who: &Somebody) -> bool {
    let allowed = ROUTES.iter().find(|(of, _)| *of == route).map_or("", |(_, roles)| roles);
    let narrow = who.scope != "office";
    allowed == "*"
        || allowed.split(' ').any(|role| match role.split_at(role.len().saturating_sub(1)) {
            (role, "~") => role == who.role && narrow,
            (role, "^") => role == who.role && !narrow,
            _ => role == who.role,
        })
}

/// The posts of a tier, each as wide and as narrow as it may be.
fn posts(code: &str) -> Vec<(&'static str, &'static str)> {
    const ADMINISTRATORS: &[(&str, &str)] =
        &[("SYS", "office"), ("SECADM", "office"), ("AUDADM", "office")];
    const TOWNSHIP: &[(&str, &str)] = &[("COM", "office"), ("DISC", "office"), ("BR", "organ:o9")];
    const ABOVE: &[(&str, &str)] = &[
        ("SEC", "office"),
        ("LG", "office"),
        ("PLAN", "office"),
        ("FILE", "office"),
        ("RECT", "office"),
        ("CLUE", "office"),
        ("TL", "office"),
        ("TL", "round:none"),
        ("TD", "office"),
        ("TM", "office"),
        ("TM", "task:none/k1"),
        ("LO", "office"),
        ("NRD", "round:none"),
        ("NDI_REG", "office"),
        ("NDI_OFF", "round:none"),
        ("NDI_SUP", "office"),
        ("ORG", "office"),
        ("AUD", "round:none"),
        ("PL", "organ:o9"),
        ("PL", "portfolio:o8,o9"),
        ("DEPT", "organ:o9"),
        ("UNIT", "office"),
        ("UNIT", "organ:o9"),
    ];
    let workers = if code == TOWN { TOWNSHIP } else { ABOVE };
    workers.iter().chain(ADMINISTRATORS).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_is_let_through_where_the_matrix_says_so_and_nowhere_else() {
    let town = Town::start().await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for code in [CITY, DISTRICT, TOWN] {
        let desk = Desk { town: &town, code, client: Client::default() };
        let mut people = Vec::new();
        for (role, scope) in posts(code) {
            people.push(desk.hire(role, scope, "2024-01-01", None).await);
        }
        let document = desk.get("/api/openapi.json", "").await.json();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if operation["x-who"] == "public" || path == "/api/feed" {
                    continue;
                }
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let nowhere: Vec<&str> =
                    path.split('/').map(|p| if p.starts_with('{') { "x" } else { p }).collect();
                for who in &people {
                    // Without a key nothing is done; who may not, hears that first.
                    let at = nowhere.join("/");
                    let reply = desk.send(method.clone(), &at, &who.bearer, "", json!({})).await;
                    let route = format!("{method} {path}");
                    let (may, let_through) = (expected(&route, who), reply.status != 403);
                    cells += 1;
                    if may != let_through || reply.status == 401 || reply.status >= 500 {
                        wrong.push(format!(
                            "{code} {route} {} {}: {}, expected {may}",
                            who.role, who.scope, reply.status
                        ));
                    }
                }
            }
        }
    }
    eprintln!("{cells} cells");
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells > 3000, "{cells} cells");
}

/// Two rounds at the district: `R1` has entered and has findings on `k1` and `k2`; `R2` is
/// planned and secret. The ids of the findings.
pub(crate) async fn two_rounds(town: &Town) -> (String, String) {
    town.register_units().await;
    let district = town.api(DISTRICT);
    let (plan, mut tasks) = town.village_round("R1");
    tasks.push(json!({"id": "k2", "target": "o1", "name": "县直单位001", "level": "county"}));
    let found = [("k1", "甲"), ("k2", "乙")];
    let found = found.map(|(task, title)| (task.to_owned(), title.to_owned(), "三要素".to_owned()));
    let mut first = Script::new(&district, plan, tasks, found.into());
    first.plan().await.unwrap();
    first.authorise().await.unwrap();
    first.enter().await.unwrap();
    let (plan, tasks) = town.village_round("R2");
    Script::new(&district, plan, tasks, Vec::new()).plan().await.unwrap();
    (first.drafted[0].clone(), first.drafted[1].clone())
}

/// What of the two rounds a post may read, by the matrix: the plan of a round that has
/// entered (K2), one that has not (K3), drafts (K7).
fn reads(who: &Somebody, what: &str, office: &str) -> bool {
    let (first, second) = (format!("round:{office}-R1"), format!("round:{office}-R2"));
    let (k1, k2) = (format!("task:{office}-R1/k1"), format!("task:{office}-R1/k2"));
    let scope = who.scope.as_str();
    let all = scope == "office";
    let in_first = scope == first || scope == k1 || scope == k2;
    let team = ["TL", "TD", "TM", "LO"].contains(&who.role);
    let joins = ["NRD", "AUD"].contains(&who.role);
    match what {
        "R1" => {
            let offices = ["SEC", "LG", "PLAN", "FILE", "RECT", "NDI_SUP", "ORG"];
            let leads = ["TL", "TD", "LO"].contains(&who.role);
            offices.contains(&who.role) || leads && all || (team || joins) && in_first
        }
        "R2" => {
            ["SEC", "LG", "PLAN"].contains(&who.role)
                || ["TL", "TD"].contains(&who.role) && all
                || ["TL", "TD", "TM", "LO", "NRD"].contains(&who.role) && scope == second
        }
        "k1" => {
            team && (all || scope == first || scope == k1)
                || joins && (scope == first || scope == k1)
        }
        _ => {
            team && (all || scope == first || scope == k2)
                || joins && (scope == first || scope == k2)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_reaches_its_own_work_and_nothing_beside_it() {
    let town = Town::start().await;
    let (f1, f2) = two_rounds(&town).await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let office = town.id(DISTRICT);
    let scopes = [
        format!("round:{office}-R1"),
        format!("round:{office}-R2"),
        format!("task:{office}-R1/k1"),
        format!("task:{office}-R1/k2"),
    ];
    let mut people = Vec::new();
    for role in [
        "SEC", "LG", "PLAN", "FILE", "RECT", "CLUE", "NDI_REG", "NDI_SUP", "ORG", "UNIT", "TL",
        "TD", "TM", "LO", "SYS", "SECADM", "AUDADM",
    ] {
        people.push(desk.hire(role, "office", "2024-01-01", None).await);
    }
    for role in ["TL", "TD", "TM", "LO", "NRD", "AUD", "NDI_OFF"] {
        for scope in &scopes {
            people.push(desk.hire(role, scope, "2024-01-01", None).await);
        }
    }
    for role in ["UNIT", "PL", "DEPT"] {
        people.push(desk.hire(role, &format!("organ:{office}-v1"), "2024-01-01", None).await);
    }
    let matters = [
        ("R1", format!("/api/rounds/{office}-R1")),
        ("R2", format!("/api/rounds/{office}-R2")),
        ("k1", format!("/api/findings/{f1}")),
        ("k2", format!("/api/findings/{f2}")),
    ];
    let (mut cells, mut wrong) = (0, Vec::new());
    for who in &people {
        let listed: BTreeMap<&str, String> = BTreeMap::from([
            ("rounds", listed(&desk, "/api/rounds?limit=500", who).await),
            ("findings", listed(&desk, "/api/findings?limit=500", who).await),
            ("events", listed(&desk, "/api/events?limit=1000", who).await),
        ]);
        for (what, path) in &matters {
            let may = reads(who, what, &office);
            let reply = desk.get(path, &who.bearer).await;
            let id = path.rsplit('/').next().unwrap();
            let list = if path.contains("rounds") { "rounds" } else { "findings" };
            let stream = format!("{}/{id}", if list == "rounds" { "round" } else { "finding" });
            let history = desk.get(&format!("/api/history/{stream}"), &who.bearer).await;
            // A post on one round sees no stream but the round's own in the log.
            let in_log = may && (who.scope == "office" || list == "rounds");
            let shown = [
                (reply.status == 200, may, "resource"),
                (listed[list].contains(id), may, "list"),
                (listed["events"].contains(&stream), in_log, "events"),
                (
                    history.status == 200 && history.json()["items"][0]["data"].is_object(),
                    in_log,
                    "history",
                ),
            ];
            for (shown, may, place) in shown {
                cells += 1;
                if shown != may {
                    wrong
                        .push(format!("{} {} {what} in the {place}: {shown}", who.role, who.scope));
                }
            }
            if !may && !matches!(reply.status, 403 | 404) {
                wrong.push(format!("{} {} {what}: {}", who.role, who.scope, reply.status));
            }
        }
    }
    eprintln!("{cells} cells");
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));

    // Commands: a post on another task or round hears that there is no such thing.
    let of = |role: &str, scope: &str| {
        people.iter().find(|who| who.role == role && who.scope == scope).unwrap().bearer.clone()
    };
    let drop = json!({"reason": "duplicate"});
    for (who, path, status) in [
        (of("TL", &scopes[3]), format!("/api/findings/{f1}/drop"), 404),
        (of("TL", &scopes[1]), format!("/api/findings/{f1}/drop"), 404),
        (of("TL", &scopes[1]), format!("/api/rounds/{office}-R1/withdraw"), 404),
        (of("TL", &scopes[2]), format!("/api/rounds/{office}-R1/withdraw"), 403),
        (of("TL", &scopes[3]), format!("/api/rounds/{office}-R1/tasks/k1/list"), 404),
        (of("TM", &scopes[2]), format!("/api/findings/{f1}/drop"), 403),
        (of("TL", &scopes[2]), format!("/api/findings/{f1}/drop"), 200),
        (of("TD", &scopes[0]), format!("/api/findings/{f2}/drop"), 200),
    ] {
        let body = if path.ends_with("drop") { drop.clone() } else { json!({}) };
        let reply = desk.send(Method::POST, &path, &who, "k", body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.json());
    }
}

/// What a list shows, as text; of the log only what is there with its content.
async fn listed(desk: &Desk<'_>, path: &str, who: &Somebody) -> String {
    let reply = desk.get(path, &who.bearer).await;
    if reply.status != 200 {
        return String::new();
    }
    let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| match item["entry"].as_str() {
        Some(entry) => {
            let bytes = deploy::api::from_base64(entry);
            kernel::Fact::of_entry(&bytes).unwrap().0.stream
        }
        None if item["cursor"].is_string() => String::new(),
        None => item["id"].as_str().unwrap_or_default().to_owned(),
    };
    items.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_over_or_not_begun_opens_nothing() {
    let town = Town::start().await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let over = desk.hire("PLAN", "office", "2023-01-01", Some("2024-01-07")).await;
    let soon = desk.hire("PLAN", "office", "2024-01-09", None).await;
    let last_day = desk.hire("PLAN", "office", "2023-01-02", Some("2024-01-08")).await;
    for who in [&over, &soon] {
        let reply = desk.get("/api/rounds", &who.bearer).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("not-allowed")));
    }
    assert_eq!(desk.get("/api/rounds", &last_day.bearer).await.status, 200);
    // Ended today by hand, on the day before: within a second nothing opens any more.
    let path = format!("/api/persons/{}/authorisations/D_PLAN-2023-01-02/end", last_day.person);
    let secadm = town.api(DISTRICT);
    let row = secadm.get("SECADM", &format!("/api/persons/{}", last_day.person)).await.unwrap();
    let version = row["version"].to_string();
    let end = json!({"to": "2024-01-07"});
    secadm.post("SECADM", &path, "end", Some(&version), &end).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(desk.get("/api/rounds", &last_day.bearer).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_exclusive_posts_given_at_once_one_is() {
    let town = Town::start().await;
    let desk = Desk { town: &town, code: TOWN, client: Client::default() };
    let secadm = desk.hire("SECADM", "office", "2024-01-02", None).await.bearer;
    for n in 0..20 {
        let account = format!("both-{n}");
        let new = json!({"account": account, "display": "测试人员"});
        let made = town.api(TOWN).post("SYS", "/api/persons", &account, None, &new).await.unwrap();
        let path = format!("/api/persons/{}/authorisations", made.body["id"].as_str().unwrap());
        let give = |role: &'static str| {
            let (desk, path, secadm) = (&desk, path.clone(), secadm.clone());
            async move {
                let post = json!({"role": role, "from": "2024-01-01"});
                let key = format!("{role}-{n}");
                desk.send(Method::POST, &path, &secadm, &key, post).await.status
            }
        };
        let (one, other) = tokio::join!(give("T_SYS"), give("T_AUDADM"));
        let mut both = [one, other];
        both.sort_unstable();
        assert_eq!(both, [200, 409]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_secret_is_shown_only_with_its_reading_on_record() {
    let town = Town::start().await;
    let (f1, f2) = two_rounds(&town).await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let member = desk.hire("TM", "office", "2024-01-01", None).await;
    let auditor = desk.hire("AUDADM", "office", "2024-01-02", None).await;
    let reads = async |query: &str| {
        desk.get(&format!("/api/reads?limit=500{query}"), &auditor.bearer).await.json()
    };
    let of_member = format!("&person={}", member.person);
    assert_eq!(reads(&of_member).await["items"], json!([]));
    let one = format!("/api/findings/{f1}");
    assert_eq!(desk.get(&one, &member.bearer).await.status, 200);
    let seen = reads(&of_member).await["items"].clone();
    assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen[0]["streams"], json!([format!("finding/{f1}")]));
    assert_eq!(seen[0]["classes"], json!(["K7"]));
    assert_eq!(seen[0]["posts"], json!(["D_TM-2024-01-01"]));
    assert!(!seen.to_string().contains("三要素"), "the record holds no content");
    // Lists, the log and a stream's history are reads too.
    for (path, streams) in [
        ("/api/findings".to_owned(), 2),
        ("/api/events?limit=1000".to_owned(), 2),
        (format!("/api/history/finding/{f2}"), 1),
    ] {
        let before = reads(&of_member).await["items"].as_array().unwrap().len();
        assert_eq!(desk.get(&path, &member.bearer).await.status, 200);
        let after = reads(&of_member).await["items"].clone();
        assert_eq!(after.as_array().unwrap().len(), before + 1, "{path}");
        assert_eq!(after[before]["streams"].as_array().unwrap().len(), streams, "{path}");
    }
    // What is not secret is not recorded, nor what was refused.
    let before = reads(&of_member).await["items"].as_array().unwrap().len();
    desk.get("/api/rounds", &member.bearer).await;
    desk.get("/api/findings/none", &member.bearer).await;
    assert_eq!(reads(&of_member).await["items"].as_array().unwrap().len(), before);
    let of_it = reads(&format!("&of=finding/{f2}")).await["items"].clone();
    let persons: Vec<&Value> = of_it.as_array().unwrap().iter().map(|r| &r["person"]).collect();
    assert_eq!(persons, [member.person.as_str(); 3]);
    assert_eq!(reads("&to=2023-12-31").await["items"], json!([]));

    // Whoever made it sees who looked at it; whoever did not, hears that it is absent.
    let path = format!("/api/findings/{f1}/reads");
    assert_eq!(desk.get(&path, &member.bearer).await.status, 404);
    let drafter = town.api(DISTRICT).get("TM", &path).await.unwrap();
    assert_eq!(drafter["items"][0]["person"], member.person.as_str());
    // The audit administrator sees that there is a draft, and not what it says.
    let log = desk.get(&format!("/api/history/finding/{f1}"), &auditor.bearer).await.json();
    assert!(log["items"][0]["hash"].is_string() && log["items"][0]["data"].is_null(), "{log}");
    assert_eq!(desk.get(&one, &auditor.bearer).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_page_shows_every_row() {
    let town = Town::start().await;
    let desk = Desk { town: &town, code: TOWN, client: Client::default() };
    let page = desk.get("/policy", "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    for row in access::policy::TABLE {
        assert!(text.contains(row.subject.names()[0]) && text.contains(row.subject.names()[1]));
        assert!(row.action == access::policy::READ || text.contains(row.action), "{}", row.action);
    }
    for role in domain::post::ROLES {
        assert!(text.contains(role.names[0]) && text.contains(role.names[1]), "{}", role.name);
    }
}

/// Everything of an answer that its reader sees, without what is drawn anew each time.
fn told(reply: &Reply) -> (u16, String) {
    let mut body = reply.json();
    body["instance"] = Value::Null;
    (reply.status, body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_and_absent_cannot_be_told_apart() {
    let town = Town::start().await;
    let (finding, _) = two_rounds(&town).await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let office = town.id(DISTRICT);
    let other = desk.hire("TL", &format!("round:{office}-none"), "2024-01-01", None).await;
    let who = &other.bearer;
    let absent = format!("{office}-0123456789abcdef");
    let pairs = [
        (Method::GET, format!("/api/findings/{finding}"), format!("/api/findings/{absent}")),
        (
            Method::GET,
            format!("/api/findings/{finding}/reads"),
            format!("/api/findings/{absent}/reads"),
        ),
        (Method::GET, format!("/api/rounds/{office}-R2"), format!("/api/rounds/{office}-R9")),
        (
            Method::GET,
            format!("/api/rounds/{office}-R2/tasks"),
            format!("/api/rounds/{office}-R9/tasks"),
        ),
        (
            Method::GET,
            format!("/api/history/round/{office}-R2"),
            format!("/api/history/round/{office}-R9"),
        ),
        (
            Method::GET,
            format!("/api/history/finding/{finding}"),
            format!("/api/history/finding/{absent}"),
        ),
        (
            Method::POST,
            format!("/api/rounds/{office}-R2/enter"),
            format!("/api/rounds/{office}-R9/enter"),
        ),
        (
            Method::POST,
            format!("/api/findings/{finding}/co-sign"),
            format!("/api/findings/{absent}/co-sign"),
        ),
    ];
    for (method, forbidden, absent) in &pairs {
        let one = desk.send(method.clone(), forbidden, who, "k", json!({})).await;
        let two = desk.send(method.clone(), absent, who, "k", json!({})).await;
        assert_eq!(told(&one), told(&two), "{forbidden}");
        assert_eq!(one.status, 404, "{forbidden}");
    }
    // By time: the middle of many such requests after each other hardly differs.
    let (_, forbidden, absent) = &pairs[0];
    let timed = async |path: &str| {
        let began = std::time::Instant::now();
        desk.get(path, who).await;
        began.elapsed()
    };
    let (mut of_forbidden, mut of_absent) = (Vec::new(), Vec::new());
    for n in 0..1500 {
        // Whoever goes second finds the way warm: they take turns.
        if n % 2 == 0 {
            of_forbidden.push(timed(forbidden).await);
            of_absent.push(timed(absent).await);
        } else {
            of_absent.push(timed(absent).await);
            of_forbidden.push(timed(forbidden).await);
        }
    }
    let middle = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (one, two) = (middle(of_forbidden), middle(of_absent));
    eprintln!("forbidden {one:?}, absent {two:?}");
    assert!(one.abs_diff(two) < LOOKUP, "forbidden {one:?}, absent {two:?}");
}

/// Below the noise of any network. To read the row that is there and to weigh it takes 17 to
/// 23 µs, as measured; a lookup more, or a refusal at another place, would take longer.
const LOOKUP: Duration = Duration::from_micros(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_live_feed_ends_with_the_post() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let town = Town::start().await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let who = desk.hire("PLAN", "office", "2024-01-01", None).await;
    let url = town.url(DISTRICT);
    let address = url.trim_start_matches("http://");
    let mut feed = tokio::net::TcpStream::connect(address).await.unwrap();
    let ask = format!(
        "GET /api/feed HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {}\r\n\r\n",
        who.bearer
    );
    feed.write_all(ask.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("caught-up") {
        let mut part = [0; 8192];
        let some = feed.read(&mut part).await.unwrap();
        assert!(some > 0, "it ended before");
        seen.extend_from_slice(&part[..some]);
    }
    let api = town.api(DISTRICT);
    let row = api.get("SECADM", &format!("/api/persons/{}", who.person)).await.unwrap();
    let path = format!("/api/persons/{}/authorisations/D_PLAN-2024-01-01/end", who.person);
    let version = row["version"].to_string();
    let end = json!({"to": "2024-01-07"});
    api.post("SECADM", &path, "end", Some(&version), &end).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    // The next entry that would be shown finds nobody there.
    let plan = json!({"number": "R7", "name": "下一轮", "kind": "regular", "organisation": "own",
        "reach": "direct"});
    api.post("PLAN", "/api/rounds", "plan", None, &plan).await.unwrap();
    let mut rest = Vec::new();
    let ended =
        tokio::time::timeout(std::time::Duration::from_secs(10), feed.read_to_end(&mut rest));
    ended.await.expect("it goes on").unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("round.planned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_breaks_off_with_the_post_and_a_long_operation_is_seen_no_more() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let town = Town::start().await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let who = desk.hire("FILE", "office", "2024-01-01", None).await;
    let stays = desk.hire("FILE", "office", "2023-12-01", None).await;
    let bytes: Vec<u8> = (0..20 * 1024 * 1024_u32).map(|n| (n % 251) as u8).collect();
    let url = format!("{}/api/papers", town.url(DISTRICT));
    let headers = [("authorization", who.bearer.as_str())];
    let sent = desk.client.send(Method::POST, &url, &headers, bytes.clone()).await.unwrap();
    let hash = sent.json()["hash"].as_str().unwrap().to_owned();
    let address = town.url(DISTRICT);
    let address = address.trim_start_matches("http://");
    let ask = |bearer: &str| {
        format!(
            "GET /api/papers/{hash} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: {bearer}\r\n\r\n"
        )
    };
    let mut downloads = Vec::new();
    for person in [&who, &stays] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(ask(&person.bearer).as_bytes()).await.unwrap();
        let mut first = vec![0; 32 * 1024];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200"));
        downloads.push(stream);
    }
    let api = town.api(DISTRICT);
    let row = api.get("SECADM", &format!("/api/persons/{}", who.person)).await.unwrap();
    let path = format!("/api/persons/{}/authorisations/D_FILE-2024-01-01/end", who.person);
    let end = json!({"to": "2024-01-07"});
    api.post("SECADM", &path, "end", Some(&row["version"].to_string()), &end).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let mut rests = Vec::new();
    for mut stream in downloads {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rests.push(rest.len());
    }
    assert!(rests[0] < bytes.len() - 64 * 1024, "it went on: {} bytes", rests[0]);
    assert!(rests[1] > bytes.len() - 64 * 1024, "whoever may read on does: {} bytes", rests[1]);
    let again = desk.get(&format!("/api/papers/{hash}"), &who.bearer).await;
    assert_eq!(again.status, 403);

    // Whoever began a long operation and lost his post sees nothing more of it.
    let sys = desk.hire("SYS", "office", "2024-01-01", None).await;
    let begun =
        desk.send(Method::POST, "/api/views/refold", &sys.bearer, "refold", json!({})).await;
    assert_eq!(begun.status, 202, "{}", begun.json());
    let row = api.get("SECADM", &format!("/api/persons/{}", sys.person)).await.unwrap();
    let path = format!("/api/persons/{}/authorisations/D_SYS-2024-01-01/end", sys.person);
    api.post("SECADM", &path, "end-sys", Some(&row["version"].to_string()), &end).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert_eq!(desk.get("/api/operations", &sys.bearer).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_and_its_list_are_secret_until_their_day() {
    let town = Town::start().await;
    town.register_units().await;
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let (district, office) = (town.api(DISTRICT), town.id(DISTRICT));
    let (plan, mut tasks) = town.village_round("R1");
    tasks.push(json!({"id": "k2", "target": "o1", "name": "县直单位001", "level": "county"}));
    let mut round = Script::new(&district, plan, tasks, Vec::new());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    let tl = desk.hire("TL", "office", "2024-01-01", None).await;
    let file = desk.hire("FILE", "office", "2024-01-01", None).await;
    let units = [
        desk.hire("UNIT", &format!("organ:{office}-v1"), "2024-01-01", None).await,
        desk.hire("UNIT", &format!("organ:{office}-o1"), "2024-01-01", None).await,
    ];
    let watchers = [
        desk.hire("UNIT", "office", "2024-01-01", None).await,
        desk.hire("ORG", "office", "2024-01-01", None).await,
    ];
    let path = format!("/api/rounds/{office}-R1");
    let tasks_of = async |who: &Somebody| {
        let reply = desk.get(&format!("{path}/tasks"), &who.bearer).await;
        let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
        (reply.status, items)
    };
    let named = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["task"]["id"].as_str().unwrap().to_owned()).collect()
    };
    // One team enters; the other task is still the secret of the next round.
    let enter = json!({"tasks": ["k1"]});
    let entered = desk.send(Method::POST, &format!("{path}/enter"), &tl.bearer, "e", enter).await;
    assert_eq!(entered.status, 200, "{}", entered.json());
    assert_eq!(named(&tasks_of(&tl).await.1), ["k1", "k2"]);
    assert_eq!(named(&tasks_of(&file).await.1), ["k1"]);
    assert_eq!(named(&tasks_of(&units[0]).await.1), ["k1"]);
    assert_eq!(tasks_of(&units[1]).await.0, 404);
    // What is hidden makes no further page either.
    let one = desk.get(&format!("{path}/tasks?limit=1"), &file.bearer).await.json();
    assert_eq!((one["items"].as_array().unwrap().len(), &one["next"]), (1, &Value::Null), "{one}");
    let one = desk.get(&format!("{path}/tasks?limit=1"), &tl.bearer).await.json();
    let next = one["next"].as_str().unwrap();
    let rest = desk.get(&format!("{path}/tasks?limit=1&after={next}"), &tl.bearer).await.json();
    assert_eq!(named(rest["items"].as_array().unwrap()), ["k2"]);

    // A list: its leaders know how long it is, inspected people do not know that there is one.
    let draft = json!({"round": format!("{office}-R1"), "task": "k1", "category": "四个落实",
        "title": "甲", "text": "三要素"});
    let made = district.post("TM", "/api/findings", "f", None, &draft).await.unwrap();
    let finding = made.body["id"].as_str().unwrap().to_owned();
    let sign = format!("/api/findings/{finding}/co-sign");
    district.post("TL", &sign, "s", Some("1"), &json!({})).await.unwrap();
    let list =
        desk.send(Method::POST, &format!("{path}/tasks/k1/list"), &tl.bearer, "l", json!({})).await;
    assert_eq!(list.status, 200, "{}", list.json());
    assert_eq!(tasks_of(&tl).await.1[0]["listed"], 1);
    for who in [&units[0], &file] {
        assert_eq!(tasks_of(who).await.1[0]["listed"], Value::Null, "{}", who.role);
    }
    for who in &watchers {
        let seen = listed(&desk, "/api/events?limit=1000", who).await;
        assert!(!seen.contains(&finding), "{}: {seen}", who.role);
        let reply = desk.get(&format!("/api/history/finding/{finding}"), &who.bearer).await;
        assert_eq!(reply.status, 404, "{}", who.role);
        let findings = desk.get("/api/findings", &who.bearer).await.json();
        assert_eq!(findings["items"], json!([]), "{}", who.role);
    }
    let leader = desk.get(&format!("/api/findings/{finding}"), &tl.bearer).await;
    assert_eq!((leader.status, leader.json()["state"].as_str()), (200, Some("listed")));
}
