//! What the operator reads when the city stands.

use super::City;
use crate::{clues::PASSWORD, output::say, token};

impl City {
    /// The links of the first start, while nobody can have used them.
    fn show_links(&self) {
        say("\n首次登录链接 first sign-in links (POST /api/sign-in {\"link\":…,\"password\":…}):");
        for office in self.plan.offices.iter().take(5) {
            for person in token::people(&self.keys(&office.code)).unwrap_or_default() {
                let (account, roles) = (&person.account, person.roles.join(","));
                say(&format!("  {:<10} {account:<8} {roles:<10} {}", office.code, person.link));
            }
        }
    }

    /// Where everything is, and how to come in.
    pub(super) fn greet(&self) {
        say("");
        for office in &self.plan.offices {
            say(&format!(
                "  {:<9} {:<10} {:<22} {}",
                office.tier,
                office.code,
                self.url(&office.code),
                office.name
            ));
        }
        if self.first {
            self.show_links();
        } else {
            let links = self.keys("<code>").join("first-sign-in.json");
            say(&format!(
                "\n首次登录链接(每个只能用一次)first sign-in links, each works once: {}",
                links.display()
            ));
        }
        if self.plan.is_demo() {
            say(&format!(
                "\n演示 DEMO city. A token: deploy/up token --data {} {} C_FILE",
                self.data.display(),
                self.plan.city()
            ));
            if self.plan.loaded {
                let who = "xs-tl xs-tm xs-clue xs-reg xs-off";
                say(&format!(
                    "线索演示人员 the clerks of the clues sign in by: {who} / {PASSWORD}"
                ));
            }
        }
        say(&format!(
            "接口 API: {}/api/docs   addresses: {}/run/up.json   Ctrl-C stops.",
            self.url(self.plan.city()),
            self.data.display()
        ));
    }
}
