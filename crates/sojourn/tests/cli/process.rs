//! The life of a server process: start, ready line, keys, ports, signals, end.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Running, eventually, send, sojourn, stderr, stdout};

fn serve(folder: &Path, arguments: &[&str]) -> Running {
    let mut command = sojourn(folder);
    command.args(["serve", "--log-format", "json"]).args(arguments);
    Running::start(&mut command)
}

fn test_server(folder: &Path, arguments: &[&str]) -> Running {
    let mut command = sojourn(folder);
    command.args(["test-server", "--json"]).args(arguments);
    Running::start(&mut command)
}

#[test]
fn d11_a_second_start_prints_the_same_keys() {
    let home = tempfile::tempdir().expect("temporary folder");
    let first = serve(home.path(), &["--port", "4630"]);
    let keys = (first.text("publishable_key"), first.text("secret_key"));
    assert!(keys.0.starts_with("pk_live_") && keys.1.starts_with("sk_test_sojourn_"), "{keys:?}");
    for file in [".gitignore", "dev.db", "master.key", "server.json"] {
        assert!(home.path().join(".sojourn").join(file).exists(), "{file}");
    }
    first.signal("-TERM");
    let (code, _, _) = first.wait();
    assert_eq!(code, Some(0));
    assert!(!home.path().join(".sojourn/server.json").exists());

    let second = serve(home.path(), &["--port", "4630"]);
    assert_eq!((second.text("publishable_key"), second.text("secret_key")), keys);
}

#[test]
fn the_banner_is_a_line_for_programs_a_screen_for_people() {
    let home = tempfile::tempdir().expect("temporary folder");
    let server = serve(home.path(), &["--port", "0"]);
    assert_eq!(server.ready["event"], "ready");
    assert_eq!(server.ready["pid"], server.child.id());
    assert_eq!(server.ready["urls"]["portal"], format!("{}/sign-in", server.text("base_url")));
    server.signal("-INT");
    let (code, rest, _) = server.wait();
    assert_eq!((code, rest.as_str()), (Some(0), ""));

    let mut command = sojourn(home.path());
    command.args(["serve", "--port", "0"]);
    let mut child = command.spawn().expect("the binary starts");
    eventually("ready", || home.path().join(".sojourn/server.json").exists());
    send("-TERM", child.id());
    let output = child.wait_with_output().expect("waited");
    assert!(stdout(&output).contains("\nCLERK_SECRET_KEY=sk_test_"), "{}", stdout(&output));
    child = sojourn(home.path()).arg("version").spawn().expect("the binary starts");
    assert_eq!(stdout(&child.wait_with_output().expect("waited")), "sojourn 0.1.0\n");
}

#[test]
fn a_busy_port_gives_way_to_the_next_one_and_the_keys_stay() {
    let home = tempfile::tempdir().expect("temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("address").port();
    let server = serve(home.path(), &["--port", &port.to_string()]);
    assert_ne!(server.text("base_url"), format!("http://localhost:{port}"));
    server.signal("-TERM");
    let (_, _, prose) = server.wait();
    assert!(prose.contains(&format!("port {port} is in use")), "{prose}");
}

#[test]
fn two_servers_do_not_share_a_data_folder() {
    let home = tempfile::tempdir().expect("temporary folder");
    let _first = serve(home.path(), &["--port", "0"]);
    let second = sojourn(home.path()).args(["serve", "--port", "0"]).output().expect("ran");
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another sojourn"), "{}", stderr(&second));
}

#[test]
fn a_database_without_its_key_refuses_the_start() {
    let home = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(home.path().join("state")).expect("create");
    fs::write(home.path().join("state/dev.db"), "").expect("write");
    let refused = sojourn(home.path()).args(["serve", "--data", "state"]).output().expect("ran");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("master.key is missing"), "{}", stderr(&refused));
    assert!(!home.path().join("state/master.key").exists());
}

