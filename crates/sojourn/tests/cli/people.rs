//! People who use a server, and remember what it said to have done.

use std::{sync::Mutex, time::Duration};

use reqwest::{Client, Method, Response, header};
use serde_json::{Value, json};

use crate::support::Running;

const ORIGIN: &str = "http://localhost:3000";
pub const PASSWORD: &str = "correct horse battery";

/// Something the server said to have done.
#[derive(Clone, Debug)]
pub enum Fact {
    Mailed { email: String },
    SignedUp { user: String, session: String },
    SignedIn { session: String, cookie: String },
    Ended { session: String, status: &'static str, cookie: String },
}

/// Waits until the people have come so far, however slow the machine is.
pub async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still not so after a minute: {what}");
}

pub fn signed_up(facts: &Mutex<Vec<Fact>>) -> usize {
    let facts = facts.lock().expect("not poisoned");
    facts.iter().filter(|fact| matches!(fact, Fact::SignedUp { .. })).count()
}

pub fn ended(facts: &Mutex<Vec<Fact>>) -> usize {
    let facts = facts.lock().expect("not poisoned");
    facts.iter().filter(|fact| matches!(fact, Fact::Ended { .. })).count()
}

/// A node as people reach it, and what they have seen of its failures.
pub struct Node {
    http: Client,
    pub base: String,
    pub key: String,
    /// Status, and whether it was said when to try again.
    pub failures: Mutex<Vec<(u16, bool)>>,
}

impl Node {
    pub fn of(server: &Running) -> Self {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("client");
        let (base, key) = (server.text("base_url"), server.text("secret_key"));
        Self { http, base, key, failures: Mutex::default() }
    }

    pub fn browser(&self) -> Browser<'_> {
        self.browser_with("")
    }

    pub fn browser_with(&self, cookie: &str) -> Browser<'_> {
        Browser { node: self, cookie: cookie.to_owned() }
    }

    /// What the application's server asks; nothing when the node died before it answered.
    pub async fn backend(&self, method: Method, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.ok()?;
        let status = self.note(&answer);
        Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).ok()?))
    }

    fn note(&self, answer: &Response) -> u16 {
        let status = answer.status().as_u16();
        if status >= 500 {
            let again = answer.headers().contains_key(header::RETRY_AFTER);
            self.failures.lock().expect("not poisoned").push((status, again));
        }
        status
    }

    pub async fn status(&self, session: &str) -> String {
        let path = format!("/v1/sessions/{session}");
        let (code, object) = self.backend(Method::GET, &path, None).await.expect("answered");
        assert_eq!(code, 200, "{object}");
        object["status"].as_str().unwrap_or("").to_owned()
    }

    /// The status of asking for a token.
    pub async fn token(&self, session: &str, cookie: &str) -> u16 {
        let path = format!("/v1/client/sessions/{session}/tokens");
        self.browser_with(cookie).post(&path, &[]).await.expect("answered").0
    }

    /// An account that can sign in with [`PASSWORD`].
    pub async fn user(&self, email: &str) -> String {
        let body = json!({ "email_address": [email], "password": PASSWORD });
        let (status, user) = self.backend(Method::POST, "/v1/users", Some(body)).await.expect("answered");
        assert_eq!(status, 200, "{user}");
        user["id"].as_str().expect("an id").to_owned()
    }
}

/// One browser: it keeps the client cookie and nothing else.
pub struct Browser<'a> {
    node: &'a Node,
    pub cookie: String,
}

impl Browser<'_> {
    /// The answer's body, or nothing when the server died before it gave one.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Option<(u16, Value)> {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.node.http.post(format!("{}{path}", self.node.base)).header(header::ORIGIN, ORIGIN);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request =
            if self.cookie.is_empty() { request } else { request.header(header::COOKIE, &self.cookie) };
        let answer = request.body(body).send().await.ok()?;
        let status = self.node.note(&answer);
        let lines = answer.headers().get_all(header::SET_COOKIE).iter();
        let lines: Vec<String> = lines.filter_map(|line| line.to_str().ok().map(str::to_owned)).collect();
        let body = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        if let Some(line) =
            lines.iter().find(|line| line.starts_with("__client_") && !line.starts_with("__client_uat"))
        {
            self.cookie = line.split(';').next().unwrap_or("").to_owned();
        }
        Some((status, body))
    }

    /// Signs in with [`PASSWORD`]; the id of the session.
    pub async fn sign_in(&mut self, email: &str) -> Option<String> {
        let credentials = [("identifier", email), ("password", PASSWORD), ("strategy", "password")];
        let (_, done) = self.post("/v1/client/sign_ins", &credentials).await?;
        done["response"]["created_session_id"].as_str().map(str::to_owned)
    }
}

/// One person's day: signs up with a mailed code, signs in on another browser,
/// and leaves in one of three ways. Stops where the server dies.
pub async fn live(node: &Node, name: &str, turn: u32, tell: impl Fn(Fact)) -> Option<()> {
    let email = format!("{name}@example.com");
    let mut first = node.browser();
    let (_, begun) =
        first.post("/v1/client/sign_ups", &[("email_address", &email), ("password", PASSWORD)]).await?;
    let id = begun["response"]["id"].as_str()?.to_owned();
    let strategy = ("strategy", "email_code");
    let prepare = format!("/v1/client/sign_ups/{id}/prepare_verification");
    first.post(&prepare, &[strategy]).await.filter(|(status, _)| *status == 200)?;
    tell(Fact::Mailed { email: email.clone() });
    let (_, mails) = node.backend(Method::GET, &format!("/dev/mailbox?to={email}"), None).await?;
    let code = mails["data"][0]["code"].as_str()?.to_owned();
    let answer = [strategy, ("code", code.as_str())];
    let (_, done) = first.post(&format!("/v1/client/sign_ups/{id}/attempt_verification"), &answer).await?;
    let session = done["response"]["created_session_id"].as_str()?.to_owned();
    let user = done["response"]["created_user_id"].as_str()?.to_owned();
    tell(Fact::SignedUp { user, session: session.clone() });

    let mut second = node.browser();
    let other = second.sign_in(&email).await?;
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
            node.backend(Method::POST, &revoke, Some(json!({})))
                .await
                .filter(|(status, _)| *status == 200)?;
            tell(Fact::Ended { session: other, status: "revoked", cookie });
        }
        _ => tell(Fact::SignedIn { session: other, cookie }),
    }
    Some(())
}

/// Whether what was told is still so.
pub async fn check(node: &Node, fact: &Fact) {
    match fact {
        Fact::Mailed { email } => {
            let path = format!("/dev/mailbox?to={email}");
            let (_, mails) = node.backend(Method::GET, &path, None).await.expect("answered");
            assert!(mails["data"][0]["code"].is_string(), "the mail to {email} is gone");
        }
        Fact::SignedUp { user, session } => {
            let path = format!("/v1/users/{user}");
            let (code, _) = node.backend(Method::GET, &path, None).await.expect("answered");
            assert_eq!(code, 200, "{user} is gone");
            assert_eq!(node.status(session).await, "active");
        }
        Fact::SignedIn { session, cookie } => {
            assert_eq!(node.status(session).await, "active");
            assert_eq!(node.token(session, cookie).await, 200, "{session} gets no token");
        }
        Fact::Ended { session, status, cookie } => {
            assert_eq!(node.status(session).await, *status);
            assert_eq!(node.token(session, cookie).await, 401, "{session} lives again");
        }
    }
}
