//! Clerks who sign in by their own passwords, sign by their own keys and handle clues.

use std::sync::atomic::{AtomicU64, Ordering};

use deploy::{api::Api, round::Script};
use hyper::Method;
use kernel::sign::Hash;
use serde_json::{Value, json};
use web::client::{Client, Reply};

use crate::town::{CITY, DISTRICT, Town};

/// Somebody at an office.
#[derive(Clone, Debug)]
pub struct Clerk {
    /// The office's code.
    pub office: &'static str,
    /// The person's id.
    pub person: String,
    /// The `Authorization` header.
    pub bearer: String,
    /// The account.
    pub account: String,
}

/// What everybody's password is.
pub const PASSWORD: &str = "丹江口的水今年又涨了三尺";
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Where clerks work: the offices of a town, or of a city of processes.
pub trait Place: Sync {
    /// The address of an office.
    fn url(&self, code: &str) -> String;
    /// The interface of an office.
    fn api(&self, code: &str) -> Api;
}

impl Place for Town {
    fn url(&self, code: &str) -> String {
        Self::url(self, code)
    }

    fn api(&self, code: &str) -> Api {
        Self::api(self, code)
    }
}

/// A town with people who handle clues.
pub struct Chancery<'a, P = Town> {
    /// The town.
    pub town: &'a P,
    client: Client,
}

/// Text in the form that a header takes.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

impl<'a, P: Place> Chancery<'a, P> {
    /// Of a town.
    pub fn of(town: &'a P) -> Self {
        Self { town, client: Client::default() }
    }

    /// Sends as a clerk; `signing` with the clerk's password.
    pub async fn ask(
        &self,
        who: &Clerk,
        method: Method,
        path: &str,
        body: &Value,
        signing: Option<&str>,
    ) -> Reply {
        let url = format!("{}{path}", self.town.url(who.office));
        let key = format!("c-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let password = signing.map(encoded);
        let mut headers = vec![
            ("authorization", who.bearer.as_str()),
            ("if-match", "*"),
            ("idempotency-key", key.as_str()),
            ("reading-reason", "%E4%BC%9A%E5%95%86"),
        ];
        if let Some(password) = &password {
            headers.push(("signing-password", password));
        }
        let body = if method == Method::POST { body.to_string().into_bytes() } else { Vec::new() };
        self.client.send(method, &url, &headers, body).await.unwrap()
    }

    /// A command.
    pub async fn post(&self, who: &Clerk, path: &str, body: Value) -> Reply {
        self.ask(who, Method::POST, path, &body, None).await
    }

    /// A command that must succeed.
    pub async fn done(&self, who: &Clerk, path: &str, body: Value) -> Value {
        let reply = self.post(who, path, body).await;
        assert!(reply.status < 300, "{path}: {}", reply.json());
        reply.json()
    }

    /// A command with the clerk's signature.
    pub async fn signed(&self, who: &Clerk, path: &str, body: Value) -> Reply {
        self.ask(who, Method::POST, path, &body, Some(PASSWORD)).await
    }

    /// A resource.
    pub async fn get(&self, who: &Clerk, path: &str) -> Reply {
        self.ask(who, Method::GET, path, &Value::Null, None).await
    }

    /// Registers somebody with one post, who sets a password by the first link.
    pub async fn hire(&self, office: &'static str, role: &str, scope: &str) -> Clerk {
        let api = self.town.api(office);
        let account = format!(
            "{}-{}",
            role.to_lowercase().replace('_', "-"),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let new = json!({"account": account, "display": "测试人员"});
        let made = api.post("SYS", "/api/persons", &account, None, &new).await.unwrap();
        let person = made.body["id"].as_str().unwrap().to_owned();
        let letter = if office == CITY { "C" } else { "D" };
        let post =
            json!({"role": format!("{letter}_{role}"), "scope": scope, "from": "2024-01-08"});
        let path = format!("/api/persons/{person}/authorisations");
        api.post("SECADM", &path, &account, Some(&made.version), &post).await.unwrap();
        let mut clerk = Clerk { office, person, bearer: String::new(), account };
        let body = json!({"link": made.body["link"], "password": PASSWORD});
        let entered = self.ask(&clerk, Method::POST, "/api/sign-in", &body, None).await;
        let token = entered.json()["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", entered.json()))
            .to_owned();
        clerk.bearer = format!("Bearer {token}");
        clerk
    }

    /// The same, with a signing key that two have vouched for.
    pub async fn hire_signer(&self, office: &'static str, role: &str, scope: &str) -> Clerk {
        let clerk = self.hire(office, role, scope).await;
        self.make_key(&clerk).await;
        self.vouch(&clerk).await;
        clerk
    }

    /// The clerk makes a key.
    pub async fn make_key(&self, clerk: &Clerk) {
        let made = self.signed(clerk, "/api/signing-key", json!({})).await;
        assert!(made.status < 300, "{}", made.json());
    }

    /// The security administrator and the organization department vouch for the key.
    pub async fn vouch(&self, clerk: &Clerk) {
        let api = self.town.api(clerk.office);
        let shown = self.get(clerk, "/api/signing-key").await.json();
        let body = json!({"fingerprint": shown["fingerprint"]});
        let path = format!("/api/signing-keys/{}/certify", clerk.person);
        for role in ["SECADM", "ORG"] {
            let key = format!("vouch-{}", NEXT.fetch_add(1, Ordering::Relaxed));
            api.post(role, &path, &key, None, &body).await.unwrap();
        }
    }
}

/// A team and a custodian of an office, in the midst of a round.
pub struct Team {
    /// The round's id.
    pub round: String,
    /// 组长
    pub leader: Clerk,
    /// 组员
    pub member: Clerk,
    /// 线索岗
    pub custodian: Clerk,
}

impl Chancery<'_> {
    /// A round of the district that has entered, and its team.
    pub async fn team(&self) -> Team {
        self.town.register_units().await;
        let (plan, tasks) = self.town.village_round("R1");
        self.team_of(DISTRICT, plan, tasks).await
    }

