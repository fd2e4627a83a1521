//! What was acknowledged survives `kill -9`: people sign up, in and out while
//! the server is killed again and again, and every answer they got is still
//! true after the restart.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method, header};
use serde_json::{Value, json};

use crate::support::{Running, sojourn};

const ROUNDS: u32 = 4;
const PEOPLE: u32 = 6;
const ORIGIN: &str = "http://localhost:3000";
const PASSWORD: &str = "correct horse battery";

/// Something the server said to have done.
#[derive(Clone, Debug)]
enum Fact {
    Mailed { email: String },
    SignedUp { user: String, session: String },
    SignedIn { session: String, cookie: String },
    Ended { session: String, status: &'static str, cookie: String },
}

/// One browser: it keeps the client cookie and nothing else.
struct Browser<'a> {
    http: &'a Client,
    base: &'a str,
    cookie: String,
}

impl Browser<'_> {
    /// The answer's body, or nothing when the server died before it gave one.
    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Option<(u16, Value)> {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}{path}", self.base)).header(header::ORIGIN, ORIGIN);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request =
            if self.cookie.is_empty() { request } else { request.header(header::COOKIE, &self.cookie) };
        let answer = request.body(body).send().await.ok()?;
        let lines = answer.headers().get_all(header::SET_COOKIE).iter();
        let lines: Vec<String> = lines.filter_map(|line| line.to_str().ok().map(str::to_owned)).collect();
        let status = answer.status().as_u16();
        let body = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        if let Some(line) =
            lines.iter().find(|line| line.starts_with("__client_") && !line.starts_with("__client_uat"))
        {
            self.cookie = line.split(';').next().unwrap_or("").to_owned();
        }
        Some((status, body))
    }
}

struct Backend<'a> {
    http: &'a Client,
    base: &'a str,
    key: &'a str,
}

impl Backend<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.key);
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).ok()?))
    }
}

/// One person's day: signs up with a mailed code, signs in on another browser,
/// and leaves in one of three ways. Stops where the server dies.
async fn live(
    http: &Client,
    base: &str,
    key: &str,
    name: String,
    turn: u32,
    tell: impl Fn(Fact),
) -> Option<()> {
    let email = format!("{name}@example.com");
    let backend = Backend { http, base, key };
    let mut first = Browser { http, base, cookie: String::new() };
    let (_, begun) =
        first.post("/v1/client/sign_ups", &[("email_address", &email), ("password", PASSWORD)]).await?;
    let id = begun["response"]["id"].as_str()?.to_owned();
    let strategy = ("strategy", "email_code");
    first.post(&format!("/v1/client/sign_ups/{id}/prepare_verification"), &[strategy]).await?;
    tell(Fact::Mailed { email: email.clone() });
    let (_, mails) = backend.call(Method::GET, &format!("/dev/mailbox?to={email}"), None).await?;
    let code = mails["data"][0]["code"].as_str()?.to_owned();
    let answer = [strategy, ("code", code.as_str())];
    let (_, done) = first.post(&format!("/v1/client/sign_ups/{id}/attempt_verification"), &answer).await?;
    let session = done["response"]["created_session_id"].as_str()?.to_owned();
    let user = done["response"]["created_user_id"].as_str()?.to_owned();
    tell(Fact::SignedUp { user, session: session.clone() });

    let mut second = Browser { http, base, cookie: String::new() };
    let credentials = [("identifier", email.as_str()), ("password", PASSWORD), ("strategy", "password")];
    let (_, done) = second.post("/v1/client/sign_ins", &credentials).await?;
    let other = done["response"]["created_session_id"].as_str()?.to_owned();
    let cookie = second.cookie.clone();
    match turn % 3 {
        0 => {
            second
                .post(&format!("/v1/client/sessions/{other}/end"), &[])
                .await
                .filter(|(status, _)| *status == 200)?;
            tell(Fact::Ended { session: other, status: "ended", cookie });
        }
        1 => {
            let revoke = format!("/v1/sessions/{other}/revoke");
            backend
                .call(Method::POST, &revoke, Some(json!({})))
                .await
                .filter(|(status, _)| *status == 200)?;
            tell(Fact::Ended { session: other, status: "revoked", cookie });
        }
        _ => tell(Fact::SignedIn { session: other, cookie }),
    }
    Some(())
}

