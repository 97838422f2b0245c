//! Clues, played by their own clerks: from the draft to whatever becomes of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::{clue::Outcome, custody::case_id};
use kernel::OfficeId;
use serde_json::{Value, json};

use crate::api::{Api, Done};

/// The password of the clerks below, in demo cities only: whoever looks around signs in
/// by it and signs as they do.
pub(crate) const PASSWORD: &str = "金丝峡的雾天亮以前早就散了";

/// Who handles clues at an office: account, name, role.
const CLERKS: [(&str, &str, &str); 5] = [
    ("xs-tl", "线索演示组长", "TL"),
    ("xs-tm", "线索演示组员", "TM"),
    ("xs-clue", "线索演示移交", "CLUE"),
    ("xs-reg", "线索演示登记", "NDI_REG"),
    ("xs-off", "线索演示承办", "NDI_OFF"),
];

/// The clerks of one office, and its interface.
#[derive(Clone)]
pub(crate) struct Clerks {
    api: Api,
    persons: BTreeMap<&'static str, String>,
}

/// How far a clue goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    Drafted,
    Dropped,
    Discussed,
    FirstSigned,
    DualSigned,
    Sealed,
    OnPaper,
    Offered,
    Withdrawn,
    Returned,
    Held,
    Proposed,
    Waiting,
    Handling,
    Resulted,
    FedBack,
    Closed,
    Reopened,
}

impl Until {
    /// All of them, in the order of the way.
    pub(crate) const ALL: [Self; 18] = [
        Self::Drafted,
        Self::Dropped,
        Self::Discussed,
        Self::FirstSigned,
        Self::DualSigned,
        Self::Sealed,
        Self::OnPaper,
        Self::Offered,
        Self::Withdrawn,
        Self::Returned,
        Self::Held,
        Self::Proposed,
        Self::Waiting,
        Self::Handling,
        Self::Resulted,
        Self::FedBack,
        Self::Closed,
        Self::Reopened,
    ];
}

/// One clue to be played.
pub(crate) struct Script {
    /// Its key among the clues of its office.
    pub(crate) key: String,
    /// The round's id.
    pub(crate) round: String,
    /// The task.
    pub(crate) task: String,
    /// The rank of its object.
    pub(crate) rank: &'static str,
    /// How far it goes.
    pub(crate) until: Until,
    /// What comes of it.
    pub(crate) outcome: Outcome,
    /// Who receives it, if not the own discipline organ.
    pub(crate) upper: Option<Clerks>,
}

impl Clerks {
    /// Registers them, with keys of their own that two vouch for.
    pub(crate) async fn of(api: &Api, tier: char) -> Result<Self, String> {
        let mut persons = BTreeMap::new();
        for (account, display, role) in CLERKS {
            let body = json!({"account": account, "display": display});
            let made = api.post("SYS", "/api/persons", account, None, &body).await?;
            let person = made.body["id"].as_str().unwrap_or_default().to_owned();
            let scope = if role == "NDI_OFF" { "round:demo" } else { "office" };
            let post =
                json!({"role": format!("{tier}_{role}"), "scope": scope, "from": "2024-01-08"});
            let path = format!("/api/persons/{person}/authorisations");
            api.post("SECADM", &path, account, Some(&made.version), &post).await?;
            // After an interrupted first start the link is spent, and the password is set.
            let entering = json!({"link": made.body["link"], "password": PASSWORD});
            let entered = api.post_by("", None, "/api/sign-in", (account, None), &entering).await;
            entered.or_else(|why| if why.contains("link") { Ok(spent()) } else { Err(why) })?;
            persons.insert(role, person);
        }
        let clerks = Self { api: api.clone(), persons };
        for role in ["TL", "TM", "NDI_REG"] {
            clerks.key(role).await?;
        }
        Ok(clerks)
    }

    /// A signing key of one's own, and the two who vouch for it.
    async fn key(&self, role: &'static str) -> Result<(), String> {
        self.post(role, "/api/signing-key", "key", &json!({})).await?;
        let shown = self.get(role, "/api/signing-key").await?;
        let body = json!({"fingerprint": shown["fingerprint"]});
        let person = self.person(role);
        let path = format!("/api/signing-keys/{person}/certify");
        for by in ["SECADM", "ORG"] {
            let key = format!("vouch-{by}-{person}");
            self.api.post(by, &path, &key, None, &body).await?;
        }
        Ok(())
    }

    fn person(&self, role: &str) -> &str {
        self.persons.get(role).map_or("", String::as_str)
    }

    async fn get(&self, role: &str, path: &str) -> Result<Value, String> {
        self.api.get_by(&self.api.token_of(self.person(role))?, path).await
    }

    /// A command in one's own name, signed if the act asks for it.
    async fn post(&self, role: &str, path: &str, key: &str, body: &Value) -> Result<Done, String> {
        let token = self.api.token_of(self.person(role))?;
        let key = format!("{key}-{path}-{role}");
        let key = kernel::sign::Hash::of(&[key.as_bytes()]).to_string();
        self.api.post_by(&token, Some(PASSWORD), path, (&key, Some("*")), body).await
    }

