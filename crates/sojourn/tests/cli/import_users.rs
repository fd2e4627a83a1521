//! `sojourn import users` with the exports of other systems, against a real server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use crate::people::Node;
use crate::support::{Running, sojourn, stderr, stdout};

/// The password of everybody in the samples.
const SAMPLE_PASSWORD: &str = "correct horse";

struct Server {
    folder: tempfile::TempDir,
    running: Running,
    node: Node,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let running = Running::start(sojourn(folder.path()).args(["test-server", "--port", "0", "--json"]));
        let node = Node::of(&running);
        Self { folder, running, node }
    }

    fn import(&self, file: &Path, more: &[&str]) -> Output {
        let (url, key) = (self.running.text("base_url"), self.running.text("secret_key"));
        let file = file.to_str().expect("a path");
        let arguments = ["import", "users", file, "--url", &url, "--secret-key", &key];
        sojourn(self.folder.path()).args(arguments).args(more).output().expect("the command runs")
    }

    /// The summary of an import.
    fn summary(&self, file: &Path, more: &[&str]) -> Value {
        let output = self.import(file, &[more, &["--json"]].concat());
        let summary = stdout(&output);
        let first = summary.lines().next().unwrap_or_default();
        serde_json::from_str(first).unwrap_or_else(|_| panic!("{summary}{}", stderr(&output)))
    }

    async fn user(&self, email: &str) -> Value {
        let path = format!("/v1/users?email_address={}", email.replace('@', "%40"));
        let (status, found) = self.node.backend(Method::GET, &path, None).await.expect("answered");
        assert_eq!(status, 200, "{found}");
        found[0].clone()
    }

    async fn signs_in(&self, email: &str) -> bool {
        let form = [("identifier", email), ("strategy", "password"), ("password", SAMPLE_PASSWORD)];
        let mut browser = self.node.browser();
        let (status, answer) = browser.post("/v1/client/sign_ins", &form).await.expect("answered");
        status == 200 && answer["response"]["status"] == "complete"
    }
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import_samples").join(name)
}

fn numbers(summary: &Value) -> [u64; 3] {
    ["created", "existing", "refused"].map(|name| summary[name].as_u64().expect("a number"))
}

#[tokio::test]
async fn exports_of_each_system_are_recognised_and_sign_in() {
    let config = sample("firebase-hash-config.txt");
    let config = ["--firebase-hash-config", config.to_str().expect("a path")];
    // The file, its format, flags, what becomes of the rows, who signs in, who is banned.
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], [u64; 3], &'a [&'a str], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("clerk.json", "clerk-json", &[], [1, 0, 0], &[], &[]),
        ("auth0.ndjson", "auth0", &[], [3, 0, 0], &["ada", "grace"], &["joan"]),
        ("firebase.json", "firebase", &config, [2, 0, 0], &["ada"], &["grace"]),
        ("firebase.csv", "firebase", &config, [2, 0, 0], &["ada"], &["grace"]),
        ("supabase.csv", "supabase", &[], [2, 0, 1], &["ada"], &["grace"]),
        (
            "django.json",
            "django",
            &[],
            [7, 0, 1],
            &["pbkdf2_sha256", "pbkdf2_sha1", "bcrypt_sha256", "scrypt", "md5", "argon2"],
            &["unusable"],
        ),
        ("keycloak.json", "keycloak", &[], [4, 0, 0], &["ada", "grace", "dorothy"], &["joan"]),
        ("wordpress.csv", "wordpress", &[], [2, 0, 1], &["ada", "grace"], &[]),
    ];
    for (file, format, flags, became, sign_in, banned) in cases {
        let server = Server::start();
        let dry = server.summary(&sample(file), &[flags, &["--dry-run"][..]].concat());
        assert_eq!((numbers(&dry), &dry["format"]), (*became, &Value::from(*format)), "{file}: {dry}");
        assert_eq!(server.user("ada@example.com").await, Value::Null, "{file}: a dry run writes nothing");
        let real = server.summary(&sample(file), flags);
        assert_eq!(numbers(&real), *became, "{file}: {real}");
        for name in *sign_in {
            assert!(server.signs_in(&format!("{name}@example.com")).await, "{file}: {name}");
        }
        for name in *banned {
            assert_eq!(server.user(&format!("{name}@example.com")).await["banned"], true, "{file}: {name}");
        }
        let again = server.summary(&sample(file), flags);
        assert_eq!(numbers(&again), [0, became[0], became[2]], "{file}: {again}");
    }
}

