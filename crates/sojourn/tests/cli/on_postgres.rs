//! A server on PostgreSQL: which database, which master key, and what is told of both.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::postgres::Database;
use crate::support::{Running, sojourn, stderr, stdout};

pub const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A node with a data folder of its own, told where the database is by a variable.
pub fn node(folder: &Path, url: &str) -> Command {
    let mut command = sojourn(folder);
    command.args(["serve", "--log-format", "json", "--port", "0"]).env("SOJOURN_DATABASE", url);
    command
}

#[tokio::test]
async fn a_server_on_postgresql_hides_the_database_password() {
    let database = Database::new().await;
    let home = tempfile::tempdir().expect("temporary folder");
    // The server of the tests asks for no password, and takes any.
    let url = database.url().replacen("://sojourn@", "://sojourn:hunter2@", 1);
    let first = {
        let mut command = sojourn(home.path());
        command.args(["serve", "--log-format", "json", "--port", "0", "--database", &url]);
        Running::start(command.env("RUST_LOG", "trace"))
    };
    let keys = (first.text("publishable_key"), first.text("secret_key"));
    assert!(first.text("database").starts_with("postgres://"), "{}", first.ready);
    let published = fs::read_to_string(home.path().join(".sojourn/server.json")).expect("a file");
    assert!(published.contains(&first.text("database")), "{published}");
    assert!(!home.path().join(".sojourn/dev.db").exists());
    let env = sojourn(home.path()).args(["env", "--for", "json"]).output().expect("ran");
    assert!(stderr(&env).contains(&first.text("database")), "{}", stderr(&env));
    let help =
        sojourn(home.path()).args(["serve", "--help"]).env("DATABASE_URL", &url).output().expect("ran");
    let told = format!("{} {published} {} {} {}", first.ready, stdout(&env), stderr(&env), stdout(&help));
    first.signal("-TERM");
    let (code, rest, prose) = first.wait();
    assert_eq!(code, Some(0), "{prose}");
    assert!(!format!("{told} {rest} {prose}").contains("hunter2"));

    // By the variable of hosting platforms, too.
    let mut command = sojourn(home.path());
    command.args(["serve", "--log-format", "json", "--port", "0"]).env("DATABASE_URL", &url);
    let second = Running::start(&mut command);
    assert_eq!((second.text("publishable_key"), second.text("secret_key")), keys);
}

#[tokio::test]
async fn nodes_that_start_at_once_become_one_instance() {
    let database = Database::new().await;
    let homes: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("temporary folder")).collect();
    let starts: Vec<_> = homes
        .iter()
        .map(|home| {
            let mut command = node(home.path(), &database.url());
            command.env("SOJOURN_MASTER_KEY", MASTER_KEY);
            std::thread::spawn(move || Running::start(&mut command))
        })
        .collect();
    let nodes: Vec<Running> = starts.into_iter().map(|start| start.join().expect("ready")).collect();
    for node in &nodes {
        for key in ["publishable_key", "secret_key"] {
            assert_eq!(node.text(key), nodes[0].text(key));
        }
        assert_ne!(node.text("base_url"), "");
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM instances").await, 1);
}

#[tokio::test]
async fn a_node_without_the_master_key_does_not_start() {
    let database = Database::new().await;
    let home = tempfile::tempdir().expect("temporary folder");
    let first = Running::start(&mut node(home.path(), &database.url()));
    let key = fs::read_to_string(home.path().join(".sojourn/master.key")).expect("a key");

    let other = tempfile::tempdir().expect("temporary folder");
    let refused = node(other.path(), &database.url()).output().expect("ran");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("master.key is missing"), "{}", stderr(&refused));
    assert!(!other.path().join(".sojourn/master.key").exists(), "a second key was made");

    let wrong = node(other.path(), &database.url()).env("SOJOURN_MASTER_KEY", MASTER_KEY).output();
    let wrong = stderr(&wrong.expect("ran"));
    assert!(wrong.contains("does not open") && wrong.contains("SOJOURN_MASTER_KEY"), "{wrong}");

    fs::write(other.path().join("key"), key).expect("written");
    let mut command = node(other.path(), &database.url());
    let second = Running::start(command.env("SOJOURN_MASTER_KEY_FILE", "key"));
    assert_eq!(second.text("secret_key"), first.text("secret_key"));
}

#[tokio::test]
async fn an_unreachable_database_is_an_error_in_three_parts() {
    let home = tempfile::tempdir().expect("temporary folder");
    let url = "postgres://sojourn:hunter2@127.0.0.1:5699/none";
    let refused = node(home.path(), url).output().expect("ran");
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    let told = stderr(&refused);
    assert!(told.contains("cannot use the database postgres://127.0.0.1:5699/none"), "{told}");
    assert!(told.contains("try: ") && !told.contains("hunter2"), "{told}");
}