#[test]
fn a_master_key_is_replaced_while_the_signing_key_stays() {
    let home = tempfile::tempdir().expect("temporary folder");
    let write = |name: &str, key: &str| fs::write(home.path().join(name), key).expect("write");
    write("old.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    write("new.key", "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let start = |config: &str| {
        write("sojourn.toml", config);
        serve(home.path(), &["--port", "0"])
    };
    let refused = |config: &str| {
        write("sojourn.toml", config);
        let refused = sojourn(home.path()).args(["serve", "--port", "0"]).output().expect("ran");
        assert_eq!(refused.status.code(), Some(1));
        stderr(&refused)
    };
    let stop = |server: Running| {
        server.signal("-TERM");
        assert_eq!(server.wait().0, Some(0));
    };
    // The public key tells which private key it is.
    let public_key = || {
        let env = sojourn(home.path()).args(["env", "--for", "json"]).output().expect("ran");
        let lines: serde_json::Value = serde_json::from_str(&stdout(&env)).expect("JSON");
        lines.to_string().split("PUBLIC KEY").nth(1).expect("a key").to_owned()
    };
    let first = start("master_key_file = \"old.key\"");
    let key = public_key();
    stop(first);
    assert!(refused("master_key_file = \"new.key\"").contains("does not open"));
    let both = start("master_key_file = \"new.key\"\nprevious_master_key_file = \"old.key\"");
    assert_eq!(public_key(), key);
    stop(both);
    let new = start("master_key_file = \"new.key\"");
    assert_eq!(public_key(), key);
    stop(new);
    assert!(refused("master_key_file = \"old.key\"").contains("does not open"));
}

#[test]
fn a_test_server_prints_one_line_and_removes_its_folder() {
    let home = tempfile::tempdir().expect("temporary folder");
    let temporary = tempfile::tempdir().expect("temporary folder");
    let mut command = sojourn(home.path());
    command.args(["test-server", "--port", "0", "--json"]).env("TMPDIR", temporary.path());
    let server = Running::start(&mut command);
    let fields: Vec<&String> = server.ready.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["base_url", "event", "pid", "publishable_key", "secret_key"]);
    assert_eq!(fs::read_dir(temporary.path()).expect("readable").count(), 1);
    server.signal("-TERM");
    let (code, rest, _) = server.wait();
    assert_eq!((code, rest.as_str()), (Some(0), ""));
    assert_eq!(fs::read_dir(temporary.path()).expect("readable").count(), 0);
    assert_eq!(fs::read_dir(home.path()).expect("readable").count(), 0);
}

#[test]
fn a_test_server_keeps_the_folder_that_it_was_given() {
    let home = tempfile::tempdir().expect("temporary folder");
    let first = test_server(home.path(), &["--port", "0", "--data", "kept"]);
    let key = first.text("secret_key");
    first.signal("-TERM");
    assert_eq!(first.wait().0, Some(0));
    let second = test_server(home.path(), &["--port", "0", "--data", "kept"]);
    assert_eq!(second.text("secret_key"), key);
}

#[test]
fn a_test_server_uses_exactly_the_given_port_or_fails() {
    let home = tempfile::tempdir().expect("temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("address").port().to_string();
    let refused =
        sojourn(home.path()).args(["test-server", "--json", "--port", &port]).output().expect("ran");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(stdout(&refused), "");
    drop(taken);
    let server = test_server(home.path(), &["--port", &port]);
    assert_eq!(server.text("base_url"), format!("http://localhost:{port}"));
}

#[test]
fn a_test_server_ends_when_its_parent_dies() {
    let home = tempfile::tempdir().expect("temporary folder");
    let program = env!("CARGO_BIN_EXE_sojourn");
    let mut parent = Command::new("sh")
        .args(["-c", &format!("'{program}' test-server --json </dev/null >ready 2>prose & sleep 60")])
        .current_dir(home.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell starts");
    let ready = || fs::read_to_string(home.path().join("ready")).unwrap_or_default();
    eventually("ready", || ready().ends_with('\n'));
    let line: serde_json::Value = serde_json::from_str(&ready()).expect("one line");
    let process = format!("/proc/{}", line["pid"]);
    assert!(Path::new(&process).exists());
    parent.kill().expect("killed");
    parent.wait().expect("waited");
    eventually("the server is gone", || !Path::new(&process).exists());
}

#[test]
fn a_mistake_in_the_configuration_is_exit_2_and_says_where() {
    let home = tempfile::tempdir().expect("temporary folder");
    fs::write(home.path().join("sojourn.toml"), "port = 4000\nprot = 1\n").expect("write");
    let refused = sojourn(home.path()).arg("serve").output().expect("ran");
    assert_eq!(refused.status.code(), Some(2));
    insta::assert_snapshot!(stderr(&refused), @"
    error: unknown key prot in sojourn.toml, line 2
      a key that has no effect is refused, so that a slip of the pen is not overlooked
      try: did you mean port?
    ");
}
