//! A short lively history for the demo: a round in each state, filings on time,
//! late, returned and incomplete.

use std::time::{Duration, Instant};

use domain::clue::Outcome;
use futures_util::{StreamExt, TryStreamExt, stream};
use kernel::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::Api,
    city::City,
    clues::{self, Clerks, Until},
    divisions::{SHANGLUO, of_level},
    output::say,
    plan::CITY,
    round::{Script, finding, plan, rectify, task},
};

const SHANYANG: &str = "611024";
const SHANGZHOU: &str = "611002";
const MANCHUANGUAN: &str = "611024106";
const YECUN: &str = "611002101";

/// Loads the demo's story.
pub(crate) async fn load(city: &City) -> Result<(), String> {
    say("loading the demo: divisions of 商洛, rounds, findings, filings …");
    let story = Story {
        city: city.api(CITY)?,
        shanyang: city.api(SHANYANG)?,
        shangzhou: city.api(SHANGZHOU)?,
        manchuanguan: city.api(MANCHUANGUAN)?,
        yecun: city.api(YECUN)?,
    };
    story.register().await?;
    story.january().await?;
    story.drive("2024-02-26T01:00:00Z").await?;
    story.february().await?;
    story.drive("2024-04-15T01:00:00Z").await?;
    story.april().await
}

