//! LOG-01 at the level TRACE of every library: whatever an operator turns on to find a fault, the log
//! opens nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use reqwest::{Client, Method, header};
use serde_json::{Value, json};
use sojourn_service::mail::Encryption;
use sojourn_testkit::{MAIL_USER, MailServer};

use crate::support::{Running, eventually, sojourn};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct-horse-battery";
const WRONG_PASSWORD: &str = "wrong-horse-battery";
const NEW_PASSWORD: &str = "another-horse-battery";
const DIGEST: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";

fn serve(folder: &Path, mail: &MailServer) -> Running {
    fs::write(folder.join("password"), MAIL_USER.1).expect("written");
    let config = format!(
        "data = \"data\"\nport = 0\n[mail]\nfrom = \"no-reply@acme.example\"\n[mail.smtp]\nhost = \"localhost\"\n\
         port = {}\nusername = \"{}\"\npassword_file = \"password\"\nca_file = \"{}\"\n",
        mail.port(),
        MAIL_USER.0,
        mail.ca_file().display()
    );
    fs::write(folder.join("sojourn.toml"), config).expect("written");
    let mut command = sojourn(folder);
    command.args(["serve", "--log-format", "json"]).env("RUST_LOG", "trace");
    Running::start(&mut command)
}

/// Takes one webhook.
fn receiver() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        let mut head = [0; 4096];
        let read = connection.read(&mut head).expect("a request");
        let answer = connection.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        answer.expect("the server reads");
        let _ = sender.send(String::from_utf8_lossy(&head[..read]).into_owned());
    });
    (url, requests)
}

/// A page of the application in a browser.
struct Browser {
    base: String,
    cookie: String,
}

impl Browser {
    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Value {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Client::new()
            .post(format!("{}{path}", self.base))
            .header(header::ORIGIN, "http://localhost:3000")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, self.cookie.as_str())
            .body(body);
        let answer = request.send().await.expect("answered");
        for line in answer.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("a plain cookie");
            if line.starts_with("__client_") && !line.starts_with("__client_uat") {
                line.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
            }
        }
        answer.json().await.expect("JSON")
    }

    /// The secret in the client cookie.
    fn secret(&self) -> String {
        self.cookie.split('.').nth(1).expect("a secret").to_owned()
    }
}

/// The application's server.
struct Backend {
    base: String,
    key: String,
}

impl Backend {
    async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let request = Client::new().request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        request.json(&body).send().await.expect("answered").json().await.expect("JSON")
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, body).await
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

