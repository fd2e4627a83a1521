//! What is stored about one person: shown, and deleted.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::people::{Node, PASSWORD};
use crate::support::{Running, sojourn, stderr, stdout};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    sojourn(folder).args(arguments).args(["--data", "data"]).output().expect("ran")
}

#[tokio::test]
async fn a_person_gets_what_is_stored_and_is_deleted() {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = sojourn(home.path());
    let server = Running::start(command.args(["test-server", "--port", "0", "--json", "--data", "data"]));
    let email = "hildegard@example.com";
    let made = run(
        home.path(),
        &["users", "create", "--email", email, "--password", PASSWORD, "--first-name", "Hildegard"],
    );
    let id = stdout(&made).trim().to_owned();
    let node = Node::of(&server);
    node.user("other@example.com").await;
    let (mut browser, mut other) = (node.browser(), node.browser());
    let session = browser.sign_in(email).await.expect("signed in");
    other.sign_in("other@example.com").await.expect("signed in");

    let exported = run(home.path(), &["users", "export", email]);
    let text = stdout(&exported);
    let data: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", stderr(&exported)));
    assert_eq!((&data["object"], &data["user"]["first_name"]), (&"user_export".into(), &"Hildegard".into()));
    assert_eq!(data["sessions"].as_array().map(Vec::len), Some(1), "{data}");
    assert_eq!(data["sessions"][0]["id"], session.as_str());
    let names = |list: &str, name: &str| -> Vec<String> {
        let entries = data[list].as_array().expect("a list").iter();
        entries.map(|entry| entry[name].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names("events", "name"), ["user.created", "session.created"]);
    assert_eq!(names("audit_log", "action"), ["user.created"]);
    for secret in ["argon2", "other@example.com", "digest", PASSWORD] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }

    let unconfirmed = run(home.path(), &["users", "delete", email]);
    assert_eq!(unconfirmed.status.code(), Some(2), "{}", stderr(&unconfirmed));
    let deleted = run(home.path(), &["users", "delete", email, "--yes"]);
    assert_eq!(stdout(&deleted).trim(), id, "{}", stderr(&deleted));
    assert_eq!(node.token(&session, &browser.cookie).await, 401);
    for gone in
        [run(home.path(), &["users", "export", &id]), run(home.path(), &["users", "delete", email, "--yes"])]
    {
        assert_eq!(gone.status.code(), Some(3), "{}", stderr(&gone));
    }
}
