//! 关系 Relations: every role against every route on a matter, as its own, a sibling's, a
//! former holder's, an expired one's, a recused one's, the object's, and from the offices
//! above and below; held against a model that was written from the offices' matrix.

use hyper::Method;
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};
use web::client::Client;

use crate::policy::{Desk, Somebody, two_rounds};

/// What somebody is to the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// A post that covers it.
    Own,
    /// The same post on another work or unit.
    Sibling,
    /// The post was held until yesterday; another one, on nothing, is held.
    Former,
    /// The only post is over.
    Expired,
    /// A post that covers it, and kept from the unit.
    Recused,
    /// A post that covers it, and one of the inspected unit itself.
    Object,
    /// The same role one tier up, asked there.
    Upper,
    /// A role one tier down, asked there.
    Lower,
}

use Relation::{Expired, Former, Lower, Object, Own, Recused, Sibling, Upper};

/// Roles with a scope that covers the task `R1/k1` of unit `v1`, and one that does not.
const SCOPED: &[(&str, &str, &str)] = &[
    ("TL", "round:R1", "round:R2"),
    ("TL", "task:R1/k1", "task:R1/k2"),
    ("TD", "task:R1/k1", "task:R1/k2"),
    ("TM", "round:R1", "round:R2"),
    ("TM", "task:R1/k1", "task:R1/k2"),
    ("LO", "task:R1/k1", "task:R1/k2"),
    ("NRD", "round:R1", "round:R2"),
    ("AUD", "task:R1/k1", "task:R1/k2"),
    ("NDI_OFF", "round:R1", "round:R2"),
    ("PL", "organ:v1", "organ:o1"),
    ("PL", "portfolio:v1,x9", "portfolio:o1,x9"),
    ("DEPT", "organ:v1", "organ:o1"),
    ("UNIT", "organ:v1", "organ:o1"),
];
const WIDE: &[&str] =
    &["SEC", "LG", "PLAN", "FILE", "RECT", "CLUE", "NDI_REG", "NDI_SUP", "ORG", "TL", "TM"];
const ADMINISTRATORS: &[&str] = &["SYS", "SECADM", "AUDADM"];

