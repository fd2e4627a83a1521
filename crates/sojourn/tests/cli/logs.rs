//! What stands in the log of a server that tells everything it can: ids and
//! results, and never what opens something (LOG-01).

use reqwest::{Client, Response, header};
use serde_json::Value;

use crate::support::{Running, sojourn};

const PASSWORD: &str = "correct-horse-battery";
const WRONG_PASSWORD: &str = "wrong-horse-battery";

/// Posts a form as a page of the application would, with the cookie that came last.
async fn post(http: &Client, cookie: &mut String, url: &str, form: &[(&str, &str)]) -> Value {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = http
        .post(url)
        .header(header::ORIGIN, "http://localhost:3000")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie.as_str())
        .body(body);
    let answer: Response = request.send().await.expect("answered");
    for line in answer.headers().get_all(header::SET_COOKIE) {
        let line = line.to_str().expect("a plain cookie");
        if line.starts_with("__client_") && !line.starts_with("__client_uat") {
            *cookie = line.split(';').next().unwrap_or_default().to_owned();
        }
    }
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn log_01_the_log_tells_who_did_what_and_no_secret() {
    let home = tempfile::tempdir().expect("temporary folder");
    let mut command = sojourn(home.path());
    command.args(["serve", "--port", "0", "--log-format", "json"]);
    command.env("RUST_LOG", "sojourn=trace,sojourn_core=trace,sojourn_server=trace,sojourn_store=trace");
    let server = Running::start(&mut command);
    let (base, key) = (server.text("base_url"), server.text("secret_key"));
    let (http, mut cookie) = (Client::new(), String::new());
    let mut secrets = vec![PASSWORD.to_owned(), WRONG_PASSWORD.to_owned(), key.clone()];

    let sign_ups = format!("{base}/v1/client/sign_ups");
    let fields = [("email_address", "ada@example.com"), ("password", PASSWORD)];
    let begun = post(&http, &mut cookie, &sign_ups, &fields).await;
    let attempt = format!("{sign_ups}/{}", begun["response"]["id"].as_str().expect("an id"));
    let strategy = ("strategy", "email_code");
    post(&http, &mut cookie, &format!("{attempt}/prepare_verification"), &[strategy]).await;
    let mails = http.get(format!("{base}/dev/mailbox")).bearer_auth(&key).send().await.expect("answered");
    let mails: Value = mails.json().await.expect("JSON");
    let code = mails["data"][0]["code"].as_str().expect("a code").to_owned();
    let fields = [strategy, ("code", code.as_str())];
    let done = post(&http, &mut cookie, &format!("{attempt}/attempt_verification"), &fields).await;
    let session = done["response"]["created_session_id"].as_str().expect("signed in").to_owned();
    let tokens = format!("{base}/v1/client/sessions/{session}/tokens");
    let token = post(&http, &mut cookie, &tokens, &[]).await;
    secrets.push(token["jwt"].as_str().expect("a token").to_owned());
    secrets.push(cookie.split('.').nth(1).expect("a secret").to_owned());

    let mut other = String::new();
    let fields = [("identifier", "ada@example.com"), ("password", WRONG_PASSWORD)];
    post(&http, &mut other, &format!("{base}/v1/client/sign_ins"), &fields).await;
    let user = format!("{base}/v1/users?query=ada");
    http.get(&user).bearer_auth("sk_test_of_somebody_else").send().await.expect("answered");
    secrets.push("sk_test_of_somebody_else".to_owned());

    server.signal("-TERM");
    let (_, rest, log) = server.wait();
    assert!(log.contains(&session), "who signed in is told: {log}");
    assert!(log.contains("verification failed"), "a wrong password is logged: {log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()) && !rest.contains(secret.as_str()), "{secret} in {log}");
    }
    assert!(!log.contains(&format!("\"{code}\"")), "{log}");
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("LOG-02: one JSON object a line"))
        .collect();
    let answered = lines.iter().filter(|line| line["fields"]["message"] == "request answered");
    let routes: Vec<&Value> = answered.map(|line| &line["fields"]["route"]).collect();
    for route in ["/v1/client/sign_ups", "/v1/client/sessions/{session_id}/tokens", "/v1/users"] {
        assert!(routes.iter().any(|found| *found == route), "{route} in {routes:?}");
    }
    let signed_up =
        lines.iter().find(|line| line["fields"]["route"] == "/v1/client/sign_ups").expect("logged");
    assert_eq!(signed_up["fields"]["status"], 200, "{signed_up}");
    assert_eq!(signed_up["span"]["method"], "POST", "{signed_up}");
    assert_eq!(signed_up["span"]["id"].as_str().map(str::len), Some(32), "{signed_up}");
}
