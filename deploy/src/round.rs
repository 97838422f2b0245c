//! Plays one round through the interface of its office.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;

/// A round to play.
pub struct Script<'a> {
    /// The office.
    pub api: &'a Api,
    /// The plan's body.
    pub plan: Value,
    /// The tasks' bodies.
    pub tasks: Vec<Value>,
    /// Findings by task, title and text.
    pub findings: Vec<(String, String, String)>,
    id: String,
    version: String,
    /// The findings' ids, in the order of `findings`.
    pub drafted: Vec<String>,
}

impl<'a> Script<'a> {
    /// A round that has not begun; its tasks name organizations by their numbers.
    pub fn new(
        api: &'a Api,
        plan: Value,
        tasks: Vec<Value>,
        findings: Vec<(String, String, String)>,
    ) -> Self {
        let (id, version) = (String::new(), String::new());
        let of_office = |mut task: Value| {
            let number = task["target"].as_str().unwrap_or_default();
            task["target"] = api.organization(number).into();
            task
        };
        let tasks = tasks.into_iter().map(of_office).collect();
        Self { api, plan, tasks, findings, id, version, drafted: Vec::new() }
    }

    /// The round's id, once it is planned.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn key(&self, step: &str) -> String {
        format!("{}-{step}", self.plan["number"].as_str().unwrap_or_default())
    }

    async fn step(&mut self, role: &str, path: &str, body: &Value) -> Result<Value, String> {
        let key = self.key(path);
        let path = format!("/api/rounds/{}/{path}", self.id);
        let done = self.api.post(role, &path, &key, Some(&self.version), body).await?;
        self.version = done.version;
        Ok(done.body)
    }

    /// Plans the round and defines its tasks.
    pub async fn plan(&mut self) -> Result<(), String> {
        let done =
            self.api.post("PLAN", "/api/rounds", &self.key("plan"), None, &self.plan).await?;
        done.body["id"].as_str().unwrap_or_default().clone_into(&mut self.id);
        self.version = done.version;
        let tasks = json!(self.tasks);
        self.step("PLAN", "tasks", &tasks).await.map(drop)
    }

    /// The secretary authorises it.
    pub async fn authorise(&mut self) -> Result<(), String> {
        self.step("SEC", "authorise", &json!({})).await.map(drop)
    }

    /// Teams enter; a member drafts every finding and the leader co-signs it.
    pub async fn enter(&mut self) -> Result<(), String> {
        self.step("TL", "enter", &json!({})).await?;
        for at in 0..self.findings.len() {
            self.draft(at).await?;
        }
        Ok(())
    }

    async fn draft(&mut self, at: usize) -> Result<(), String> {
        let (task, title, text) = &self.findings[at];
        let body = json!({"round": self.id, "task": task, "category": "四个落实", "title": title, "text": text});
        let key = self.key(&format!("finding-{at}"));
        let done = self.api.post("TM", "/api/findings", &key, None, &body).await?;
        let id = done.body["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/api/findings/{id}/co-sign");
        self.api.post("TL", &path, &format!("{key}-sign"), Some("1"), &json!({})).await?;
        self.drafted.push(id);
        Ok(())
    }

    /// Every task gets its list, or the statement of two that nothing was found.
    pub async fn withdraw(&mut self) -> Result<(), String> {
        for task in self.task_ids() {
            if self.findings.iter().any(|(of, _, _)| *of == task) {
                self.step("TL", &format!("tasks/{task}/list"), &json!({})).await?;
            } else {
                let path = format!("tasks/{task}/no-finding");
                self.step("TL", &path, &json!({})).await?;
                let (key, url) = (self.key("none-2"), format!("/api/rounds/{}/{path}", self.id));
                let key = format!("{key}-{task}");
                let done = self.api.post("TD", &url, &key, Some(&self.version), &json!({})).await?;
                self.version = done.version;
            }
        }
        self.step("TL", "withdraw", &json!({})).await.map(drop)
    }

    fn task_ids(&self) -> Vec<String> {
        self.tasks.iter().map(|task| task["id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The secretary's meeting.
    pub async fn hear(&mut self) -> Result<(), String> {
        self.step("SEC", "hear", &json!({})).await.map(drop)
    }

    /// Every task's list is delivered, towns before their villages.
    pub async fn feed_back(&mut self) -> Result<(), String> {
        for task in self.task_ids() {
            self.step("PLAN", &format!("tasks/{task}/feedback"), &json!({})).await?;
        }
        Ok(())
    }

    /// Closes the round.
    pub async fn archive(&mut self) -> Result<(), String> {
        self.step("PLAN", "archive", &json!({})).await.map(drop)
    }
}

/// Rectifies one finding at its unit's office.
pub async fn rectify(unit: &Api, role: &str, finding: &str) -> Result<(), String> {
    let path = format!("/api/rectifications/{}-{finding}", unit.id);
    let measure = json!({"text": "逐项核实,限期整改,完善制度", "due": "2026-06-30", "responsible": "分管负责人"});
    let key = format!("rect-{finding}");
    let began = std::time::Instant::now();
    loop {
        match unit
            .post(role, &format!("{path}/measures"), &format!("{key}-m"), Some("1"), &measure)
            .await
        {
            Ok(_) => break,
            // The feedback is still on its way.
            Err(why) if why.contains("-absent\"") || why.contains("stale-version") => {
                if began.elapsed() > Duration::from_mins(3) {
                    return Err(why);
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(why) => return Err(why),
        }
    }
    let report = json!({"report": "已按措施完成整改,并建立长效机制"});
    unit.post(role, &format!("{path}/complete"), &format!("{key}-c"), Some("2"), &report)
        .await
        .map(drop)
}

/// The body of a plan.
pub(crate) fn plan(number: &str, name: &str, kind: &str, reach: &str) -> Value {
    json!({"number": number, "name": name, "kind": kind, "organisation": "own", "reach": reach})
}

/// The body of a task.
pub(crate) fn task(id: &str, target: &str, name: &str, level: &str) -> Value {
    json!({"id": id, "target": target, "name": name, "level": level})
}

/// A finding by task and title.
pub(crate) fn finding(task: &str, title: &str) -> (String, String, String) {
    (task.to_owned(), title.to_owned(), format!("{title}:现象属实,定性为落实不到位,责任在班子。"))
}