#[tokio::test]
async fn an_import_reports_each_row_and_what_is_lost() {
    let server = Server::start();
    let report = server.folder.path().join("report.csv");
    let flags = ["--keep-ids", "--report", report.to_str().expect("a path")];
    let output = server.import(&sample("clerk.csv"), &flags);
    insta::assert_snapshot!(format!(
        "{:?}\n{}--\n{}",
        output.status.code(),
        stdout(&output),
        stderr(&output).replace(report.to_str().expect("a path"), "report.csv")
    ));
    insta::assert_snapshot!(std::fs::read_to_string(&report).expect("a report"));
    let ada = server.user("ada@example.com").await;
    assert_eq!(ada["id"], "user_2fFyZGKaMQrtuGTQzmkLYuKXi8X");
    assert_eq!(ada["password_enabled"], true);
    // A report is never overwritten, and names no row that was not done.
    let output = server.import(&sample("clerk.csv"), &flags);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("give --report another name"), "{}", stderr(&output));
    let output = server.import(&sample("clerk.csv"), &["--on-conflict", "fail"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("exists already"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_row_that_is_too_large_is_refused_by_itself() {
    let server = Server::start();
    let folder = server.folder.path();
    let users: Vec<Value> = (0..10)
        .map(|n| {
            let note = "x".repeat(if n == 3 { 1_200_000 } else { 8_000 });
            let address = json!([{ "id": "idn_1", "email_address": format!("user{n}@example.com") }]);
            json!({ "id": format!("user_{n}"), "email_addresses": address, "public_metadata": { "note": note } })
        })
        .collect();
    let (json, csv) = (folder.join("users.json"), folder.join("users.csv"));
    std::fs::write(&json, Value::from(users).to_string()).expect("written");
    let long = "x".repeat(2_000_000);
    let rows = format!("1,ada@example.com,Ada\n2,bob@example.com,{long}\n3,eve@example.com,Eve\n");
    std::fs::write(&csv, format!("id,primary_email_address,first_name\n{rows}")).expect("written");
    for (file, report, became, field) in
        [(&json, "json.csv", [9, 0, 1], "public_metadata"), (&csv, "csv.csv", [2, 0, 1], "first_name")]
    {
        let report = folder.join(report);
        let output = server.import(file, &["--json", "--report", report.to_str().expect("a path")]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(5), "{told}");
        let summary = stdout(&output);
        let summary: Value = serde_json::from_str(summary.trim()).expect("a summary");
        assert_eq!(numbers(&summary), became, "{summary}{told}");
        assert!(told.contains(field) && told.contains("more than 1 MiB"), "{told}");
        assert!(told.contains("again with another --report"), "{told}");
        let mode = std::fs::metadata(&report).expect("a report").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn the_report_of_a_dry_run_has_no_ids_of_new_accounts() {
    let server = Server::start();
    let rows = |report: &str, more: &[&str]| {
        let report = server.folder.path().join(report);
        let flags = [&["--report", report.to_str().expect("a path")], more].concat();
        server.import(&sample("clerk.csv"), &flags);
        let rows = std::fs::read_to_string(&report).expect("a report");
        let row: Value = serde_json::from_str(rows.lines().next().expect("a row")).expect("JSON");
        (row["result"].clone(), row["user_id"].clone())
    };
    assert_eq!(rows("dry.jsonl", &["--dry-run"]), (json!("created"), Value::Null));
    // This one is the file's, and will be the account's.
    let kept = json!("user_2fFyZGKaMQrtuGTQzmkLYuKXi8X");
    assert_eq!(rows("kept.jsonl", &["--dry-run", "--keep-ids"]), (json!("created"), kept));
    let (_, id) = rows("real.jsonl", &[]);
    assert!(id.is_string());
    assert_eq!(rows("exists.jsonl", &["--dry-run"]), (json!("exists"), id));
}

#[tokio::test]
async fn an_import_goes_on_after_the_server_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let csv = folder.path().join("many.csv");
    let rows: Vec<String> = (0..5000).map(|n| format!("{n},user{n}@example.com\n")).collect();
    std::fs::write(&csv, format!("id,primary_email_address\n{}", rows.concat())).expect("written");
    let start = || {
        let mut command = sojourn(folder.path());
        Running::start(command.args(["serve", "--port", "0", "--log-format", "json"]))
    };
    let import = |server: &Running| {
        let (url, key) = (server.text("base_url"), server.text("secret_key"));
        let mut command = sojourn(folder.path());
        command.args(["import", "users"]).arg(&csv).args(["--url", &url, "--secret-key", &key, "--json"]);
        command
    };
    let server = start();
    let importing = import(&server).spawn().expect("the command runs");
    let node = Node::of(&server);
    // Some batches are in, and the others are not.
    let mut known = 0;
    while known == 0 {
        let path = "/v1/users/count";
        let (_, count) = node.backend(Method::GET, path, None).await.expect("answered");
        known = count["total_count"].as_u64().expect("a number");
    }
    drop(server);
    crate::support::send("-KILL", importing.id());
    let _ = importing.wait_with_output();

    let server = start();
    let output = import(&server).output().expect("the command runs");
    let summary: Value = serde_json::from_str(stdout(&output).trim()).expect("a summary");
    let [created, existing, refused] = numbers(&summary);
    assert_eq!((created + existing, refused), (5000, 0), "{summary}");
    assert!(existing >= known, "{summary}: {known} were acknowledged");
    let (_, count) = Node::of(&server).backend(Method::GET, "/v1/users/count", None).await.expect("answered");
    assert_eq!(count["total_count"], 5000);
}

#[test]
fn a_file_that_is_none_says_what_would_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.txt");
    std::fs::write(&file, "name\nAda\n").expect("written");
    let run =
        |file: &Path| sojourn(folder.path()).args(["import", "users"]).arg(file).output().expect("it runs");
    let output = run(&file);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--format clerk-csv|clerk-json|auth0"), "{}", stderr(&output));
    for name in [".", "missing.csv"] {
        let output = run(&folder.path().join(name));
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("try: give a file that exists"), "{}", stderr(&output));
    }
}
