//! Settings as code, with a real server: pull, edit, push, look back, go back, simulate.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::support::{Running, sojourn, stderr, stdout};

struct Place {
    home: tempfile::TempDir,
    _server: Running,
}

impl Place {
    fn start(configure: impl FnOnce(&mut std::process::Command)) -> Self {
        let home = tempfile::tempdir().expect("temporary folder");
        let mut command = sojourn(home.path());
        command.args(["serve", "--port", "0", "--log-format", "json"]);
        configure(&mut command);
        Self { _server: Running::start(&mut command), home }
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = sojourn(self.home.path());
        command.env("USER", "ada").args(["settings"]).args(arguments.split_whitespace());
        command.output().expect("ran")
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", stderr(&output));
        stdout(&output)
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.home.path().join("sojourn.settings.toml");
        let text = fs::read_to_string(&path).expect("pulled");
        assert!(text.contains(from), "{from} in {text}");
        fs::write(path, text.replace(from, to)).expect("written");
    }
}

#[test]
fn settings_are_pulled_edited_pushed_and_in_the_history() {
    let place = Place::start(|_| {});
    place.ok("pull");
    assert_eq!(place.ok("diff"), "");
    place.edit("multi_session_enabled = false", "multi_session_enabled = true");
    place.edit("lifetime = 60 # 1m", "lifetime = 45");
    let differs = place.run("diff");
    assert_eq!(differs.status.code(), Some(9));
    let changes = "session.lifetime: 60 -> 45\nsession_settings.multi_session_enabled: false -> true\n";
    assert_eq!(stdout(&differs), changes);

    let unconfirmed = place.run("push");
    assert_eq!((unconfirmed.status.code(), stdout(&unconfirmed).as_str()), (Some(2), changes));
    assert!(stderr(&unconfirmed).contains("--yes"), "{}", stderr(&unconfirmed));
    let dry = place.run("push --dry-run");
    assert!(stderr(&dry).contains("would end 0 sessions now"), "{}", stderr(&dry));
    assert_eq!(place.ok("get session.lifetime"), "60\n", "nothing was changed");

    let pushed = place.run("push --yes");
    assert_eq!(pushed.status.code(), Some(0), "{}", stderr(&pushed));
    assert!(stderr(&pushed).ends_with("version 2 is in force\n"), "{}", stderr(&pushed));
    assert_eq!(place.ok("get session.lifetime"), "45\n");
    assert_eq!(place.ok("diff"), "");
    assert!(stderr(&place.run("push --yes")).contains("nothing differs"), "the file moved on to version 2");

    let history: Value = serde_json::from_str(&place.ok("history --json")).expect("JSON");
    assert_eq!(history["data"][0]["author"], "cli:ada");
    let table = place.ok("history");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[1].starts_with("2        ") && rows[1].ends_with("session.lifetime: 60 -> 45"), "{table}");
    assert!(rows[2].trim() == "session_settings.multi_session_enabled: false -> true", "{table}");
    assert!(rows[3].contains("system"), "{table}");
}

#[test]
fn a_push_from_a_version_that_is_no_longer_in_force_is_refused() {
    let place = Place::start(|_| {});
    place.ok("pull");
    place.ok("set session_settings.multi_session_enabled=true");
    place.edit("lifetime = 60", "lifetime = 45");
    for arguments in ["push --yes", "push --dry-run"] {
        let refused = place.run(arguments);
        assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("Version 1 was to be changed, but version 2 is in force"));
        assert!(stderr(&refused).contains("settings pull"), "{}", stderr(&refused));
    }
    let kept = place.run("pull");
    assert_eq!(kept.status.code(), Some(5));
    assert!(stderr(&kept).contains("session.lifetime: 45 -> 60"), "{}", stderr(&kept));
    place.ok("pull --force");
    assert_eq!(place.ok("diff"), "");
}

#[test]
fn s2_a_file_that_leaves_neither_limit_on_is_refused() {
    let place = Place::start(|_| {});
    place.ok("pull");
    place.edit("enabled = true", "enabled = false");
    let refused = place.run("push --yes");
    assert_eq!(refused.status.code(), Some(5));
    assert!(stderr(&refused).contains("session_lifetime_required"), "{}", stderr(&refused));
    let simulated = place.run("simulate --inactivity off --maximum off");
    assert_eq!(simulated.status.code(), Some(5));
    assert!(stderr(&simulated).contains("at least one of"), "{}", stderr(&simulated));
}

