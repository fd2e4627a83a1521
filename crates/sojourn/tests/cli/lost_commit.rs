//! A commit that PostgreSQL does not acknowledge: nobody knows whether the creation took place, and
//! the same request finds out.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::on_postgres::{MASTER_KEY, node};
use crate::postgres::Server;
use crate::support::Running;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_of_unknown_outcome_is_repeated_and_made_once() {
    let database = Server::start(false);
    let home = tempfile::tempdir().expect("temporary folder");
    let mut command = node(home.path(), &database.url());
    let running = Running::start(command.env("SOJOURN_MASTER_KEY", MASTER_KEY));
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ask = async |method: Method, path: &str, body: Option<Value>| -> (StatusCode, Value) {
        let url = format!("{}{path}", running.text("base_url"));
        let mut request = http.request(method, url).bearer_auth(running.text("secret_key"));
        if let Some(body) = body {
            request = request.header("idempotency-key", "the first user").json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    };
    let user = json!({"email_address": ["ada@example.com"], "skip_password_requirement": true});
    let create = async || ask(Method::POST, "/v1/users", Some(user.clone())).await;

    database.wait_for_standby("gone").await;
    let (status, answer) = create().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(answer["errors"][0]["code"], "outcome_unknown", "{answer}");

    database.wait_for_standby("").await;
    let (status, created) = create().await;
    assert_eq!(status, StatusCode::OK, "{created}");
    assert_eq!(create().await, (StatusCode::OK, created.clone()));
    let (_, users) = ask(Method::GET, "/v1/users", None).await;
    assert_eq!(users.as_array().map(Vec::len), Some(1), "{users}");
    assert_eq!(users[0]["id"], created["id"]);
}
