//! Two nodes of a production instance behind nginx, restarted one after the other under load: no request
//! fails, and nobody has to sign in again.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::postgres::Database;
use crate::proxy::{HOST, Proxy, Site, example_nginx, nginx_with};
use crate::support::{Running, free_port, sojourn, stderr};

const APP: &str = "https://app.example.com";
const PASSWORD: &str = "correct horse battery staple";
const PEOPLE: u8 = 4;

/// Two nodes with one configuration and one database, and nginx in front of both.
struct Cluster {
    home: TempDir,
    database_url: String,
    ports: [u16; 2],
    public: u16,
    site: Site,
    _nginx: Proxy,
}

impl Cluster {
    /// Makes the instance, and starts nginx. No node runs yet.
    fn new(database_url: String) -> Self {
        let home = tempfile::tempdir().expect("temporary folder");
        let made = sojourn(home.path())
            .args(["init", "production", "--host", HOST, "--app", APP, "--json"])
            .env("SOJOURN_DATABASE", &database_url)
            .output()
            .expect("ran");
        assert!(made.status.success(), "{}", stderr(&made));
        // The file says that the instance is in PostgreSQL: nothing starts beside it.
        let alone = sojourn(home.path()).arg("serve").output().expect("ran");
        assert_eq!(alone.status.code(), Some(2));
        assert!(stderr(&alone).contains("set SOJOURN_DATABASE"), "{}", stderr(&alone));
        let [first, second, public] = [free_port(), free_port(), free_port()];
        let site = Site::new(home.path());
        // As docs/production.md says it for several nodes.
        let one = format!("server 127.0.0.1:{first} max_fails=0;");
        let example = example_nginx(&site, public, first);
        assert!(example.contains(&one));
        let both = example.replace(&one, &format!("{one}\n    server 127.0.0.1:{second} max_fails=0;"));
        let nginx = nginx_with(&site, public, &both);
        Self { home, database_url, ports: [first, second], public, site, _nginx: nginx }
    }

    fn start(&self, node: usize) -> Running {
        // The lock and `server.json` are of one process; the master key is of all.
        let data = self.home.path().join(format!("node{node}"));
        let listen = format!("127.0.0.1:{}", self.ports[node]);
        let mut command = sojourn(self.home.path());
        command.args(["serve", "--log-format", "json", "--listen", &listen, "--data"]).arg(data);
        command
            .env("SOJOURN_DATABASE", &self.database_url)
            .env("SOJOURN_MASTER_KEY_FILE", ".sojourn/master.key");
        Running::start(&mut command)
    }

    /// A browser of its own address, so that each has rate limits of its own.
    fn browser(&self, number: u8) -> Browser {
        let root = reqwest::Certificate::from_pem(self.site.certificate.as_bytes()).expect("a certificate");
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .local_address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10 + number)))
            .resolve(HOST, ([127, 0, 0, 1], self.public).into())
            .timeout(Duration::from_secs(60))
            .build()
            .expect("a client");
        Browser { http, url: format!("https://{HOST}:{}", self.public), cookie: String::new() }
    }
}

struct Browser {
    http: reqwest::Client,
    url: String,
    cookie: String,
}

impl Browser {
    async fn send(&self, method: Method, path: &str, form: &str) -> Result<(u16, reqwest::Response), String> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("origin", APP)
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let answer = request.send().await.map_err(|error| format!("{path}: {error:?}"))?;
        Ok((answer.status().as_u16(), answer))
    }

    async fn sign_in(&mut self, email: &str) -> String {
        let form =
            format!("identifier={}&password={}", email.replace('@', "%40"), PASSWORD.replace(' ', "+"));
        let (status, answer) =
            self.send(Method::POST, "/v1/client/sign_ins", &form).await.expect("an answer");
        assert_eq!(status, 200);
        let cookies = answer.headers().get_all("set-cookie").iter();
        let client = cookies.filter_map(|line| line.to_str().ok()).find(|line| line.starts_with("__client="));
        self.cookie = client.and_then(|line| line.split(';').next()).expect("the client's cookie").to_owned();
        let answer: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        answer["response"]["created_session_id"].as_str().expect("a session").to_owned()
    }
}

/// Refreshes tokens and reads the client until told to stop. Returns how many answers were not 200.
async fn use_it(
    browser: Browser,
    session: String,
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> BTreeMap<String, usize> {
    let mut failed = BTreeMap::new();
    while !is_over.load(Ordering::SeqCst) {
        for (method, path) in [
            (Method::POST, format!("/v1/client/sessions/{session}/tokens")),
            (Method::GET, "/v1/client".to_owned()),
        ] {
            match browser.send(method, &path, "").await {
                Ok((200, _)) => _ = answered.fetch_add(1, Ordering::SeqCst),
                Ok((status, _)) => *failed.entry(format!("{status} {path}")).or_default() += 1,
                Err(error) => *failed.entry(error).or_default() += 1,
            }
        }
    }
    failed
}

fn add_user(home: &Path, data: &str, email: &str) {
    let made = sojourn(home)
        .args(["users", "create", "--email", email, "--password", PASSWORD, "--data", data])
        .output()
        .expect("ran");
    assert!(made.status.success(), "{}", stderr(&made));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_11_a_rolling_restart_fails_no_request() {
    let database = Database::new().await;
    let cluster = Cluster::new(database.url());
    let mut nodes = vec![cluster.start(0), cluster.start(1)];
    let mut browsers = Vec::new();
    for number in 0..PEOPLE {
        let email = format!("person{number}@example.com");
        add_user(cluster.home.path(), "node0", &email);
        let mut browser = cluster.browser(number);
        let session = browser.sign_in(&email).await;
        browsers.push((browser, session));
    }
    let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = browsers
        .into_iter()
        .map(|(browser, session)| tokio::spawn(use_it(browser, session, is_over.clone(), answered.clone())))
        .collect();
    let some_more = async || {
        let wanted = answered.load(Ordering::SeqCst) + 40;
        for _ in 0..600 {
            if answered.load(Ordering::SeqCst) >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no 40 answers within a minute");
    };
    some_more().await;
    for node in [0, 1] {
        let old = nodes.remove(0);
        old.signal("-TERM");
        let (code, _, prose) = tokio::task::spawn_blocking(move || old.wait()).await.expect("waited");
        assert_eq!(code, Some(0), "{prose}");
        some_more().await;
        nodes.push(cluster.start(node));
        some_more().await;
    }
    is_over.store(true, Ordering::SeqCst);
    for task in load {
        assert_eq!(task.await.expect("no panic"), BTreeMap::new());
    }
    // Both were started anew by the same configuration; the sessions went on.
    assert!(fs::read_to_string(cluster.home.path().join("sojourn.toml")).expect("there").contains(HOST));
    assert_eq!(
        database.number("SELECT COUNT(*) FROM sessions WHERE closed_at IS NULL").await,
        i64::from(PEOPLE)
    );
}
