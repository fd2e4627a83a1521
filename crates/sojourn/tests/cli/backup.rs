//! Backups: the restore drill, and what is refused.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::digest::{SHA256, digest};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use reqwest::Method;
use serde_json::Value;

use crate::people::{Fact, Node, check, ended, live, signed_up, until};
use crate::support::{Running, eventually, send, sojourn, stderr, stdout};

const PEOPLE: u32 = 4;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    sojourn(folder).args(arguments).output().expect("ran")
}

/// The answer of a command with `--json`.
fn answer(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).expect("JSON")
}

/// The error code of a command.
fn code(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, &[arguments, &["--json"]].concat());
    assert!(!output.status.success(), "{arguments:?}: {}", stdout(&output));
    let error: Value =
        serde_json::from_str(&stderr(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert!(error["error"]["hint"].is_string(), "{error}");
    error["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn start(home: &Path, data: &str) -> Running {
    let mut command = sojourn(home);
    command.args(["test-server", "--port", "0", "--json", "--data", data]);
    Running::start(&mut command)
}

#[test]
fn dat_01_a_backup_under_load_restores_what_was_acknowledged() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let facts: Arc<Mutex<Vec<Fact>>> = Arc::default();
    let recipient = stdout(&run(path, &["backup", "keygen", "--to", "backup.key"])).trim().to_owned();
    let mut server = start(path, "data");
    let node = Arc::new(Node::of(&server));
    let stop = Arc::new(AtomicBool::new(false));
    let (made, before) = runtime.block_on(async {
        let mut people = tokio::task::JoinSet::new();
        for person in 0..PEOPLE {
            let (node, facts, stop) = (node.clone(), facts.clone(), stop.clone());
            people.spawn(async move {
                for turn in 0.. {
                    let tell = |fact| facts.lock().expect("not poisoned").push(fact);
                    let alive = live(&node, &format!("p{person}x{turn}"), turn + person, tell).await;
                    if alive.is_none() || stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        until("people sign up and out", || signed_up(&facts) >= 6 && ended(&facts) >= 3).await;
        let before = facts.lock().expect("not poisoned").clone();
        let home = path.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            answer(
                &home,
                &["backup", "create", "--data", "data", "--recipient", &recipient, "--to", "made.age"],
            )
        });
        let made = made.await.expect("made");
        let more = signed_up(&facts) + 2;
        until("people go on", || signed_up(&facts) >= more).await;
        server.child.kill().expect("SIGKILL");
        server.child.wait().expect("gone");
        stop.store(true, Ordering::Relaxed);
        while people.join_next().await.is_some() {}
        (made, before)
    });
    assert_eq!(made["master_key"], true);
    assert_eq!(fs::metadata(path.join("made.age")).expect("there").permissions().mode() & 0o777, 0o600);
    fs::remove_dir_all(path.join("data")).expect("lost");

    let verified = answer(path, &["backup", "verify", "made.age", "--identity", "backup.key"]);
    assert_eq!(verified["rows"], made["rows"]);
    assert_eq!(verified["master_key_checked"], true);
    let restore = ["backup", "restore", "made.age", "--identity", "backup.key"];
    answer(path, &[&restore[..], &["--keep-sessions", "--data", "data"]].concat());
    answer(path, &[&restore[..], &["--data", "safe"]].concat());

    let server = start(path, "data");
    let node = Node::of(&server);
    runtime.block_on(async {
        for fact in &before {
            check(&node, fact).await;
        }
    });
    drop(server);
    // Ended after the backup or not: without --keep-sessions nothing is open.
    let server = start(path, "safe");
    let node = Node::of(&server);
    runtime.block_on(async {
        for fact in &before {
            match fact {
                Fact::SignedIn { session, cookie } => {
                    assert_eq!(node.token(session, cookie).await, 401, "{session} lives again");
                    assert_eq!(node.status(session).await, "revoked");
                }
                Fact::SignedUp { session, .. } => assert_ne!(node.status(session).await, "active"),
                other => check(&node, other).await,
            }
        }
        assert!(node.browser().sign_in("p0x0@example.com").await.is_some(), "people sign in again");
        let restored = "/v1/audit_log?action=instance.restored";
        let (_, log) = node.backend(Method::GET, restored, None).await.expect("answered");
        let entry = &log["data"][0];
        assert_eq!(
            (&log["total_count"], &entry["actor"]["type"]),
            (&1.into(), &"command_line".into()),
            "{log}"
        );
        assert_eq!(entry["changes"][1]["after"], false, "{log}");
    });
}

#[test]
fn a_backup_says_what_is_wrong_and_changes_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path();
    for (name, text) in [("phrase", "correct horse\n"), ("other", "incorrect horse\n"), ("empty", "\n")] {
        fs::write(path.join(name), text).expect("written");
    }
    let create = ["backup", "create", "--data", "data", "--to", "made.age"];
    assert_eq!(code(path, &create), "recipient_missing");
    let with_phrase = [&create[..], &["--passphrase-file", "phrase"]].concat();
    assert_eq!(code(path, &with_phrase), "database_missing");
    assert_eq!(code(path, &[&create[..], &["--passphrase-file", "empty"]].concat()), "passphrase_missing");
    assert_eq!(code(path, &[&create[..], &["--recipient", "age1nobody"]].concat()), "recipient_invalid");

    let server = start(path, "data");
    answer(path, &with_phrase);
    assert_eq!(code(path, &with_phrase), "file_exists");
    answer(path, &["export", "--data", "data", "--to", "plain"]);
    let phrase = ["--passphrase-file", "phrase"];
    let restore = |file: &str, more: &[&str], data: &str| {
        code(path, &[&["backup", "restore", file, "--data", data][..], more].concat())
    };
    assert_eq!(restore("made.age", &phrase, "data"), "data_folder_in_use");
    server.signal("-TERM");
    assert_eq!(server.wait().0, Some(0));
    assert_eq!(restore("made.age", &phrase, "data"), "target_not_empty");
    assert_eq!(restore("made.age", &[], "new"), "identity_missing");
    assert_eq!(restore("made.age", &["--passphrase-file", "other"], "new"), "identity_wrong");
    assert_eq!(restore("nothing.age", &phrase, "new"), "file_not_readable");
    for command in ["verify", "restore"] {
        // A plain file may be anybody's.
        let asked = [&["backup", command, "plain", "--data", "new"][..], &phrase].concat();
        assert_eq!(code(path, &asked), "archive_not_encrypted");
    }
    assert_eq!(code(path, &["backup", "verify", "."]), "file_not_readable");
    // An export has no master key.
    assert_eq!(restore("plain", &[], "new"), "master_key_missing");
    fs::create_dir(path.join("foreign")).expect("a folder");
    fs::write(path.join("foreign/master.key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .expect("written");
    assert_eq!(restore("made.age", &phrase, "foreign"), "master_key_wrong");

    let whole = fs::read(path.join("made.age")).expect("read");
    fs::write(path.join("cut.age"), &whole[..whole.len() - 9]).expect("written");
    assert_eq!(restore("cut.age", &phrase, "new"), "archive_damaged");
    let mut changed = whole.clone();
    let last = whole.len() - 30;
    changed[last] ^= 1;
    fs::write(path.join("changed.age"), changed).expect("written");
    assert_eq!(
        code(path, &["backup", "verify", "changed.age", "--passphrase-file", "phrase"]),
        "archive_damaged"
    );
    let plain = fs::read(path.join("plain")).expect("read");
    fs::write(path.join("cut"), &plain[..plain.len() / 2]).expect("written");
    assert_eq!(code(path, &["backup", "verify", "cut"]), "archive_truncated");
    fs::write(path.join("foreign.txt"), "hello\n").expect("written");
    assert_eq!(code(path, &["backup", "verify", "foreign.txt"]), "archive_foreign");
    for name in ["dev.db", "master.key", "dev.db.new"] {
        assert!(!path.join("new").join(name).exists(), "{name}");
    }
    assert_eq!(fs::read(path.join("made.age")).expect("there"), whole);
}

/// The export of an instance, in the folder of its data.
fn exported(home: &Path) -> Vec<u8> {
    drop(start(home, "data"));
    answer(home, &["export", "--data", "data", "--to", "plain"]);
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(home.join("plain")).expect("there")).read_to_end(&mut text).expect("gzip");
    text
}

/// An archive with another header, and the right hash.
fn forged(archive: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let lines: Vec<&[u8]> = archive.split_inclusive(|byte| *byte == b'\n').collect();
    let json = |line: &[u8]| serde_json::from_slice::<Value>(line).expect("JSON");
    let (mut header, mut end) = (json(lines[0]), json(lines[lines.len() - 1]));
    change(&mut header);
    let mut text = format!("{header}\n").into_bytes();
    lines[1..lines.len() - 1].iter().for_each(|line| text.extend_from_slice(line));
    let hash = digest(&SHA256, &text);
    end["sha256"] = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    text.extend_from_slice(format!("{end}\n").as_bytes());
    let mut out = GzEncoder::new(Vec::new(), Compression::none());
    out.write_all(&text).expect("compressed");
    out.finish().expect("compressed")
}

#[test]
fn a_header_that_its_rows_do_not_confirm_is_damaged() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path();
    let archive = exported(path);
    let other_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [Change<'_>; 5] = [
        &|header| header["master_key"] = "garbage".into(),
        &|header| header["master_key"] = other_key.into(),
        &|header| header["instances"][0]["environment"] = "production".into(),
        &|header| header["instances"][0]["host"] = "elsewhere.localhost".into(),
        &|header| header["instances"] = Value::Array(Vec::new()),
    ];
    for (index, change) in changes.iter().enumerate() {
        fs::write(path.join("forged"), forged(&archive, change)).expect("written");
        let new = format!("new{index}");
        fs::create_dir(path.join(&new)).expect("a folder");
        if index > 1 {
            fs::copy(path.join("data/master.key"), path.join(&new).join("master.key")).expect("copied");
        }
        assert_eq!(code(path, &["backup", "verify", "forged"]), "archive_damaged", "{index}");
        assert_eq!(
            code(path, &["backup", "restore", "forged", "--data", &new]),
            "archive_damaged",
            "{index}"
        );
        for name in ["dev.db", "sojourn.db", "dev.db.new", "sojourn.db.new"] {
            assert!(!path.join(&new).join(name).exists(), "{index}: {name}");
        }
        assert_eq!(path.join(&new).join("master.key").exists(), index > 1, "{index}");
    }
    // Nobody can confirm which program it was: it is shown in one line.
    let program = |header: &mut Value| header["program"] = "1\u{1b}[2K\ninstance  good.example".into();
    fs::write(path.join("forged"), forged(&archive, program)).expect("written");
    let verified = run(path, &["backup", "verify", "forged"]);
    assert!(verified.status.success(), "{}", stderr(&verified));
    let told = stdout(&verified);
    assert!(!told.contains('\u{1b}') && told.lines().count() == 6, "{told}");
}

#[test]
fn an_interrupted_check_removes_what_it_decrypted() {
    for (signal, exit) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path();
        let archive = forged(&exported(path), |_| {});
        fs::create_dir(path.join("tmp")).expect("a folder");
        let made = Command::new("mkfifo").arg(path.join("pipe")).status().expect("mkfifo runs");
        assert!(made.success());
        let mut command = sojourn(path);
        command.args(["backup", "verify", "pipe"]).env("TMPDIR", path.join("tmp"));
        let checking = command.spawn().expect("the command runs");
        // The end does not come, so the check is in the middle of the load.
        let mut pipe = fs::OpenOptions::new().write(true).open(path.join("pipe")).expect("opened");
        pipe.write_all(&archive[..archive.len() - 30]).expect("read by the command");
        let entries = |folder: &Path| -> Vec<PathBuf> {
            let found = fs::read_dir(folder).into_iter().flatten();
            found.map(|entry| entry.expect("an entry").path()).collect()
        };
        eventually("there is a draft of the database", || {
            entries(&path.join("tmp")).iter().any(|folder| folder.join("verify.db.new").exists())
        });
        send(signal, checking.id());
        let output = checking.wait_with_output().expect("ended");
        drop(pipe);
        assert_eq!(output.status.code(), Some(exit), "{}", stderr(&output));
        assert_eq!(entries(&path.join("tmp")), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_refused_restore_explains_itself() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("phrase"), "correct horse\n").expect("written");
    drop(start(home.path(), "data"));
    let made = run(
        home.path(),
        &["backup", "create", "--data", "data", "--to", "made.age", "--passphrase-file", "phrase"],
    );
    assert_eq!(stdout(&made), "made.age\n", "{}", stderr(&made));
    fs::write(home.path().join("phrase"), "another\n").expect("written");
    let refused =
        run(home.path(), &["backup", "restore", "made.age", "--data", "new", "--passphrase-file", "phrase"]);
    assert_eq!(refused.status.code(), Some(4));
    insta::assert_snapshot!(stderr(&refused), @"
    error: made.age cannot be decrypted
      the passphrase is not the one that it was encrypted with
      try: give the key or passphrase that belongs to this file
    ");
}