/// Whether the code stands in the log as a number of its own, and not as a part of a time.
fn has_code(log: &str, code: &str) -> bool {
    log.match_indices(code).any(|(at, _)| {
        let (before, after) = (log[..at].chars().next_back(), log[at + code.len()..].chars().next());
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.');
        !is_part(before) && !is_part(after)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn log_01_no_secret_is_logged_at_any_level() {
    let home = tempfile::tempdir().expect("temporary folder");
    let mail = MailServer::encrypted(Encryption::StartTls);
    let server = serve(home.path(), &mail);
    let (base, key) = (server.text("base_url"), server.text("secret_key"));
    let backend = Backend { base: base.clone(), key: key.clone() };
    let mut secrets = vec![
        key,
        MAIL_USER.1.to_owned(),
        PASSWORD.to_owned(),
        WRONG_PASSWORD.to_owned(),
        NEW_PASSWORD.to_owned(),
        DIGEST.to_owned(),
        "sk_test_of_somebody_else".to_owned(),
    ];

    // A receiver of events, whose secret signs.
    let (url, requests) = receiver();
    let endpoint = backend.post("/v1/webhooks/endpoints", json!({"url": url})).await;
    let id = text(&endpoint["id"]);
    let rotated = backend.post(&format!("/v1/webhooks/endpoints/{id}/rotate_secret"), json!({})).await;
    for secret in [&endpoint["secret"], &rotated["secret"]] {
        let secret = text(secret);
        secrets.push(secret.strip_prefix("whsec_").expect("a prefix").to_owned());
    }

    // Sign-up with a code by SMTP, and refreshes.
    let mut browser = Browser { base: base.clone(), cookie: String::new() };
    let begun =
        browser.post("/v1/client/sign_ups", &[("email_address", EMAIL), ("password", PASSWORD)]).await;
    let attempt = format!("/v1/client/sign_ups/{}", text(&begun["response"]["id"]));
    let strategy = ("strategy", "email_code");
    browser.post(&format!("{attempt}/prepare_verification"), &[strategy]).await;
    eventually("the code is there", || mail.mails().len() == 1);
    let data = text(&mail.mails()[0]["data"]);
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    let code = data.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code).expect("a code").to_owned();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for code in [wrong, code.as_str()] {
        browser.post(&format!("{attempt}/attempt_verification"), &[strategy, ("code", code)]).await;
    }
    let client = browser.post("/v1/client?_method=PUT", &[]).await;
    let session = text(&client["response"]["sessions"][0]["id"]);
    let user = text(&client["response"]["sessions"][0]["user"]["id"]);
    secrets.push(browser.secret());
    let token = browser.post(&format!("/v1/client/sessions/{session}/tokens"), &[]).await;
    secrets.push(text(&token["jwt"]));
    let signed = requests.recv_timeout(Duration::from_secs(30)).expect("a webhook");
    let signature = signed.lines().find_map(|line| line.strip_prefix("webhook-signature: v1,"));
    secrets.push(signature.expect("a signature").split(' ').next().unwrap_or_default().to_owned());

    // A wrong password, then tickets in other browsers.
    let mut other = Browser { base: base.clone(), cookie: String::new() };
    other.post("/v1/client/sign_ins", &[("identifier", EMAIL), ("password", WRONG_PASSWORD)]).await;
    let actor = json!({"user_id": user, "actor": {"sub": "user_staff"}});
    for (path, body) in [("/v1/sign_in_tokens", json!({"user_id": user})), ("/v1/actor_tokens", actor)] {
        let ticket = text(&backend.post(path, body).await["token"]);
        let mut guest = Browser { base: base.clone(), cookie: String::new() };
        let fields = [("strategy", "ticket"), ("ticket", ticket.as_str())];
        let done = guest.post("/v1/client/sign_ins", &fields).await;
        assert_eq!(done["response"]["status"], "complete", "{done}");
        secrets.extend([ticket.clone(), guest.secret()]);
        // As the link opens the portal.
        let page = Client::new().get(format!("{base}/sign-in?__clerk_ticket={ticket}"));
        page.send().await.expect("answered");
    }

    // What administrators send and get.
    let made = backend.post("/v1/instance/secret_keys", json!({"name": "worker"})).await;
    secrets.push(text(&made["secret"]));
    let worker = Backend { base: base.clone(), key: text(&made["secret"]) };
    worker.send(Method::PATCH, &format!("/v1/users/{user}"), json!({"password": NEW_PASSWORD})).await;
    let imported = json!({"email_address": ["bob@example.com"], "password_digest": DIGEST, "password_hasher": "argon2id"});
    worker.post("/v1/users", imported).await;
    let stranger = Backend { base: base.clone(), key: "sk_test_of_somebody_else".to_owned() };
    stranger.post("/v1/users", json!({"password": WRONG_PASSWORD})).await;

    server.signal("-TERM");
    let (_, rest, log) = server.wait();
    let log = format!("{rest}{log}");
    assert!(log.contains("\"TRACE\"") && log.contains("webhook delivered"), "the log tells a lot");
    for secret in &secrets {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
    for address in [EMAIL, "bob@example.com"] {
        let line = log.lines().find(|line| line.contains(address));
        assert!(line.is_none(), "{address} in {line:?}");
    }
    let line = log.lines().find(|line| has_code(line, &code));
    assert!(line.is_none(), "the code {code} in {line:?}");
}