#[test]
fn a_rollback_shows_what_it_does_and_makes_a_new_version() {
    let place = Place::start(|_| {});
    place.ok("set session_settings.inactivity_timeout=30m");
    assert_eq!(place.run("diff 1").status.code(), Some(9));
    assert_eq!(place.run("rollback 1").status.code(), Some(2), "nobody was asked");
    let change = "session_settings.inactivity_timeout.enabled: true -> false\n";
    assert_eq!(place.ok("rollback 1 --dry-run"), change);
    let back = place.run("rollback 1 --yes");
    assert_eq!(stdout(&back), change);
    assert!(stderr(&back).ends_with("version 3 is in force\n"), "{}", stderr(&back));
    assert_eq!(place.ok("diff 1"), "");
    let table = place.ok("history --limit 1");
    assert!(table.contains("(back to version 1)") && table.contains("cli:ada"), "{table}");
    assert_eq!(place.run("rollback 9 --yes").status.code(), Some(3));
}

#[test]
fn d8_a_push_cannot_change_a_pinned_value() {
    let place = Place::start(|command| {
        command.env("SOJOURN_SESSION_SETTINGS__ACTIVITY", "visible");
    });
    assert_eq!(place.ok("get session_settings.activity"), "visible\n");
    place.ok("pull");
    place.edit("activity = \"visible\"", "activity = \"token\"");
    let refused = place.run("push --yes");
    assert_eq!(refused.status.code(), Some(5));
    let said = stderr(&refused);
    assert!(said.contains("pinned in env:SOJOURN_SESSION_SETTINGS__ACTIVITY"), "{said}");
    assert_eq!(place.run("rollback 1 --yes").status.code(), Some(5));
}

#[test]
fn settings_simulate_works_with_and_without_a_server() {
    let home = tempfile::tempdir().expect("temporary folder");
    let run = |arguments: &[&str]| {
        sojourn(home.path()).args(["settings", "simulate"]).args(arguments).output().expect("ran")
    };
    let office = run(&["--inactivity", "3d", "--maximum", "7d", "--days", "21", "--away", "12-14"]);
    insta::assert_snapshot!(stdout(&office), @r"
    DAY  SIGNS IN      BECAUSE             OVER SINCE             LAST ACTIVE
    1    Mon 09:00:00  first visit
    8    Mon 09:00:00  maximum lifetime    Mon 09:00:00 (day 8)   Fri 16:59:00 (day 5)
    15   Mon 09:00:00  inactivity timeout  Sun 16:59:00 (day 14)  Thu 16:59:00 (day 11)
    ");
    assert_eq!(stderr(&office), "inactivity timeout 3d, maximum lifetime 7d: 3 sign-ins in 21 days\n");
    let rare = run(&["--inactivity", "off", "--maximum", "800d", "--every", "401d", "--days", "500"]);
    assert!(stdout(&rare).contains("browsers keep no cookie longer than 400 days"), "{}", stdout(&rare));
    assert!(stderr(&rare).starts_with("warning: browsers keep no cookie"), "{}", stderr(&rare));
    let private =
        ["--inactivity", "off", "--maximum", "7d", "--private", "--visits", "daily 20:00", "--days", "2"];
    let private = run(&[&private[..], &["--json"]].concat());
    let private: Value = serde_json::from_str(&stdout(&private)).expect("JSON");
    assert_eq!(private["sign_ins"][1]["cause"], "private_window_closed");
    assert_eq!(private["sign_ins"][1]["over_since_seconds"], 20 * 3600 + 60);
    let safari = ["--inactivity", "off", "--maximum", "30d", "--safari", "--visits", "mon 9:00-9:10"];
    let safari = run(&[&safari[..], &["--days", "8", "--json"]].concat());
    let safari: Value = serde_json::from_str(&stdout(&safari)).expect("JSON");
    assert_eq!(safari["sign_ins"][1]["cause"], "safari_cookie_expired");
    assert_eq!(safari["sign_ins"][1]["over_since_seconds"], 7 * 86_400 + 9 * 3600);
    assert_eq!(run(&["--visits", "sometimes"]).status.code(), Some(2));
    assert_eq!(run(&["--maximum", "7d"]).status.code(), Some(6), "the other one has to be asked for");

    let place = Place::start(|_| {});
    place.ok("set session_settings.inactivity_timeout=12h");
    let told: Value = serde_json::from_str(&place.ok("simulate --json --days 7")).expect("JSON");
    assert_eq!(told["inactivity_timeout_seconds"], 43_200);
    assert_eq!(told["sign_ins"].as_array().map(Vec::len), Some(5), "each morning of the week");
}