/// A route on a matter: a command is sent at a version that is not there, so that whoever
/// may give it changes nothing.
#[derive(Clone, Copy, Debug)]
struct Asked {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

const fn reads(name: &'static str, path: &'static str) -> Asked {
    Asked { name, method: "GET", path, body: "" }
}

const fn does(name: &'static str, path: &'static str, body: &'static str) -> Asked {
    Asked { name, method: "POST", path, body }
}

const ASKED: &[Asked] = &[
    reads("draft", "/api/findings/DRAFT"),
    reads("drafts", "/api/findings?limit=500&round=R1&task=k1"),
    reads("draft's history", "/api/history/finding/DRAFT"),
    reads("task", "/api/rounds/R1/tasks"),
    does("co-sign", "/api/findings/DRAFT/co-sign", "{}"),
    does("drop", "/api/findings/DRAFT/drop", r#"{"reason":"duplicate"}"#),
    does(
        "close-out",
        "/api/findings/DRAFT/close-out",
        r#"{"basis":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
    ),
    does("reopen", "/api/findings/DRAFT/reopen", r#"{"reason":"重新整改"}"#),
    does("list", "/api/rounds/R1/tasks/k1/list", "{}"),
    does("no-finding", "/api/rounds/R1/tasks/k1/no-finding", "{}"),
    does("feedback", "/api/rounds/R1/tasks/k1/feedback", "{}"),
    does("withdraw", "/api/rounds/R1/withdraw", r#"{"tasks":["k1"]}"#),
    does("withdraw all", "/api/rounds/R1/withdraw", "{}"),
    does("hear", "/api/rounds/R1/hear", "{}"),
    does("archive", "/api/rounds/R1/archive", "{}"),
    // The next round, on the same unit: secret until it is entered.
    reads("next task", "/api/rounds/R2/tasks"),
    reads("next history", "/api/history/round/R2"),
    does("next tasks", "/api/rounds/R2/tasks", NEXT_TASKS),
    does("next authorise", "/api/rounds/R2/authorise", "{}"),
    does("next enter", "/api/rounds/R2/enter", "{}"),
];
const NEXT_TASKS: &str = r#"[{"id":"k7","target":"UNIT","name":"南坡村","level":"village"}]"#;

/// The offices' matrix (`model.md` 2.3) on a draft of task `k1`, unit `v1`, of a round
/// that has entered; the task itself is plan by then.
fn may(role: &str, scope: &str, relation: Relation, asked: &str) -> bool {
    if asked.starts_with("next") {
        return may_next(role, scope, relation, asked);
    }
    if matches!(relation, Sibling | Former | Expired | Recused | Upper | Lower) {
        return false;
    }
    // Inspected people have the plan of their own visit and nothing else here.
    if relation == Object {
        return asked == "task";
    }
    let wide = scope == "office";
    let team = ["TL", "TD", "TM", "LO"].contains(&role);
    let consulted = ["NRD", "AUD"].contains(&role);
    let leads = ["TL", "TD"].contains(&role);
    match asked {
        "draft" | "drafts" => team || consulted,
        // The log knows rounds and offices, not units: a narrow post sees no draft in it.
        "draft's history" => team && wide,
        "task" => match role {
            "SEC" | "LG" | "PLAN" | "FILE" | "RECT" | "NDI_SUP" | "ORG" | "AUD" => true,
            "TL" | "TD" | "LO" => true,
            "TM" | "NRD" => !wide,
            "PL" | "UNIT" => true,
            _ => false,
        },
        "co-sign" => leads || role == "TM",
        "drop" | "list" | "no-finding" | "withdraw" => leads,
        // A post on one task does not act for the whole round.
        "withdraw all" => leads && !scope.starts_with("task"),
        "close-out" | "reopen" => role == "RECT",
        "hear" => ["SEC", "LG"].contains(&role),
        "archive" => role == "PLAN",
        "feedback" => role == "PLAN" || role == "TL",
        other => panic!("{other}"),
    }
}

/// The same on the round after it, before it is entered (K3), on the same unit.
fn may_next(role: &str, scope: &str, relation: Relation, asked: &str) -> bool {
    if !matches!(relation, Own | Sibling) {
        return false;
    }
    let (wide, on_it) = (scope == "office", scope.ends_with("-R2"));
    let leads = ["TL", "TD"].contains(&role);
    match asked {
        "next task" | "next history" => {
            ["SEC", "LG", "PLAN"].contains(&role)
                || leads && (wide || on_it)
                || ["TM", "LO", "NRD"].contains(&role) && on_it
        }
        "next tasks" => role == "PLAN",
        "next authorise" => role == "SEC",
        "next enter" => leads && (wide || on_it),
        other => panic!("{other}"),
    }
}

fn here(scope: &str, office: &str) -> String {
    let places = ["R1", "R2", "v1", "o1"];
    places.iter().fold(scope.to_owned(), |text, place| {
        text.replace(&format!(":{place}"), &format!(":{office}-{place}"))
    })
}

async fn with_relation(
    desk: &Desk<'_>,
    office: &str,
    (role, own, sibling): (&'static str, &str, &str),
    relation: Relation,
) -> Somebody {
    let from = format!("2023-01-{:02}", relation as u8 + 1);
    let (own, sibling) = (here(own, office), here(sibling, office));
    match relation {
        Sibling => desk.hire(role, &sibling, &from, None).await,
        Former | Expired => {
            let who = desk.hire(role, &own, &from, Some("2024-01-07")).await;
            if relation == Former {
                desk.give(&who, "DEPT", "organ:nothing", "2024-01-08", None).await;
            }
            who
        }
        Recused => {
            let who = desk.hire(role, &own, &from, None).await;
            let keep = json!({"person": who.person, "organization": format!("{office}-v1"),
                "ground": "kin"});
            let api = desk.town.api(DISTRICT);
            api.post("ORG", "/api/recusals", &who.person, None, &keep).await.unwrap();
            who
        }
        Object => {
            let who = desk.hire(role, &own, &from, None).await;
            let unit = format!("organ:{office}-v1");
            if role != "UNIT" {
                desk.give(&who, "UNIT", &unit, "2023-01-01", None).await;
            }
            who
        }
        Own | Upper | Lower => desk.hire(role, &own, &from, None).await,
    }
}

async fn is_let_through(desk: &Desk<'_>, who: &Somebody, asked: &Asked, finding: &str) -> bool {
    let office = desk.town.id(DISTRICT);
    let path = asked.path.replace("DRAFT", finding).replace("/R1", &format!("/{office}-R1"));
    let path = path.replace("round=R1", &format!("round={office}-R1"));
    let path = path.replace("/R2", &format!("/{office}-R2"));
    let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
    let body = asked.body.replace("UNIT", &format!("{office}-v1"));
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    let reply = desk.send_at("\"999\"", (method, &path), &who.bearer, "k", body).await;
    match (asked.method, reply.status) {
        (_, 403 | 404) => false,
        ("GET", 200) => {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            match asked.name {
                "drafts" => text.contains(finding),
                "task" | "next task" => text.contains("\"k1\""),
                "draft's history" | "next history" => {
                    reply.json()["items"].as_array().unwrap().iter().any(|i| i["data"].is_object())
                }
                _ => true,
            }
        }
        // The rules were asked: who may not, is refused before that.
        ("POST", 409 | 412) => true,
        (_, status) => panic!("{} {}: {status} {}", asked.name, who.role, reply.json()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_route_and_relation_is_as_the_matrix_says() {
    let town = Town::start().await;
    let (finding, _) = two_rounds(&town).await;
    let office = town.id(DISTRICT);
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let mut people = Vec::new();
    let each = [Own, Sibling, Former, Expired, Recused, Object];
    for &(role, own, sibling) in SCOPED {
        for relation in each {
            // Who is of the unit already, is its object by that.
            let who = with_relation(&desk, &office, (role, own, sibling), relation).await;
            people.push((who, relation));
        }
    }
    for &role in WIDE.iter().chain(ADMINISTRATORS) {
        for relation in [Own, Former, Expired, Recused, Object] {
            // An administrator holds no other post.
            if ADMINISTRATORS.contains(&role) && matches!(relation, Object | Former) {
                continue;
            }
            let who = with_relation(&desk, &office, (role, "office", ""), relation).await;
            people.push((who, relation));
        }
    }
    let (mut cells, mut wrong) = (0, Vec::new());
    let mut held = |who: &Somebody, relation, asked: &Asked, through: bool| {
        let relation = if who.role == "UNIT" && relation == Object { Own } else { relation };
        cells += 1;
        if through != may(who.role, &who.scope, relation, asked.name) {
            wrong
                .push(format!("{} {} {relation:?} {}: {through}", who.role, who.scope, asked.name));
        }
    };
    for (who, relation) in &people {
        for asked in ASKED {
            let through = is_let_through(&desk, who, asked, &finding).await;
            held(who, *relation, asked, through);
        }
    }
    // Above and below, each at the service there, the district's matter is not.
    for (code, relation, roles) in [(CITY, Upper, WIDE), (TOWN, Lower, &["COM", "DISC"] as &[&str])]
    {
        let desk = Desk { town: &town, code, client: Client::default() };
        for role in roles {
            let who = desk.hire(role, "office", "2023-01-01", None).await;
            for asked in ASKED {
                let through = is_let_through(&desk, &who, asked, &finding).await;
                held(&who, relation, asked, through);
            }
        }
    }
    eprintln!("{cells} cells, {} people", people.len());
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells > 2500, "{cells} cells");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_declares_a_recusal_is_out_at_once_and_two_organs_let_him_back() {
    let town = Town::start().await;
    let (finding, other) = two_rounds(&town).await;
    let office = town.id(DISTRICT);
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let who = desk.hire("TL", "office", "2023-01-01", None).await;
    let plan = desk.hire("PLAN", "office", "2023-01-01", None).await;
    let org = desk.hire("ORG", "office", "2023-01-01", None).await;
    let path = format!("/api/findings/{finding}");
    let log = format!("/api/history/finding/{finding}");
    let sees = async |path: &str| desk.get(path, &who.bearer).await.status;
    assert_eq!((sees(&path).await, sees(&log).await), (200, 200));

    let unit = format!("{office}-v1");
    let declared = json!({"organization": unit, "ground": "kin"});
    let raise = async |who: &Somebody, key: &str, body: &Value| {
        desk.send(Method::POST, "/api/recusals", &who.bearer, key, body.clone()).await
    };
    // Of somebody else only those report it who form the teams; of nobody, nobody.
    let report = json!({"person": plan.person, "organization": unit, "ground": "duty"});
    assert_eq!(raise(&who, "report", &report).await.status, 403);
    let nobody = json!({"person": "nobody", "organization": unit, "ground": "duty"});
    assert_eq!(raise(&org, "nobody", &nobody).await.status, 404);
    let made = raise(&who, "declare", &declared).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let recusal = format!("/api/recusals/{}", made.json()["id"].as_str().unwrap());
    // Nothing more is done from this very moment on, whatever is still shown for a second.
    let draft = json!({"round": format!("{office}-R1"), "task": "k1", "category": "四个落实",
        "title": "丙", "text": "三要素"});
    let late = desk.send(Method::POST, "/api/findings", &who.bearer, "late", draft).await;
    assert_eq!(late.status, 404, "{}", late.json());
    let drop = json!({"reason": "duplicate"});
    let late = desk.send(Method::POST, &format!("{path}/drop"), &who.bearer, "late", drop).await;
    assert_eq!(late.status, 404, "{}", late.json());

    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    // The log does not say of which unit an entry is, so that it shows him no draft at all.
    let other = format!("/api/findings/{other}");
    assert_eq!((sees(&path).await, sees(&log).await, sees(&other).await), (404, 404, 200));
    let me = desk.get("/api/me", &who.bearer).await.json();
    assert_eq!(me["recused"], json!([unit]));
    let events = desk.get("/api/events?limit=1000", &who.bearer).await;
    assert!(!String::from_utf8_lossy(&events.body).contains("finding.drafted"));

    // Once is enough: the same person and organization are one recusal.
    let again = json!({"person": who.person, "organization": unit, "ground": "duty"});
    let again = raise(&org, "again", &again).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("recusal-exists")));
    // Nobody decides it who has a stake in that organization himself.
    let partial = desk.hire("ORG", "office", "2023-01-03", None).await;
    let stake = json!({"organization": unit, "ground": "post"});
    assert_eq!(raise(&partial, "partial", &stake).await.status, 201);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;

    let judge = async |who: &Somebody, key: &str, verdict: &str| {
        let body = json!({"verdict": verdict, "reason": "经核查"});
        let path = format!("{recusal}/judge");
        desk.send(Method::POST, &path, &who.bearer, key, body).await
    };
    assert_eq!(judge(&who, "own", "dismissed").await.status, 403);
    assert_eq!(judge(&partial, "partial", "dismissed").await.status, 403);
    assert_eq!(judge(&plan, "one", "dismissed").await.status, 200);
    assert_eq!(sees(&path).await, 404, "one opinion is none");
    let waiting = desk.get("/api/worklist", &org.bearer).await.json();
    assert!(waiting["items"].as_array().unwrap().iter().any(|item| item["kind"] == "recusal"));
    assert_eq!(judge(&org, "two", "dismissed").await.status, 200);
    let row = desk.get(&recusal, &org.bearer).await.json();
    assert_eq!(
        (&row["decided"], row["opinions"].as_array().unwrap().len()),
        (&json!("dismissed"), 2)
    );
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!((sees(&path).await, sees(&log).await), (200, 200));
    // Administrators give accounts and posts; why somebody stays away is not theirs.
    for role in ["SYS", "SECADM"] {
        let who = desk.hire(role, "office", "2023-01-02", None).await;
        let events = desk.get("/api/events?limit=1000", &who.bearer).await;
        let text = String::from_utf8_lossy(&events.body).into_owned();
        assert!(text.contains("person.authorised") && !text.contains("recusal.declared"), "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_consulted_says_why_and_the_read_log_keeps_it() {
    let town = Town::start().await;
    let (finding, _) = two_rounds(&town).await;
    let office = town.id(DISTRICT);
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let deputy = desk.hire("NRD", &format!("round:{office}-R1"), "2023-01-01", None).await;
    let auditor = desk.hire("AUDADM", "office", "2023-01-01", None).await;
    let url = |path: &str| format!("{}{path}", town.url(DISTRICT));
    let asked = async |path: &str, reason: Option<&str>| {
        let mut headers = vec![("authorization", deputy.bearer.as_str())];
        headers.extend(reason.map(|reason| ("reading-reason", reason)));
        desk.client.send(Method::GET, &url(path), &headers, Vec::new()).await.unwrap()
    };
    let path = format!("/api/findings/{finding}");
    for path in [path.as_str(), "/api/findings"] {
        let without = asked(path, None).await;
        assert_eq!(
            (without.status, &without.json()["code"]),
            (428, &json!("reading-reason-missing"))
        );
        for blank in ["%20", "%0A", "%FF"] {
            assert_eq!(asked(path, Some(blank)).await.status, 422, "{blank}");
        }
    }
    let reply = asked(&path, Some("%E4%BC%9A%E5%95%86%E5%AE%9A%E6%80%A7")).await;
    assert_eq!(reply.status, 200);
    let reads = format!("/api/reads?of=finding/{finding}");
    let reads = desk.get(&reads, &auditor.bearer).await.json();
    let read = reads["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&read["person"], &read["reason"]), (&json!(deputy.person), &json!("会商定性")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_count_is_not_for_those_who_may_not_read_what_is_counted() {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round("R1");
    let found = ["甲", "乙"].map(|title| ("k1".to_owned(), title.to_owned(), "三要素".to_owned()));
    let mut round = deploy::round::Script::new(&district, plan, tasks, found.into());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.withdraw().await.unwrap();
    round.hear().await.unwrap();
    round.feed_back().await.unwrap();
    let id = format!("/api/rounds/{}-R1", town.id(DISTRICT));
    let village = |said: &Value| {
        let levels = said["levels"].as_array().unwrap();
        levels.iter().find(|level| level["level"] == "village").unwrap().clone()
    };
    // What is counted is fed back to the township; its rectification is of the same unit.
    let org = json!({"person": person_of(&town, "RECT").await,
        "organization": format!("{}-v1", town.id(DISTRICT)), "ground": "kin"});
    let finding = &round.drafted[0];
    let unit = town.api(TOWN);
    town.until("the rectification is at the township", || async {
        let items = unit.get("COM", "/api/rectifications").await.unwrap()["items"].clone();
        items.as_array().unwrap().len() == 2
    })
    .await;
    deploy::round::rectify(&unit, "COM", finding).await.unwrap();
    town.until("the desk reads of it", || async {
        let items = district.get("RECT", "/api/rectifications").await.unwrap()["items"].clone();
        items.as_array().unwrap().len() == 1
    })
    .await;
    for (role, knows) in [("RECT", json!(2)), ("SEC", json!(2)), ("FILE", Value::Null)] {
        let results = village(&district.get(role, "/api/results").await.unwrap());
        assert_eq!((&results["found"], &results["inspected"]), (&knows, &json!(1)), "{role}");
        assert_eq!(results["rate"].is_null(), knows.is_null(), "{role}");
        let row = district.get(role, &id).await.unwrap();
        assert_eq!(row["open_findings"], knows, "{role}");
        let tasks = district.get(role, &format!("{id}/tasks")).await.unwrap();
        assert_eq!(tasks["items"][0]["listed"], knows, "{role}");
    }
    // The log tells the filing desk no exact count either.
    let desk = Desk { town: &town, code: DISTRICT, client: Client::default() };
    let file = desk.hire("FILE", "office", "2023-01-01", None).await;
    let sec = desk.hire("SEC", "office", "2023-01-01", None).await;
    town.until("figures are reported", || async {
        let events = desk.get("/api/events?limit=1000", &sec.bearer).await;
        String::from_utf8_lossy(&events.body).contains("figures.reported")
    })
    .await;
    for (who, shown) in [(&file, false), (&sec, true)] {
        let events = desk.get("/api/events?limit=1000", &who.bearer).await;
        let text = String::from_utf8_lossy(&events.body).into_owned();
        assert_eq!(text.contains("figures.reported"), shown, "{}", who.role);
    }
    // Whoever is kept from the unit sees nothing of its rectification here.
    district.post("ORG", "/api/recusals", "rect", None, &org).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let items = district.get("RECT", "/api/rectifications").await.unwrap()["items"].clone();
    assert_eq!(items, json!([]));
}

async fn person_of(town: &Town, role: &str) -> String {
    let me = town.api(DISTRICT).get(role, "/api/me").await.unwrap();
    me["person"].as_str().unwrap().to_owned()
}
