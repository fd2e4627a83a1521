//! `sojourn doctor` on setups that work and on those that a first day gets wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use sojourn_testkit::MailServer;

use crate::on_postgres::node;
use crate::postgres::Database;
use crate::production::{init, serve};
use crate::proxy::{Site, example_nginx, nginx_with};
use crate::support::{Running, free_port, sojourn, stderr, stdout};

fn doctor(home: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = sojourn(home).args(["doctor", "--json"]).args(arguments).output().expect("ran");
    let report = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code(), report)
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

fn statuses<'a>(report: &'a Value, status: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().filter(|check| check["status"] == status);
    found.map(|check| check["name"].as_str().expect("a name")).collect()
}

/// A production instance with a mail server, behind nginx.
struct Setup {
    home: tempfile::TempDir,
    site: Site,
    public: u16,
    upstream: u16,
    mail: MailServer,
}

impl Setup {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("temporary folder");
        init(home.path());
        let site = Site::new(home.path());
        let mail = MailServer::start();
        let path = home.path().join("sojourn.toml");
        let config = fs::read_to_string(&path).expect("there");
        let upstream = free_port();
        let config = config.replace(":4000", &format!(":{upstream}"));
        let config = format!(
            "{config}\n[mail]\nfrom = \"Example <no-reply@example.com>\"\nsmtp.host = \"127.0.0.1\"\n\
             smtp.port = {}\nsmtp.encryption = \"none\"\n",
            mail.port()
        );
        fs::write(&path, config).expect("written");
        Self { home, site, public: free_port(), upstream, mail }
    }

    fn report(&self) -> (Option<i32>, Value) {
        let (to, authority) = (format!("127.0.0.1:{}", self.public), self.site.path("cert.pem"));
        doctor(self.home.path(), &["--connect-to", &to, "--ca-file", &authority])
    }
}

#[test]
fn a_whole_setup_is_healthy() {
    let setup = Setup::new();
    let _server = serve(setup.home.path(), &[]);
    let _proxy =
        nginx_with(&setup.site, setup.public, &example_nginx(&setup.site, setup.public, setup.upstream));
    let (code, report) = setup.report();
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["failed"], 0);
    for name in [
        "permissions",
        "database",
        "ports",
        "server",
        "secret keys",
        "cookies",
        "certificate",
        "public way",
        "header limits",
        "proxy",
        "mail",
    ] {
        assert_eq!(check(&report, name)["status"], "ok", "{report:#}");
    }
    assert!(setup.mail.mails().is_empty(), "no mail is sent");
    // What the report says holds no secret.
    let file = fs::read_to_string(setup.home.path().join(".sojourn/server.json")).expect("there");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    assert!(!report.to_string().contains(file["secret_key"].as_str().expect("a key")));
}

#[test]
fn each_fault_of_the_proxy_is_found() {
    let setup = Setup::new();
    let _server = serve(setup.home.path(), &[]);
    let good = example_nginx(&setup.site, setup.public, setup.upstream);
    for (from, to, name, word) in [
        ("$host;", "localhost;", "public way", "Host $host"),
        ("X-Forwarded-Proto $scheme;", "X-Forwarded-Proto http;", "public way", "X-Forwarded-Proto"),
        ("large_client_header_buffers 4 32k;", "", "header limits", "large_client_header_buffers"),
        (
            "X-Forwarded-For   $remote_addr;",
            "X-Forwarded-For $http_x_forwarded_for;",
            "proxy",
            "$remote_addr",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let proxy = nginx_with(&setup.site, setup.public, &good.replace(from, to));
        let (code, report) = setup.report();
        drop(proxy);
        assert_eq!(code, Some(1), "{to}: {report:#}");
        let found = check(&report, name);
        assert_eq!(found["status"], "failed", "{to}: {report:#}");
        assert!(found["hint"].as_str().is_some_and(|hint| hint.contains(word)), "{found:#}");
    }
    // No proxy at all.
    let (_, report) = setup.report();
    assert_eq!(check(&report, "public way")["status"], "failed", "{report:#}");
}

#[test]
fn faults_of_the_machine_are_found_without_a_server() {
    let setup = Setup::new();
    let key = setup.home.path().join(".sojourn");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o755)).expect("changed");
    let config = fs::read_to_string(setup.home.path().join("sojourn.toml")).expect("there");
    let config = config.replace("smtp.port", "smtp.timeout_seconds = 5\nsmtp.port");
    let config = config
        .replace(&format!("smtp.port = {}", setup.mail.port()), &format!("smtp.port = {}", free_port()));
    fs::write(setup.home.path().join("sojourn.toml"), config).expect("written");
    let (code, report) = setup.report();
    assert_eq!(code, Some(1));
    assert_eq!(statuses(&report, "failed"), ["permissions", "server", "public way", "mail"], "{report:#}");
    assert!(
        check(&report, "permissions")["hint"].as_str().is_some_and(|hint| hint.starts_with("chmod 700 "))
    );
    let (_, offline) = doctor(setup.home.path(), &["--offline"]);
    assert_eq!(statuses(&offline, "skipped"), ["public way", "mail"], "{offline:#}");
}

#[test]
fn a_fresh_development_instance_is_healthy() {
    let home = tempfile::tempdir().expect("temporary folder");
    let _server = serve(home.path(), &["--port", "0"]);
    let output = sojourn(home.path()).args(["doctor"]).env("SOJOURN_PORT", "0").output().expect("ran");
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[tokio::test]
async fn the_durability_and_the_clock_of_postgresql_are_checked() {
    let database = Database::new().await;
    let home = tempfile::tempdir().expect("temporary folder");
    let _server = Running::start(&mut node(home.path(), &database.url()));
    let output = sojourn(home.path())
        .args(["doctor", "--json"])
        .env("SOJOURN_DATABASE", database.url())
        .output()
        .expect("ran");
    let report: Value =
        serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert_eq!(check(&report, "database")["status"], "ok", "{report:#}");
    assert_eq!(check(&report, "clock")["status"], "ok", "{report:#}");
    // The server of the tests may run without fsync, to be quick.
    let syncs = database.number("SELECT (current_setting('fsync') = 'on')::int::int8").await == 1;
    let found = check(&report, "PostgreSQL");
    assert_eq!(found["status"], if syncs { "ok" } else { "failed" }, "{found:#}");
    assert!(found["message"].as_str().is_some_and(|text| text.contains(if syncs {
        "synchronous"
    } else {
        "fsync"
    })));
}