/// A division as the office knows it; waits until the city's register has come.
async fn division(office: &Api, code: &str) -> Result<Value, String> {
    let began = Instant::now();
    loop {
        let found = office.get("PLAN", &format!("/api/divisions?code={code}")).await?;
        if let Some(division) = found["items"].get(0) {
            return Ok(division.clone());
        }
        if began.elapsed() > Duration::from_mins(1) {
            return Err(format!("{} has no division {code} after a minute", office.code));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

struct Story {
    city: Api,
    shanyang: Api,
    shangzhou: Api,
    manchuanguan: Api,
    yecun: Api,
}

impl Story {
    async fn drive(&self, to: &str) -> Result<(), String> {
        let to = Timestamp::parse(to).ok_or("a time of the story does not read")?;
        for office in [&self.city, &self.shanyang, &self.shangzhou, &self.manchuanguan, &self.yecun]
        {
            office.drive(to).await?;
        }
        Ok(())
    }

    /// Divisions, organizations and target lists: 90 targets, 94 from the reform on.
    async fn register(&self) -> Result<(), String> {
        let import = json!({"csv": SHANGLUO, "valid_from": "2023-06-30"});
        self.city.post("PLAN", "/api/divisions/import", "divisions", None, &import).await?;
        let org = |n: u32| json!({"number": format!("o{n:04}"), "name": format!("市直单位{n:03}"), "level": "city", "valid_from": "2016-12-01"});
        let orgs: Vec<Value> = (1..=94).map(org).collect();
        self.city.post("PLAN", "/api/organizations", "orgs", None, &json!(orgs)).await?;
        for (key, version, count, from, reason) in [
            ("list-1", None, 90, "2016-12-01", "五年规划"),
            ("list-2", Some("1"), 94, "2018-10-01", "机构改革"),
        ] {
            let targets: Vec<String> =
                (1..=count).map(|n: u32| self.city.organization(&format!("o{n:04}"))).collect();
            let list = json!({"valid_from": from, "targets": targets, "reason": reason});
            self.city.post("PLAN", "/api/target-lists", key, version, &list).await?;
        }
        self.register_district(&self.shanyang, &self.manchuanguan, MANCHUANGUAN, "漫川关镇")
            .await?;
        self.register_district(&self.shangzhou, &self.yecun, YECUN, "夜村镇").await
    }

    async fn register_district(
        &self,
        district: &Api,
        town: &Api,
        code: &str,
        name: &str,
    ) -> Result<(), String> {
        let org = |id: String, name: &str, level: &str| json!({"number": id, "name": name, "level": level, "valid_from": "2023-06-30"});
        let mut orgs: Vec<Value> = (1..=8)
            .map(|n| org(format!("o{n:04}"), &format!("县直单位{n:03}"), "county"))
            .collect();
        // Divisions come in the file's order: with the last village all are there.
        let last = of_level("village").pop().ok_or("no villages in the sample")?;
        division(district, &last.code).await?;
        let at = division(district, code).await?;
        orgs.push(org("town".to_owned(), name, "county"));
        orgs[8]["division"] = at["id"].clone();
        orgs[8]["unit_office"] = json!(town.id);
        let path = format!("/api/divisions?limit=500&parent={}", at["id"].as_str().unwrap_or(""));
        let villages = district.get("PLAN", &path).await?;
        for (village, n) in villages["items"].as_array().into_iter().flatten().zip(1..) {
            let name = village["name"].as_str().unwrap_or_default();
            let mut new = org(format!("v{n:03}"), name, "village");
            new["division"] = village["id"].clone();
            new["unit_office"] = json!(town.id);
            orgs.push(new);
        }
        district.post("PLAN", "/api/organizations", "orgs", None, &json!(orgs)).await?;
        let number = |org: &Value| org["number"].as_str().unwrap_or_default().to_owned();
        let targets: Vec<String> =
            orgs.iter().map(|org| district.organization(&number(org))).collect();
        let list = json!({"valid_from": "2023-07-01", "targets": targets, "reason": "五年规划"});
        district.post("PLAN", "/api/target-lists", "targets", None, &list).await.map(drop)
    }

    /// 山阳县's first round runs to its end; 商州区 brings a town with its villages.
    async fn january(&self) -> Result<(), String> {
        let tasks = vec![
            task("k1", "o0001", "县直单位001", "county"),
            task("k2", "o0002", "县直单位002", "county"),
        ];
        let found = vec![finding("k1", "采购程序不规范"), finding("k2", "台账更新不及时")];
        let number = "611024-T4-R01";
        let mut first = Script::new(
            &self.shanyang,
            plan(number, "第一轮常规巡察", "regular", "direct"),
            tasks,
            found,
        );
        through_feedback(&mut first).await?;
        for finding in &first.drafted {
            rectify(&self.shanyang, "UNIT", finding).await?;
            close_out(&self.shanyang, finding).await?;
        }
        first.archive().await?;
        file(&self.shanyang, "FILE", &format!("round-plan-{number}"), &["R1", "R2", "R3"]).await?;
        file(&self.shanyang, "FILE", &format!("hearing-{number}"), &["R6"]).await?;

        let town = "town";
        let mut tasks = vec![task(town, "town", "夜村镇", "county")];
        tasks[0]["unit_office"] = json!(self.yecun.id);
        let mut found = vec![finding(town, "镇级公益性岗位管理不严")];
        for n in 1..=3 {
            let (id, org) = (format!("v{n}"), format!("v{n:03}"));
            let mut village = task(&id, &org, &format!("第{n}村"), "village");
            village["parent"] = json!(town);
            village["unit_office"] = json!(self.yecun.id);
            tasks.push(village);
            if n < 3 {
                found.push(finding(&id, "集体资产台账不全"));
            }
        }
        let plan = plan("611002-T4-R01", "巡镇带村第一轮", "regular", "town-with-villages");
        let mut towns = Script::new(&self.shangzhou, plan, tasks, found);
        through_feedback(&mut towns).await?;
        if let Some(finding) = towns.drafted.first() {
            rectify(&self.yecun, "COM", finding).await?;
        }
        self.review(&self.shanyang, "round-plan-611024-T4-R01", None).await
    }

    /// A month later: what is late is filed late; one filing is returned; more rounds are under way.
    async fn february(&self) -> Result<(), String> {
        file(&self.shangzhou, "FILE", "round-plan-611002-T4-R01", &["R1", "R2"]).await?;
        file(&self.shanyang, "FILE", "feedback-611024-T4-R01", &["R9"]).await?;
        self.review(&self.shanyang, "feedback-611024-T4-R01", Some("缺单独问题清单,请补正"))
            .await?;
        file(&self.yecun, "COM", "rectification-611002-T4-R01", &["R13"]).await?;
        let one =
            |n: u32| vec![task("k1", &format!("o{n:04}"), &format!("县直单位{n:03}"), "county")];
        let rounds: [(&Api, &str, u32, &str); 3] = [
            (&self.shanyang, "611024-T4-R02", 3, "heard"),
            (&self.shanyang, "611024-T4-R03", 4, "withdrawn"),
            (&self.shangzhou, "611002-T4-R02", 2, "entered"),
        ];
        for (office, number, target, until) in rounds {
            let found = vec![finding("k1", "学习传达流于形式")];
            let plan = plan(number, "常规巡察", "regular", "direct");
            let mut round = Script::new(office, plan, one(target), found);
            round.plan().await?;
            round.authorise().await?;
            round.enter().await?;
            if until != "entered" {
                round.withdraw().await?;
            }
            if until == "heard" {
                round.hear().await?;
            }
        }
        let found = vec![finding("k1", "对下指导不够"), finding("k2", "档案管理不规范")];
        let tasks = vec![
            task("k1", "o0001", "市直单位001", "city"),
            task("k2", "o0002", "市直单位002", "city"),
        ];
        let mut of_city = Script::new(
            &self.city,
            plan("611000-T5-R01", "五届市委第一轮巡察", "regular", "direct"),
            tasks,
            found,
        );
        through_feedback(&mut of_city).await?;
        if let Some(finding) = of_city.drafted.first() {
            rectify(&self.city, "UNIT", finding).await?;
        }
        self.clues().await
    }

    /// A clue in every state, and two that go to the city.
    async fn clues(&self) -> Result<(), String> {
        let (above, own) =
            (Clerks::of(&self.city, 'C').await?, Clerks::of(&self.shanyang, 'D').await?);
        let every = Until::ALL.into_iter().map(|until| (until, None));
        let upward = [Until::Offered, Until::Handling].map(|until| (until, Some(above.clone())));
        let round = format!("{}-611024-T4-R02", self.shanyang.id);
        let outcome =
            Outcome { cases: 1, disciplined: 2, forms: [0, 1, 1, 0], ..Outcome::default() };
        let scripts = every.chain(upward).enumerate().map(|(at, (until, upper))| clues::Script {
            key: format!("demo-{at:02}"),
            round: round.clone(),
            task: "k1".to_owned(),
            rank: "section",
            until,
            outcome,
            upper,
        });
        let own = &own;
        let played = stream::iter(scripts)
            .map(|clue| async move { clue.play(own).await.map(drop) })
            .buffer_unordered(24);
        played.try_collect::<Vec<()>>().await.map(drop)
    }

    /// Spring: an authorised round, a planned one, and what nobody has filed.
    async fn april(&self) -> Result<(), String> {
        let tasks = vec![task("k1", "o0005", "县直单位005", "county")];
        let special = plan("611024-T4-R04", "乡村振兴专项巡察", "special", "system");
        let mut authorised = Script::new(&self.shanyang, special, tasks.clone(), Vec::new());
        authorised.plan().await?;
        authorised.authorise().await?;
        let mut follow_up = plan("611002-T4-R03", "回头看", "mobile", "point");
        follow_up["follow_up"] = json!(true);
        Script::new(&self.shangzhou, follow_up, tasks, Vec::new()).plan().await?;
        let expect = json!({"from": self.shangzhou.id, "set": "annual-plan", "period": "2024", "due": "2024-03-31"});
        self.city.post("FILE", "/api/filing-reviews", "annual-plan", None, &expect).await?;
        self.next_year().await
    }

    /// 山阳县 plans its next year: a mobile round that begins before the regular one is fed
    /// back, and meets a target of it.
    async fn next_year(&self) -> Result<(), String> {
        let district = &self.shanyang;
        let year = json!({"year": 2025});
        let plan = district.post("PLAN", "/api/annual-plans", "plan-2025", None, &year).await?;
        let id = plan.body["id"].as_str().unwrap_or_default();
        let mut version = plan.version;
        for (number, name, kind, days, targets) in [
            (
                "611024-T4-R05",
                "第五轮常规巡察",
                "regular",
                ["02-17", "03-03", "05-16", "06-20"],
                1..=4,
            ),
            (
                "611024-T4-R06",
                "第六轮机动巡察",
                "mobile",
                ["05-26", "06-03", "07-04", "08-01"],
                4..=5,
            ),
        ] {
            let [notice, entry, withdrawal, feedback] = days.map(|day| format!("2025-{day}"));
            let round = json!({"number": number, "name": name, "kind": kind, "organisation": "own",
                "reach": "direct", "notice": notice, "entry": entry, "withdrawal": withdrawal,
                "feedback": feedback});
            let targets: Vec<String> =
                targets.map(|n: u32| district.organization(&format!("o{n:04}"))).collect();
            let body = json!({"round": round, "targets": targets, "teams": [[], []]});
            let path = format!("/api/annual-plans/{id}/rounds");
            version = district.post("PLAN", &path, number, Some(&version), &body).await?.version;
        }
        Ok(())
    }

    /// The city judges a filing: accepts every item, or rejects the first and returns it.
    async fn review(&self, from: &Api, what: &str, rejected: Option<&str>) -> Result<(), String> {
        let id = format!("{}-{}-{what}", self.city.id, from.id);
        let path = format!("/api/filing-reviews/{id}");
        let began = Instant::now();
        let row = loop {
            match self.city.get("FILE", &path).await {
                Ok(row) if row["submission"].is_object() && row["state"] != "submitted" => {
                    break row;
                }
                _ if began.elapsed() > Duration::from_mins(1) => {
                    return Err(format!("{what} was not receipted within a minute"));
                }
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        let basis = &row["submission"]["basis"];
        let mut version = row["version"].to_string();
        for code in
            row["submission"]["items"].as_object().into_iter().flat_map(|items| items.keys())
        {
            let mut body = json!({"basis": basis});
            if let Some(reason) = rejected {
                body["rejected"] = json!(reason);
            }
            let (path, key) = (format!("{path}/items/{code}"), format!("{what}-{code}"));
            version = self.city.post("FILE", &path, &key, Some(&version), &body).await?.version;
        }
        let (step, body) = match rejected {
            Some(reason) => ("return", json!({"basis": basis, "reason": reason})),
            None => ("accept", json!({"basis": basis})),
        };
        let key = format!("{what}-{step}");
        self.city
            .post("FILE", &format!("{path}/{step}"), &key, Some(&version), &body)
            .await
            .map(drop)
    }
}

async fn through_feedback(round: &mut Script<'_>) -> Result<(), String> {
    round.plan().await?;
    round.authorise().await?;
    round.enter().await?;
    round.withdraw().await?;
    round.hear().await?;
    round.feed_back().await
}

async fn close_out(office: &Api, finding: &str) -> Result<(), String> {
    let path = format!("/api/findings/{finding}");
    let row = office.get("RECT", &path).await?;
    let (version, basis) = (row["version"].to_string(), json!({"basis": row["completion"]}));
    let key = format!("close-{finding}");
    office.post("RECT", &format!("{path}/close-out"), &key, Some(&version), &basis).await.map(drop)
}

/// Files what is expected: uploads a paper for every code and submits.
async fn file(office: &Api, role: &str, what: &str, codes: &[&str]) -> Result<(), String> {
    let path = format!("/api/filings/{}-{what}", office.id);
    let began = Instant::now();
    let mut version = loop {
        match office.get(role, &path).await {
            Ok(row) => break row["version"].to_string(),
            Err(why) if began.elapsed() > Duration::from_mins(1) => return Err(why),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    for code in codes {
        let text = format!("{what} {code} 材料(演示内容)");
        let hash = office.upload(role, text.into_bytes()).await?;
        let body = json!({"code": code, "hash": hash, "media": "text/plain", "name": format!("{code}.txt")});
        let key = format!("{what}-{code}");
        version =
            office.post(role, &format!("{path}/items"), &key, Some(&version), &body).await?.version;
    }
    let body = json!({"partial": true});
    office
        .post(role, &format!("{path}/submit"), &format!("{what}-submit"), Some(&version), &body)
        .await
        .map(drop)
}
