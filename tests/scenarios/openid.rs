//! 统一身份认证 Signing in by an identity provider: a real one in its own process.

use std::{process::Stdio, time::Duration};

use http_body_util::BodyExt;
use hyper::Method;
use serde_json::{Value, json};
use tests::{
    browser::Browser,
    ports::port,
    town::{CITY, Town},
};
use web::{
    client::{Client, Reply},
    openid::OpenIdConfig,
};

use crate::signing_in::{Door, PASSWORD, is_problem};

/// The provider, and the office that trusts it.
struct House {
    town: Town,
    provider: tokio::process::Child,
    client: Client,
}

/// An answer that may lead on.
struct Led {
    reply: Reply,
    to: String,
    cookie: String,
}

impl House {
    async fn open() -> Self {
        let program = std::env::var("LIANDONG_OPENID_PROVIDER").expect("run ./deploy/test");
        let port = port();
        let mut provider = tokio::process::Command::new(program);
        provider.args(["--require-nonce", "true", "--port"]).arg(port.to_string());
        provider.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let provider = provider.spawn().unwrap();
        let issuer = format!("http://127.0.0.1:{port}");
        let client = Client::default();
        let known = format!("{issuer}/.well-known/openid-configuration");
        for _ in 0..600 {
            if client.send(Method::GET, &known, &[], Vec::new()).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut town = Town::real_city().await;
        let secret = town.folder.join("openid.secret");
        std::fs::write(&secret, "known to both\n").unwrap();
        town.stop_office(CITY).await;
        let address = town.url(CITY);
        let config = town.configs.get_mut(CITY).unwrap();
        let client_id = "liandong".to_owned();
        config.openid = Some(OpenIdConfig {
            issuer,
            client: client_id,
            secret,
            authority: None,
            address,
            second_factors: Vec::new(),
        });
        town.start_office(CITY).await;
        Self { town, provider, client }
    }

    async fn ask(&self, method: Method, url: &str, cookie: &str, form: &str) -> Led {
        let mut headers = vec![("cookie", cookie)];
        if method == Method::POST {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let answer = self.client.open(method, url, &headers, form.into()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let of =
            |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let cookie = of("set-cookie").split(';').take(1).collect();
        let to = of("location");
        Led { reply: Reply { status, etag: String::new(), headers, body }, to, cookie }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.town.url(CITY))
    }

    /// To the provider, who is told who it is, and as far as the way back: where it leads,
    /// and the cookie of the way.
    async fn to_the_door(&self, form: &str) -> (String, String) {
        let go = self.ask(Method::GET, &self.url("/api/openid?next=/worklist"), "", "").await;
        assert_eq!(go.reply.status, 303, "{}", go.reply.json());
        for part in ["response_type=code", "code_challenge_method=S256", "nonce=", "state="] {
            assert!(go.to.contains(part), "{}", go.to);
        }
        let said = self.ask(Method::POST, &go.to, "", form).await;
        assert!(said.to.starts_with(&self.url("/openid/back?")), "{}", said.to);
        (said.to.replace("/openid/back", "/api/openid/back"), go.cookie)
    }

    async fn back(&self, way: &(String, String)) -> Led {
        self.ask(Method::GET, &way.0, &way.1, "").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_says_who_it_is_and_the_office_what_he_may() {
    let mut house = House::open().await;
    let door = Door { town: &house.town, client: Client::default() };
    let (sys, _) = door.settle("sys").await;
    let people = door.get("/api/persons?limit=500", &sys).await.json();
    let person = |account: &str| {
        let all = people["items"].as_array().unwrap();
        all.iter().find(|p| p["account"] == account).unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(door.get("/api/sign-in", "").await.json()["openid"], true);

    // Nobody at this office yet; the refusal says what to give to whom.
    let stranger = house.back(&house.to_the_door("sub=staff-0017").await).await;
    is_problem(&stranger.reply, 403, "identity-unknown");
    assert!(stranger.reply.json()["detail"].as_str().unwrap().contains("staff-0017"));
    let path = format!("/api/persons/{}/identity", person("file"));
    let bind = |subject: &str| json!({"subject": subject});
    is_problem(&door.post(&path, &sys, bind("  ")).await, 422, "bad-field");
    assert_eq!(door.post(&path, &sys, bind("staff-0017")).await.status, 200);
    let other = format!("/api/persons/{}/identity", person("plan"));
    is_problem(&door.post(&other, &sys, bind("staff-0017")).await, 409, "identity-bound");
    let own = format!("/api/persons/{}/identity", person("sys"));
    is_problem(&door.post(&path, &sys, bind("staff-0016")).await, 409, "identity-bound");
    is_problem(&door.post(&own, &sys, bind("staff-0001")).await, 409, "same-person");

    let came = house.back(&house.to_the_door("sub=staff-0017").await).await;
    assert_eq!((came.reply.status, came.to.as_str()), (303, "/worklist"), "{}", came.reply.json());
    let session = came.cookie;
    let me = house.ask(Method::GET, &house.url("/api/me"), &session, "").await.reply;
    assert_eq!((me.status, &me.json()["account"]), (200, &json!("file")));
    assert_eq!(
        house.ask(Method::GET, &house.url("/api/persons"), &session, "").await.reply.status,
        403
    );

    // A way works once, in its own browser, with its own state and code.
    let way = house.to_the_door("sub=staff-0017").await;
    let another = house.to_the_door("sub=staff-0017").await;
    let bent = |from: &str, to: &str| (way.0.replace(from, to), way.1.clone());
    for (wrong, why) in [
        ((way.0.clone(), another.1.clone()), "another browser's cookie"),
        ((way.0.clone(), String::new()), "no cookie"),
        (bent("state=", "state=x"), "another state"),
        ((another.0.clone(), way.1.clone()), "another way"),
        ((house.url("/api/openid/back"), way.1.clone()), "nothing"),
        ((way.0.clone(), format!("{0}; {0}", way.1)), "two of the same name"),
    ] {
        let refused = house.back(&wrong).await;
        is_problem(&refused.reply, 401, "openid-failed");
        assert!(refused.cookie.is_empty(), "{why}");
    }
    is_problem(&house.back(&bent("code=", "code=x")).await.reply, 401, "openid-failed");
    is_problem(&house.back(&way).await.reply, 401, "openid-failed");
    assert_eq!(house.back(&another).await.reply.status, 303);
    is_problem(&house.back(&another).await.reply, 401, "openid-failed");
    let far = house.ask(Method::GET, &house.url("/api/openid?next=//evil.example"), "", "").await;
    let said = house.ask(Method::POST, &far.to, "", "sub=staff-0017").await;
    let came = house.ask(Method::GET, &said.to, &far.cookie, "").await;
    assert_eq!((came.reply.status, came.to.as_str()), (303, "/"), "nobody is sent elsewhere");
    // Whoever says no at the provider is not signed in.
    is_problem(
        &house.back(&house.to_the_door("action=deny").await).await.reply,
        401,
        "openid-failed",
    );

    // Where a second factor is set here, the provider's word is not enough.
    door.settle("plan").await;
    assert_eq!(door.post(&other, &sys, bind("staff-0018")).await.status, 200);
    let weak = house.back(&house.to_the_door("sub=staff-0018").await).await;
    is_problem(&weak.reply, 401, "second-factor-missing");

    // Unbound, it opens nothing and what was open is shut.
    assert_eq!(door.post(&format!("{path}/end"), &sys, json!({})).await.status, 200);
    let me = house.ask(Method::GET, &house.url("/api/me"), &session, "").await.reply;
    is_problem(&me, 401, "not-signed-in");
    let gone = house.back(&house.to_the_door("sub=staff-0017").await).await;
    is_problem(&gone.reply, 403, "identity-unknown");

    // Without its provider the office says so, and passwords go on.
    let way = house.to_the_door("sub=staff-0018").await;
    house.provider.kill().await.unwrap();
    is_problem(&house.back(&way).await.reply, 401, "openid-failed");
    let first = json!({"link": door.link("file"), "password": PASSWORD});
    assert_eq!(door.sign_in(first).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_goes_to_the_provider_and_comes_back() {
    let house = House::open().await;
    let door = Door { town: &house.town, client: Client::default() };
    let (sys, _) = door.settle("sys").await;
    let people = door.get("/api/persons?limit=500", &sys).await.json();
    let file = people["items"].as_array().unwrap().iter().find(|p| p["account"] == "file").unwrap();
    let path = format!("/api/persons/{}/identity", file["id"].as_str().unwrap());
    let bound = door.post(&path, &sys, json!({"subject": "staff-0017"})).await;
    assert_eq!(bound.status, 200, "{}", bound.json());
    let browser = Browser::open(&house.town.folder.join("browser"), None).await;
    for (subject, arrives) in [("staff-0099", "/openid/back"), ("staff-0017", "/filing-board")] {
        browser.go(&house.url("/filing-board")).await;
        browser.press_on("a[href^='/openid']").await;
        assert_eq!(browser.path().await, "/oauth2/authorize");
        browser.fill("input[name=sub]", subject).await;
        browser.press_on("button[type=submit]").await;
        assert_eq!(browser.path().await, arrives);
        if arrives == "/openid/back" {
            let text = browser.text().await;
            assert!(text.contains("该统一身份尚未绑定") && text.contains(subject), "{text}");
        }
        assert_eq!(browser.violations().await, Vec::<String>::new());
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_the_clear_is_refused_at_the_start() {
    let folder = std::env::temp_dir().join(format!("liandong-openid-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let secret = folder.join("secret");
    std::fs::write(&secret, "x").unwrap();
    let config = |issuer: &str| -> OpenIdConfig {
        let value: Value = json!({"issuer": issuer, "client": "l", "secret": secret,
            "address": "https://office.example"});
        serde_json::from_value(value).unwrap()
    };
    let open = |issuer: &str| web::openid::OpenId::open(&config(issuer));
    assert!(open("http://id.example").is_err_and(|why| why.contains("https")));
    assert!(open("https://id.example").is_err_and(|why| why.contains("authority")));
    assert!(open("http://127.0.0.1:9").is_ok());
    let authority = tests::authority::Authority::at(&folder.join("ca"));
    let tls = authority.issue("provider", true);
    let trusting = OpenIdConfig { authority: Some(tls.authority), ..config("https://id.example") };
    assert!(web::openid::OpenId::open(&trusting).is_ok());
    // A client without certificates sends nothing to an https address, least of all plainly.
    let plain = Client::default();
    let asked = plain.send(Method::POST, "https://127.0.0.1:9/token", &[], Vec::new());
    assert!(asked.await.unwrap_err().contains("https://127.0.0.1:9/token"));
    std::fs::remove_dir_all(folder).unwrap();
}
