//! The pages, in a real browser without a script: signing in with a phone and with a
//! certificate, in both languages, by keyboard alone.

use serde_json::{Value, json};
use tests::{
    browser::Browser,
    chancery::{self, Chancery, Clerk},
    town::{CITY, DISTRICT, Secrecy, Town},
};
use web::{Wire, client::Client};

use crate::signing_in::{Door, PASSWORD, code};

/// A page is small, has no script, says its language, and nothing is wrong with it.
async fn is_fit(browser: &Browser, language: &str) {
    let path = browser.path().await;
    assert_eq!(browser.violations().await, Vec::<String>::new(), "{path}");
    assert_eq!(browser.language().await, language, "{path}");
    assert_eq!(browser.scripts().await, 0, "{path}");
    let weight = browser.weight().await;
    assert!((500..150 * 1024).contains(&weight), "{path} weighs {weight} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_comes_in_by_keyboard_and_phone() {
    let town = Town::real_city().await;
    let door = Door { town: &town, client: Client::default() };
    let url = town.url(CITY);
    let browser = Browser::open(&town.folder.join("browser"), None).await;
    // Whoever is not signed in is led to the door, and from there on to where he wanted.
    browser.go(&format!("{url}/filing-board")).await;
    assert_eq!(browser.path().await, "/sign-in");
    is_fit(&browser, "zh-CN").await;
    browser.press_on("a[href='/first-sign-in']").await;
    is_fit(&browser, "zh-CN").await;
    browser.fill("#link", &door.link("secadm")).await;
    browser.fill("#password", PASSWORD).await;
    browser.press_on("main button").await;

    // The post asks for a second factor: until one is set there is only the account.
    assert_eq!(browser.path().await, "/account");
    is_fit(&browser, "zh-CN").await;
    assert!(browser.text().await.contains("本岗位须先设置第二要素"));
    browser.go(&format!("{url}/worklist")).await;
    assert_eq!(browser.path().await, "/account");
    let secret = browser.text_of("#secret").await;
    browser.fill("#code", "000000").await;
    browser.press_on("form[action='/account/second-factor'] button").await;
    assert!(browser.text_of("[role=alert]").await.contains("验证码与新的第二要素不符"));
    assert_eq!(browser.text_of("#secret").await, secret, "what was scanned stays");
    browser.fill("#code", &code(&secret, 0)).await;
    browser.press_on("form[action='/account/second-factor'] button").await;

    // Set; every session ended. Signing in again, in English.
    assert_eq!(browser.path().await, "/sign-in");
    browser.press_on("a[hreflang=en]").await;
    is_fit(&browser, "en").await;
    browser.fill("#account", "secadm").await;
    browser.fill("#password", "not the password at all").await;
    browser.press_on("main button").await;
    assert!(browser.text_of("[role=alert]").await.contains("The account or the password is wrong"));
    is_fit(&browser, "en").await;
    browser.fill("#password", PASSWORD).await;
    browser.press_on("main button").await;
    assert!(browser.text_of("[role=alert]").await.contains("second factor is missing"));
    browser.fill("#password", PASSWORD).await;
    browser.fill("#code", &code(&secret, 0)).await;
    browser.press_on("main button").await;
    assert_eq!(browser.path().await, "/account", "back to where the session had ended");
    browser.press_on("nav a[href='/account']").await;
    is_fit(&browser, "en").await;
    assert!(browser.text().await.contains("C_SECADM"));
    for page in ["/worklist", "/events", "/policy", "/problems/locked"] {
        browser.go(&format!("{url}{page}")).await;
        assert_eq!(browser.path().await, page);
        is_fit(&browser, "en").await;
    }
    // What is no page, is a page that says so; a program gets what it always got.
    browser.go(&format!("{url}/nowhere")).await;
    assert!(browser.text().await.contains("Not found"));
    is_fit(&browser, "en").await;
    let plain = door.get("/nowhere", "").await;
    assert_eq!((plain.status, plain.json()["code"].as_str()), (404, Some("not-found")));
    let wrong = door.post("/worklist", "", json!({})).await;
    assert_eq!((wrong.status, wrong.json()["code"].as_str()), (405, Some("method-not-allowed")));
    let long = "x".repeat(20_000);
    let form = door.post("/sign-in", "", json!({"account": long})).await;
    assert_eq!(form.status, 413, "a form has a bound");
    // What the post does not open is a refusal that says so.
    browser.go(&format!("{url}/filing-board")).await;
    assert!(browser.text().await.contains("Your post does not allow this"));
    is_fit(&browser, "en").await;
    browser.press_on("form[action='/sign-out'] button").await;
    assert_eq!(browser.path().await, "/sign-in");
    browser.go(&format!("{url}/worklist")).await;
    assert_eq!(browser.path().await, "/sign-in", "signed out is signed out");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_phones_are_barred_a_certificate_opens() {
    let town = Town::real_city_on(Wire::unhurried(), Secrecy::Open).await;
    let authority = town.authority.as_ref().unwrap();
    let tls = Some(authority.issue("nobody", false));
    let client = Client::of(&Wire { tls, ..Wire::default() }).unwrap();
    let door = Door { town: &town, client };
    let (secadm, _) = door.settle("secadm").await;
    let first = door.sign_in(json!({"link": door.link("audadm"), "password": PASSWORD})).await;
    let person = first.json()["person"].as_str().unwrap().to_owned();
    let own = authority.issue("audadm", false);
    let pem = json!({"certificate": std::fs::read_to_string(&own.certificate).unwrap()});
    let bound = door.post(&format!("/api/persons/{person}/certificates"), &secadm, pem).await;
    assert_eq!(bound.status, 201);

    let url = town.url(CITY).replace("127.0.0.1", "liandong.test");
    for (certificate, comes_in) in [(&authority.issue("other", false), false), (&own, true)] {
        let folder = town.folder.join(format!("browser-{comes_in}"));
        let browser = Browser::open(&folder, Some(certificate)).await;
        browser.go(&format!("{url}/events")).await;
        assert_eq!(browser.path().await, "/sign-in");
        browser.fill("#account", "audadm").await;
        browser.fill("#password", PASSWORD).await;
        browser.press_on("main button").await;
        // A certificate that is nobody's is none.
        assert_eq!(browser.path().await, if comes_in { "/events" } else { "/sign-in" });
        is_fit(&browser, "zh-CN").await;
        if comes_in {
            browser.press_on("nav a[href='/account']").await;
            assert!(browser.text().await.contains("已出示"));
        }
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_sees_what_waits_and_the_board() {
    let town = Town::start().await;
    let url = town.url(CITY);
    let door = Door { town: &town, client: Client::default() };
    let browser = Browser::open(&town.folder.join("browser"), None).await;
    browser.go(&format!("{url}/first-sign-in?link={}", door.link("file"))).await;
    browser.fill("#password", PASSWORD).await;
    browser.press_on("main button").await;
    for page in [
        "/worklist",
        "/filing-board",
        "/plans",
        "/deadlines",
        "/events",
        "/account",
        "/api/docs",
        "/policy",
    ] {
        browser.go(&format!("{url}{page}")).await;
        assert_eq!(browser.path().await, page);
        is_fit(&browser, "zh-CN").await;
        browser.picture(page.trim_start_matches('/').rsplit('/').next().unwrap()).await;
    }
    browser.go(&format!("{url}/filing-board")).await;
    assert!(browser.text().await.contains(DISTRICT) && browser.text().await.contains("演示数据"));
    browser.close().await;

    // What waits stands there with what may be done, for whoever may do it.
    let round = json!({"number": "r1", "name": "r1", "kind": "regular", "organisation": "own",
        "reach": "direct"});
    town.api(DISTRICT).post("PLAN", "/api/rounds", "r1", None, &round).await.unwrap();
    plan_of_a_year(&town).await;
    let people = std::fs::read(town.keys(DISTRICT).join("first-sign-in.json")).unwrap();
    let people: Vec<Value> = serde_json::from_slice(&people).unwrap();
    for (account, waits) in [("plan", true), ("rect", false)] {
        let link = people.iter().find(|person| person["account"] == account).unwrap();
        let url = town.url(DISTRICT);
        let browser = Browser::open(&town.folder.join(account), None).await;
        browser.go(&format!("{url}/first-sign-in?link={}", link["link"].as_str().unwrap())).await;
        browser.fill("#password", PASSWORD).await;
        browser.press_on("main button").await;
        assert_eq!(browser.path().await, "/worklist");
        is_fit(&browser, "zh-CN").await;
        let text = browser.text().await;
        assert_eq!(text.contains("巡察轮次") && text.contains("分解任务"), waits, "{text}");
        // The plan is for both, what of it conflicts for who knows the targets.
        browser.go(&format!("{url}/plans")).await;
        is_fit(&browser, "zh-CN").await;
        let text = browser.text().await;
        assert!(text.contains("2025") && text.contains("第二轮机动巡察"), "{text}");
        assert_eq!(text.contains("常规未反馈先开机动") && text.contains("未说明"), waits, "{text}");
        browser.picture(&format!("plans-{account}")).await;
        browser.close().await;
    }
}

/// A regular round, and a mobile one that begins before it is fed back.
async fn plan_of_a_year(town: &Town) {
    let district = town.api(DISTRICT);
    let path = "/api/annual-plans";
    let year = json!({"year": 2025});
    let plan = district.post("PLAN", path, "plan", None, &year).await.unwrap();
    let (id, mut version) = (plan.body["id"].as_str().unwrap().to_owned(), plan.version);
    for (number, name, kind, from, to) in [
        ("p1", "第一轮常规巡察", "regular", "2025-03-03", "2025-06-20"),
        ("p2", "第二轮机动巡察", "mobile", "2025-06-03", "2025-08-01"),
    ] {
        let round = json!({"number": number, "name": name, "kind": kind, "organisation": "own",
            "reach": "direct", "notice": from, "entry": from, "withdrawal": to, "feedback": to});
        let path = format!("{path}/{id}/rounds");
        let body = json!({"round": round});
        version =
            district.post("PLAN", &path, number, Some(&version), &body).await.unwrap().version;
    }
}

/// Somebody who has a password comes in by the door.
async fn enters(town: &Town, clerk: &Clerk) -> Browser {
    let browser = Browser::open(&town.folder.join(&clerk.account), None).await;
    browser.go(&format!("{}/sign-in", town.url(clerk.office))).await;
    browser.fill("#account", &clerk.account).await;
    browser.fill("#password", chancery::PASSWORD).await;
    browser.press_on("main button").await;
    assert_eq!(browser.path().await, "/worklist");
    browser
}

/// The custodian and the registrar see the way of a clue, and nothing of what it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_a_clue_is_seen_and_not_what_it_says() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let waits = desk.signed_clue(&team, &json!("own"), "暗记丁").await;
    let gone = desk.offered_clue(&team, &json!("own"), "暗记丁").await;
    let case = desk.delivered(&registry, &gone).await;
    let at = format!("/api/clue-cases/{case}/accept");
    assert_eq!(desk.signed(&registry, &at, json!({})).await.status, 200);

    let browser = enters(&town, &team.custodian).await;
    is_fit(&browser, "zh-CN").await;
    let text = browser.text().await;
    assert!(text.contains("问题线索") && text.contains("密封"), "{text}");
    for (at, sees) in [
        (format!("/clues/{waits}"), "第二人签字"),
        (format!("/clues/{gone}"), "已移交"),
        ("/clues".to_owned(), "线索流转"),
    ] {
        browser.go(&format!("{}{at}", town.url(DISTRICT))).await;
        is_fit(&browser, "zh-CN").await;
        let text = browser.text().await;
        assert!(text.contains(sees) && !text.contains("暗记丁"), "{at}: {text}");
    }
    browser.picture("clues").await;
    browser.press_on(&format!("a[href='/clues/{waits}']")).await;
    assert_eq!(browser.path().await, format!("/clues/{waits}"));
    browser.picture("clue").await;
    browser.close().await;

    let browser = enters(&town, &registry).await;
    browser.go(&format!("{}/clue-cases/{case}", town.url(DISTRICT))).await;
    is_fit(&browser, "zh-CN").await;
    let text = browser.text().await;
    assert!(text.contains("签收") && !text.contains("暗记丁"), "{text}");
    // The holder's side is not the sender's: each has its own page only.
    browser.go(&format!("{}/clues/{gone}", town.url(DISTRICT))).await;
    assert!(!browser.text().await.contains("第二人签字"));
    browser.close().await;
}
