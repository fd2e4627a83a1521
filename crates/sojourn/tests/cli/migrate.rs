//! `sojourn migrate`, and starts that leave the schema alone.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::on_postgres::node;
use crate::postgres::Database;
use crate::support::{Running, sojourn, stderr, stdout};

fn migrate(folder: &Path, what: &str, url: &str) -> Output {
    let mut command = sojourn(folder);
    command.args(["migrate", what, "--json"]);
    if !url.is_empty() {
        command.env("DATABASE_URL", url);
    }
    command.output().expect("ran")
}

fn answer(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).expect("one object")
}

#[tokio::test]
async fn an_operator_says_when_the_schema_on_a_server_changes() {
    let database = Database::new().await;
    let (home, url) = (tempfile::tempdir().expect("temporary folder"), database.url());
    let refused = node(home.path(), &url).arg("--no-migrate").output().expect("ran");
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    assert!(stderr(&refused).contains("sojourn migrate up"), "{}", stderr(&refused));
    let status = answer(&migrate(home.path(), "status", &url));
    assert_eq!((&status["schema"], &status["state"]), (&Value::from(0), &Value::from("none")));

    let up = answer(&migrate(home.path(), "up", &url));
    assert_eq!((&up["from"], &up["to"]), (&Value::from(0), &status["known"]));
    assert_eq!(answer(&migrate(home.path(), "status", &url))["state"], "current");
    let again = answer(&migrate(home.path(), "up", &url));
    assert_eq!(again["from"], again["to"]);
    // Also while a node serves.
    let _node = Running::start(node(home.path(), &url).arg("--no-migrate"));
    assert_eq!(answer(&migrate(home.path(), "up", &url))["from"], again["to"]);

    database.run("UPDATE schema_version SET version = 99").await;
    assert_eq!(answer(&migrate(home.path(), "status", &url))["state"], "newer");
    for refused in [migrate(home.path(), "up", &url), node(home.path(), &url).output().expect("ran")] {
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("schema 99"), "{}", stderr(&refused));
    }
}

#[test]
fn an_embedded_database_is_migrated_only_by_its_server() {
    let home = tempfile::tempdir().expect("temporary folder");
    let status = answer(&migrate(home.path(), "status", ""));
    assert_eq!((&status["database"], &status["state"]), (&"./.sojourn/dev.db".into(), &"none".into()));
    assert_eq!(answer(&migrate(home.path(), "up", ""))["to"], 0);
    assert!(!home.path().join(".sojourn").exists(), "looking made something");

    let server = Running::start(sojourn(home.path()).args(["serve", "--log-format", "json", "--port", "0"]));
    let status = answer(&migrate(home.path(), "status", ""));
    assert_eq!((&status["schema"], &status["state"]), (&status["known"], &"current".into()));
    let refused = migrate(home.path(), "up", "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("data_folder_in_use"), "{}", stderr(&refused));
    server.signal("-TERM");
    assert_eq!(server.wait().0, Some(0));
    let up = answer(&migrate(home.path(), "up", ""));
    assert_eq!((&up["from"], &up["to"], &up["copy"]), (&status["known"], &status["known"], &Value::Null));
    let people = sojourn(home.path()).args(["migrate", "status"]).output().expect("ran");
    assert!(stdout(&people).contains("current: nothing to do"), "{}", stdout(&people));
}