    /// A round of the city at one of the district's units, and its team.
    pub async fn team_of_city(&self) -> Team {
        let district = self.town.id(DISTRICT);
        let unit = json!([{"number": "c1", "name": "县直单位002", "level": "county",
            "unit_office": district, "valid_from": "2021-12-01"}]);
        let city = self.town.api(CITY);
        city.post("PLAN", "/api/organizations", "units", None, &unit).await.unwrap();
        let (plan, _) = self.town.village_round("R1");
        let task = json!({"id": "k1", "target": "c1", "name": "县直单位002", "level": "county",
            "unit_office": district});
        self.team_of(CITY, plan, vec![task]).await
    }

    async fn team_of(&self, office: &'static str, plan: Value, tasks: Vec<Value>) -> Team {
        let api = self.town.api(office);
        let mut script = Script::new(&api, plan, tasks, Vec::new());
        script.plan().await.unwrap();
        script.authorise().await.unwrap();
        script.enter().await.unwrap();
        let round = format!("{}-R1", api.id);
        let scope = format!("round:{round}");
        Team {
            leader: self.hire_signer(office, "TL", &scope).await,
            member: self.hire_signer(office, "TM", &scope).await,
            custodian: self.hire(office, "CLUE", "office").await,
            round,
        }
    }

    /// The body of a draft; `authority` as the interface takes it.
    pub fn draft_of(team: &Team, authority: &Value, secret: &str) -> Value {
        json!({"round": team.round, "task": "k1", "source": "talk", "rank_band": "village",
            "principal_leader": true, "authority": authority,
            "saying": {"objects": [{"name": format!("某甲{secret}"), "post": "村党支部书记"}],
                "text": format!("在低保评定中优亲厚友。{secret}"), "evidence": [format!("走访记录{secret}")]}})
    }

    /// What a discussion comes to.
    pub fn judged(team: &Team, secret: &str) -> Value {
        json!({"quality": "checkable", "with": [team.member.person],
            "minutes": format!("反映具体,同意移送。{secret}")})
    }

    /// Discusses a clue: the hash of what is to be signed.
    pub async fn discussed(&self, team: &Team, id: &str, secret: &str) -> Value {
        let path = format!("/api/clues/{id}/discuss");
        self.done(&team.leader, &path, Self::judged(team, secret)).await["content"].clone()
    }

    /// A clue that two have signed: its id.
    pub async fn signed_clue(&self, team: &Team, authority: &Value, secret: &str) -> String {
        self.signed_draft(team, Self::draft_of(team, authority, secret)).await
    }

    /// The same of any draft.
    pub async fn signed_draft(&self, team: &Team, draft: Value) -> String {
        let made = self.done(&team.member, "/api/clues", draft).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let minuted = self.discussed(team, &id, "").await;
        for signer in [&team.leader, &team.member] {
            let body = json!({"content": minuted});
            let signed = self.signed(signer, &format!("/api/clues/{id}/sign"), body).await;
            assert_eq!(signed.status, 200, "{}", signed.json());
        }
        id
    }

    /// A clue that is sealed and offered: its id.
    pub async fn offered_clue(&self, team: &Team, authority: &Value, secret: &str) -> String {
        let id = self.signed_clue(team, authority, secret).await;
        for step in ["seal", "offer"] {
            self.done(&team.custodian, &format!("/api/clues/{id}/{step}"), json!({})).await;
        }
        id
    }

    /// Waits until an offer of a clue is delivered to a registry: the case's id.
    pub async fn delivered(&self, registry: &Clerk, clue: &str) -> String {
        for _ in 0..600 {
            let cases = self.get(registry, "/api/clue-cases?limit=500").await.json();
            let of = cases["items"].as_array().into_iter().flatten();
            let mut of = of.filter(|row| row["clue"] == clue && row["state"] == "delivered");
            if let Some(row) = of.next() {
                return row["id"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{clue} was not delivered in a minute");
    }

    /// The registry's state of a case.
    pub async fn case_state(&self, registry: &Clerk, case: &str) -> String {
        let row = self.get(registry, &format!("/api/clue-cases/{case}")).await.json();
        row["state"].as_str().unwrap_or("absent").to_owned()
    }

    /// The custodian's state of a clue.
    pub async fn clue_state(&self, custodian: &Clerk, clue: &str) -> String {
        let row = self.get(custodian, &format!("/api/clues/{clue}")).await.json();
        row["state"].as_str().unwrap_or("absent").to_owned()
    }
}

/// The hash of a key as it is shown to who vouches for it.
pub fn fingerprint(key: &[u8; 32]) -> Hash {
    Hash::of(&[key])
}