    /// The same, until a word that is on its way, or a post that begins, has come.
    async fn post_soon(&self, role: &str, path: &str, body: &Value) -> Result<Done, String> {
        let began = Instant::now();
        loop {
            match self.post(role, path, "once", body).await {
                Err(why) if began.elapsed() < Duration::from_mins(3) && not_yet(&why) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn spent() -> Done {
    Done { body: Value::Null, version: String::new() }
}

fn not_yet(why: &str) -> bool {
    ["clue-absent", "not-allowed", "not-the-holder", "wrong-state"]
        .iter()
        .any(|code| why.contains(code))
}

impl Script {
    /// Plays it as far as it goes: the clue's id.
    pub(crate) async fn play(&self, clerks: &Clerks) -> Result<String, String> {
        let authority = if self.upper.is_some() { "upper" } else { "own" };
        let text = "虚构内容:反映该同志在项目安排中优亲厚友,具体时间、地点、经手人见附件。";
        let draft = json!({"round": self.round, "task": self.task, "source": "talk",
            "rank_band": self.rank, "principal_leader": false, "authority": authority,
            "saying": {"objects": [{"name": "某甲", "post": "负责人"}], "text": text, "evidence": ["谈话记录"]}});
        let made = clerks.post("TM", "/api/clues", &self.key, &draft).await?;
        let id = made.body["id"].as_str().unwrap_or_default().to_owned();
        let at = |step: &str| format!("/api/clues/{id}/{step}");
        // What is signed has the minutes in it.
        let mut on = json!({"content": made.body["content"]});
        let judged = json!({"quality": "checkable", "with": [clerks.person("TM")],
            "minutes": "虚构内容:反映具体,人员、时间、地点明确,同意按具体可查移送。"});
        let paper = {
            let number: String = self.key.chars().filter(char::is_ascii_digit).collect();
            json!({"slip": format!("XS-{number}"), "receipt": format!("SJ-{number}")})
        };
        let (none, key) = (json!({}), "once");
        let steps: [(Until, &str, &str, Option<&Value>); 7] = [
            (Until::Discussed, "TL", "discuss", Some(&judged)),
            (Until::FirstSigned, "TL", "sign", None),
            (Until::DualSigned, "TM", "sign", None),
            (Until::Sealed, "CLUE", "seal", Some(&none)),
            (Until::OnPaper, "CLUE", "paper", Some(&paper)),
            (Until::Offered, "CLUE", "offer", Some(&none)),
            (Until::Withdrawn, "CLUE", "withdraw", Some(&none)),
        ];
        if self.until == Until::Dropped {
            clerks.post("TL", &at("drop"), key, &none).await?;
        }
        for (step, role, path, body) in steps {
            let aside = matches!(step, Until::OnPaper | Until::Withdrawn);
            if step <= self.until && (!aside || step == self.until) && self.until != Until::Dropped
            {
                let done = clerks.post(role, &at(path), key, body.unwrap_or(&on)).await?;
                if step == Until::Discussed {
                    on = json!({"content": done.body["content"]});
                }
            }
        }
        if self.until >= Until::Returned {
            self.received(clerks, &id).await?;
        }
        Ok(id)
    }

    /// At the organ that it was offered to.
    async fn received(&self, clerks: &Clerks, id: &str) -> Result<(), String> {
        let holder = self.upper.as_ref().unwrap_or(clerks);
        let case = case(&holder.api.id, id);
        let at = |step: &str| format!("/api/clue-cases/{case}/{step}");
        let none = json!({});
        if self.until == Until::Returned {
            let reason = json!({"reason": "incomplete"});
            return holder.post_soon("NDI_REG", &at("return"), &reason).await.map(drop);
        }
        holder.post_soon("NDI_REG", &at("accept"), &none).await?;
        if self.until == Until::Held {
            return Ok(());
        }
        let waits = self.until == Until::Waiting;
        let way = if waits { "held-for-review" } else { "preliminary-verification" };
        let approval = if waits { json!({"review": "2024-12-31"}) } else { none.clone() };
        let person = json!({"person": holder.person("NDI_OFF")});
        let way = json!({"disposition": way});
        let outcome = json!(self.outcome);
        let steps: [(Until, &str, &str, &Value); 6] = [
            (Until::Proposed, "NDI_REG", "assign", &person),
            (Until::Proposed, "NDI_OFF", "propose", &way),
            (Until::Waiting, "NDI_REG", "approve", &approval),
            (Until::Handling, "NDI_OFF", "progress", &none),
            (Until::Resulted, "NDI_OFF", "result", &outcome),
            (Until::FedBack, "NDI_REG", "feed-back", &none),
        ];
        for (step, role, path, body) in steps {
            if step <= self.until {
                holder.post_soon(role, &at(path), body).await?;
            }
        }
        let clue = |step: &str| format!("/api/clues/{id}/{step}");
        if self.until >= Until::Closed {
            clerks.post_soon("CLUE", &clue("close"), &none).await?;
        }
        if self.until == Until::Reopened {
            clerks.post("CLUE", &clue("reopen"), "first", &none).await?;
            let key = format!("reopen-{id}");
            clerks.api.post("CLUE", &clue("reopen"), &key, Some("*"), &none).await?;
        }
        Ok(())
    }
}

fn case(receiver: &OfficeId, clue: &str) -> String {
    case_id(receiver, &format!("clue/{clue}"), 1)
}