async fn check(http: &Client, base: &str, key: &str, fact: &Fact) {
    let backend = Backend { http, base, key };
    let status = |session: String| async move {
        let (code, object) =
            backend.call(Method::GET, &format!("/v1/sessions/{session}"), None).await.expect("answered");
        assert_eq!(code, 200, "{object}");
        object["status"].as_str().unwrap_or("").to_owned()
    };
    let token = |session: &str, cookie: &str| {
        let mut browser = Browser { http, base, cookie: cookie.to_owned() };
        let path = format!("/v1/client/sessions/{session}/tokens");
        async move { browser.post(&path, &[]).await.expect("answered").0 }
    };
    match fact {
        Fact::Mailed { email } => {
            let backend = Backend { http, base, key };
            let (_, mails) =
                backend.call(Method::GET, &format!("/dev/mailbox?to={email}"), None).await.expect("answered");
            assert!(mails["data"][0]["code"].is_string(), "the mail to {email} is gone");
        }
        Fact::SignedUp { user, session } => {
            let backend = Backend { http, base, key };
            let (code, _) =
                backend.call(Method::GET, &format!("/v1/users/{user}"), None).await.expect("answered");
            assert_eq!(code, 200, "{user} is gone");
            assert_eq!(status(session.clone()).await, "active");
        }
        Fact::SignedIn { session, cookie } => {
            assert_eq!(status(session.clone()).await, "active");
            assert_eq!(token(session, cookie).await, 200, "{session} gets no token");
        }
        Fact::Ended { session, status: expected, cookie } => {
            assert_eq!(status(session.clone()).await, *expected);
            assert_eq!(token(session, cookie).await, 401, "{session} lives again");
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_under_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let facts: Arc<Mutex<Vec<Fact>>> = Arc::default();
    let start = || {
        let mut command = sojourn(folder.path());
        command.args(["test-server", "--port", "0", "--json", "--data"]).arg(folder.path().join("data"));
        Running::start(&mut command)
    };
    for round in 0..ROUNDS {
        let mut server = start();
        let (base, key) = (server.text("base_url"), server.text("secret_key"));
        let stop = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("client");
            let mut people = tokio::task::JoinSet::new();
            for person in 0..PEOPLE {
                let (http, base, key) = (http.clone(), base.clone(), key.clone());
                let (facts, stop) = (facts.clone(), stop.clone());
                people.spawn(async move {
                    for turn in 0.. {
                        let name = format!("p{round}x{person}x{turn}");
                        let tell = |fact| facts.lock().expect("not poisoned").push(fact);
                        let alive = live(&http, &base, &key, name, turn + person, tell).await.is_some();
                        if !alive || stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(700 + u64::from(round) * 333)).await;
            server.child.kill().expect("SIGKILL");
            server.child.wait().expect("gone");
            stop.store(true, Ordering::Relaxed);
            while people.join_next().await.is_some() {}
        });
    }
    let facts = facts.lock().expect("not poisoned").clone();
    let server = start();
    let (base, key) = (server.text("base_url"), server.text("secret_key"));
    runtime.block_on(async {
        let http = Client::new();
        for fact in &facts {
            check(&http, &base, &key, fact).await;
        }
    });
    let count = |wanted: fn(&Fact) -> bool| facts.iter().filter(|fact| wanted(fact)).count();
    assert!(count(|fact| matches!(fact, Fact::SignedUp { .. })) > 5, "too little happened: {}", facts.len());
    assert!(count(|fact| matches!(fact, Fact::Ended { .. })) > 2, "too few ends: {}", facts.len());
}
