//! An instance moves between the embedded database and PostgreSQL, and its people notice nothing.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use crate::people::Node;
use crate::postgres::Database;
use crate::support::{Running, sojourn, stderr};

fn run(folder: &Path, arguments: &[&str]) {
    let output = sojourn(folder).args(arguments).output().expect("ran");
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
}

fn start(home: &Path, arguments: &[&str]) -> Running {
    let mut command = sojourn(home);
    Running::start(command.args(["test-server", "--port", "0", "--json"]).args(arguments))
}

async fn read(node: &Node, path: &str) -> Value {
    let (status, body) = node.backend(Method::GET, path, None).await.expect("answered");
    assert_eq!(status, 200, "{body}");
    body
}

/// What must not change in a move.
async fn seen(node: &Node, sessions: &[&str]) -> Vec<Value> {
    let mut seen = Vec::new();
    for session in sessions {
        let mut session = read(node, &format!("/v1/sessions/{session}")).await;
        // Each request for a token is activity.
        session["last_active_at"] = Value::Null;
        session["updated_at"] = Value::Null;
        seen.push(session);
    }
    seen.push(read(node, "/v1/jwks").await);
    seen.push(read(node, "/v1/instance/session_settings").await);
    seen.push(read(node, "/v1/users/count").await);
    seen
}

#[tokio::test]
async fn a_browser_stays_signed_in_when_its_instance_moves() {
    let (home, database) = (tempfile::tempdir().expect("a folder"), Database::new().await);
    let (home, url) = (home.path(), database.url());
    let first = start(home, &["--data", "first"]);
    let node = Node::of(&first);
    node.user("ada@example.com").await;
    let mut browser = node.browser();
    let session = browser.sign_in("ada@example.com").await.expect("signed in");
    let mut other = node.browser();
    let ended = other.sign_in("ada@example.com").await.expect("signed in");
    other.post(&format!("/v1/client/sessions/{ended}/end"), &[]).await.expect("ended");
    let before = seen(&node, &[&session, &ended]).await;
    let keys = (first.text("publishable_key"), first.text("secret_key"));
    first.signal("-TERM");
    assert_eq!(first.wait().0, Some(0));

    run(home, &["export", "--data", "first", "--to", "there"]);
    fs::create_dir(home.join("second")).expect("a folder");
    fs::copy(home.join("first/master.key"), home.join("second/master.key")).expect("copied");
    run(home, &["import", "instance", "there", "--data", "second", "--database", &url]);
    let second = start(home, &["--data", "second", "--database", &url]);
    assert_eq!((second.text("publishable_key"), second.text("secret_key")), keys);
    let node = Node::of(&second);
    assert_eq!(node.token(&session, &browser.cookie).await, 200, "the same cookie");
    assert_eq!(node.token(&ended, &other.cookie).await, 401, "what was ended stays ended");
    assert_eq!(seen(&node, &[&session, &ended]).await, before);
    let imports = "/v1/audit_log?action=instance.imported";
    assert_eq!(read(&node, imports).await["total_count"], 1);

    // And back, from a node that serves, encrypted with its master key.
    let recipient = sojourn(home).args(["backup", "keygen", "--to", "key"]).output().expect("ran");
    let recipient = String::from_utf8(recipient.stdout).expect("text");
    let encrypted = ["--recipient", recipient.trim(), "--include-master-key"];
    run(
        home,
        &[&["export", "--data", "second", "--database", &url, "--to", "back.age"][..], &encrypted].concat(),
    );
    drop(second);
    run(home, &["import", "instance", "back.age", "--identity", "key", "--data", "third"]);
    let third = start(home, &["--data", "third"]);
    assert_eq!((third.text("publishable_key"), third.text("secret_key")), keys);
    let node = Node::of(&third);
    assert_eq!(node.token(&session, &browser.cookie).await, 200, "the same cookie");
    assert_eq!(node.token(&ended, &other.cookie).await, 401);
    assert_eq!(seen(&node, &[&session, &ended]).await, before);
    assert_eq!(read(&node, imports).await["total_count"], 2);
}
