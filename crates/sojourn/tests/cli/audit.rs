//! `sojourn audit`, with and without a running server before it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::production;
use crate::support::{Running, free_port, sojourn, stderr, stdout};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = sojourn(folder);
    command.env("USER", "ada").args(arguments).arg("--data").arg(folder.join("data"));
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

fn start(folder: &Path) -> Running {
    let mut command = sojourn(folder);
    command.args(["test-server", "--port", "0", "--json", "--data"]).arg(folder.join("data"));
    Running::start(&mut command)
}

#[test]
fn the_audit_log_tells_what_was_done_by_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    drop(start(folder));
    // Without a server: the command opens the database.
    let made = stdout(&run(folder, &["keys", "create", "--name", "worker", "--json"]));
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let _server = start(folder);
    run(folder, &["settings", "set", "application_name=Acme"]);
    let log = stdout(&run(folder, &["audit", "--json"]));
    let log: Value = serde_json::from_str(&log).expect("JSON");
    let told: Vec<String> = log["data"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| format!("{} {} {}", entry["action"], entry["actor"]["type"], entry["actor"]["label"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""settings.changed" "secret_key" "ada""#,
            r#""secret_key.created" "command_line" "ada""#,
            r#""instance.created" "system" null"#,
        ]
    );
    assert!(!log.to_string().contains(made["secret"].as_str().expect("a secret")), "{log}");
    let table = stdout(&run(folder, &["audit", "--action", "secret_key.*", "--since", "1h", "--limit", "1"]));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TIME") && lines.len() == 2, "{table}");
    let id = made["id"].as_str().expect("an id");
    assert!(lines[1].contains("command_line (ada)") && lines[1].contains(id), "{table}");
    let mut unknown = sojourn(folder);
    unknown.args(["audit", "--action", "key", "--data"]).arg(folder.join("data"));
    let unknown = unknown.output().expect("the binary runs");
    assert!(stderr(&unknown).contains("secret_key.created"), "{}", stderr(&unknown));
}

#[test]
fn production_tells_its_machine_from_the_holder_of_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let made = production::init(folder);
    let listen = format!("127.0.0.1:{}", free_port());
    let _server = production::serve(folder, &["--listen", &listen]);
    let on_the_machine = |arguments: &[&str]| {
        let output = sojourn(folder).env("USER", "ada").args(arguments).output().expect("the binary runs");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    on_the_machine(&["settings", "set", "application_name=Acme"]);
    let key = made["secret_key"].as_str().expect("a key");
    on_the_machine(&["settings", "set", "application_name=Other", "--secret-key", key]);
    let log: Value = serde_json::from_str(&on_the_machine(&["audit", "--json"])).expect("JSON");
    let told: Vec<String> = log["data"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| format!("{} {} {}", entry["action"], entry["actor"]["type"], entry["actor"]["name"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""settings.changed" "secret_key" "first""#,
            r#""settings.changed" "command_line" null"#,
            r#""instance.created" "command_line" null"#,
        ]
    );
}
