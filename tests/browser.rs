//! A real browser without a window, driven by its keyboard only.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    key::Key,
};
use messaging::tls::Tls;
use serde_json::{Value, json};
use tokio::process::Child;

/// A browser; it ends with its driver.
pub struct Browser {
    client: Client,
    _driver: Child,
    folder: PathBuf,
}

/// What the machine has, as `deploy/test` found it.
fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run ./deploy/test"))
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
}

/// Lets the browser know an authority and hold a certificate, as an administrator of its
/// machine does.
fn certificates(home: &Path, tls: &Tls) {
    let store = home.join(".pki/nssdb");
    std::fs::create_dir_all(&store).unwrap();
    let database = format!("sql:{}", store.display());
    let path = |path: &Path| path.display().to_string();
    let bundle = path(&home.join("person.p12"));
    run("certutil", &["-N", "-d", &database, "--empty-password"]);
    let authority = path(&tls.authority);
    run("certutil", &["-A", "-d", &database, "-n", "authority", "-t", "C,,", "-i", &authority]);
    let (certificate, key) = (path(&tls.certificate), path(&tls.key));
    let export = ["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-out", &bundle];
    run("openssl", &[&export[..], &["-passout", "pass:"]].concat());
    run("pk12util", &["-i", &bundle, "-d", &database, "-W", "", "-K", ""]);
}

impl Browser {
    /// Opens a browser whose everything lies in `folder`; with `tls` it has a certificate.
    pub async fn open(folder: &Path, tls: Option<&Tls>) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        if let Some(tls) = tls {
            certificates(folder, tls);
        }
        let port = crate::ports::port();
        let driver = tokio::process::Command::new(given("LIANDONG_CHROMEDRIVER"))
            .arg(format!("--port={port}"))
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--host-resolver-rules=MAP liandong.test 127.0.0.1".to_owned(),
            format!("--user-data-dir={}", folder.join("profile").display()),
        ];
        let options = json!({"args": arguments, "binary": given("LIANDONG_CHROMIUM")});
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options});
        let Value::Object(wanted) = wanted else { unreachable!() };
        let began = Instant::now();
        let client = loop {
            let mut builder =
                ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            let connected = builder
                .capabilities(wanted.clone())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await;
            match connected {
                Ok(client) => break client,
                Err(error) => {
                    assert!(began.elapsed() < Duration::from_secs(40), "no browser: {error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        };
        Self { client, _driver: driver, folder: folder.to_owned() }
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The path of the page.
    pub async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    /// What the page says.
    pub async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await.unwrap();
        body.text().await.unwrap()
    }

    /// The text of one element.
    pub async fn text_of(&self, css: &str) -> String {
        self.client.find(Locator::Css(css)).await.unwrap().text().await.unwrap()
    }

    /// The language that the page says it is in.
    pub async fn language(&self) -> String {
        let html = self.client.find(Locator::Css("html")).await.unwrap();
        html.attr("lang").await.unwrap().unwrap_or_default()
    }

    async fn press(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Walks with the tab key to the element of this selector, as a reader would.
    pub async fn tab_to(&self, css: &str) {
        let is_there = "return document.activeElement.matches(arguments[0])";
        for _ in 0..60 {
            self.press(char::from(Key::Tab)).await;
            if self.client.execute(is_there, vec![json!(css)]).await.unwrap() == json!(true) {
                return;
            }
        }
        panic!("no way by keyboard to {css} on {}", self.path().await);
    }

    /// Types into the field of this selector.
    pub async fn fill(&self, css: &str, text: &str) {
        self.tab_to(css).await;
        for key in text.chars() {
            self.press(key).await;
        }
    }

    /// Walks to a button or link and presses enter; waits for the page behind it.
    pub async fn press_on(&self, css: &str) {
        self.tab_to(css).await;
        let stamp = "document.documentElement.dataset.before = '1'";
        self.client.execute(stamp, vec![]).await.unwrap();
        self.press(char::from(Key::Enter)).await;
        let began = Instant::now();
        let is_new =
            "return document.readyState === 'complete' && !document.documentElement.dataset.before";
        // Between two pages there is none to ask.
        while !matches!(self.client.execute(is_new, vec![]).await, Ok(Value::Bool(true))) {
            assert!(began.elapsed() < Duration::from_secs(20), "nothing comes after {css}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// What axe-core finds wrong with the page, by rule and place.
    pub async fn violations(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(given("LIANDONG_AXE")).unwrap();
        self.client.execute(&axe, vec![]).await.unwrap();
        let ask = "const done = arguments[0]; axe.run().then(r => done(r.violations.flatMap(\
                   v => v.nodes.map(n => v.id + ' at ' + n.target.join(' ') + ': ' + n.html))))";
        let found = self.client.execute_async(ask, vec![]).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// How many bytes the page and what it loads have.
    pub async fn weight(&self) -> u64 {
        let sum = "return performance.getEntriesByType('navigation').concat(\
                   performance.getEntriesByType('resource')).reduce((n, e) => n + e.decodedBodySize, 0)";
        self.client.execute(sum, vec![]).await.unwrap().as_u64().unwrap()
    }

    /// How many scripts the page has.
    pub async fn scripts(&self) -> usize {
        self.client.find_all(Locator::Css("script")).await.unwrap().len()
    }

    /// Keeps a picture of the page.
    pub async fn picture(&self, name: &str) -> PathBuf {
        let path = self.folder.join(format!("{name}.png"));
        std::fs::write(&path, self.client.screenshot().await.unwrap()).unwrap();
        path
    }

    /// Closes the browser.
    pub async fn close(self) {
        self.client.close().await.unwrap();
    }
}
