//! The commands that talk to a running server, against a stand-in that remembers what it was asked.

use std::path::Path;

use crate::stand_in::{KEY, Server, config, end, ended_session, open_session, shown};
use crate::support::{sojourn, stderr, stdout};
use serde_json::{Value, json};

#[test]
fn settings_get_prints_lines_or_one_value_or_json() {
    let server = Server::start();
    insta::assert_snapshot!(stdout(&server.run(&["settings", "get"])), @r#"
    session_settings.inactivity_timeout.enabled = false
    session_settings.inactivity_timeout.duration_seconds = 1800
    session_settings.maximum_lifetime.enabled = true
    session_settings.maximum_lifetime.duration_seconds = 604800
    session_settings.multi_session_enabled = false
    session_settings.activity = "token"
    session_settings.ended_sessions_kept_seconds = 7776000
    session.claims = { fullName = "{{user.full_name}}" }
    session.lifetime = 60
    session.allowed_clock_skew = 5
    application_name = "My application"
    # support_email is not set
    allowed_origins = []
    test_mode = true
    auth_email.verify_at_sign_up = true
    auth_attack_protection.enumeration_protection = "off"
    signing_keys.rotation_days = 0
    audit.retention_days = 400
    mail.default_locale = "en"
    mail.notify_new_device = "in_production"
    # paths.home_url is not set
    "#);
    let one = server.run(&["settings", "get", "session.lifetime"]);
    assert_eq!(stdout(&one), "60\n");
    let json = server.run(&["settings", "get", "--json", "session_settings.maximum_lifetime"]);
    assert_eq!(
        stdout(&json).trim(),
        r#"{"session_settings":{"maximum_lifetime":{"duration_seconds":604800,"enabled":true}}}"#
    );
    let unknown = server.run(&["settings", "get", "session.lifetim"]);
    assert_eq!(unknown.status.code(), Some(3));
}

#[test]
fn settings_set_sends_one_change_whatever_it_changes() {
    let server = Server::start();
    let set = server.run(&[
        "settings",
        "set",
        "session_settings.inactivity_timeout=500d",
        "session.lifetime=1m30s",
    ]);
    insta::assert_snapshot!(shown(&set), @"
    exit Some(0)
    --
    warning: browsers keep cookies 400 days
    changed
    ");
    let asked = server.asked();
    let changes: Vec<_> = asked.iter().filter(|(line, _)| !line.starts_with("GET ")).collect();
    let [(line, body)] = changes.as_slice() else { panic!("{changes:?}") };
    assert!(line.starts_with("PUT ") && line.contains("config?destructive=true&dry_run=false"), "{line}");
    let mut wanted = config();
    wanted["session_settings"]["inactivity_timeout"] =
        json!({ "enabled": true, "duration_seconds": 43_200_000 });
    wanted["session"]["lifetime"] = json!(90);
    assert_eq!(*body, wanted);
}

#[test]
fn a_dry_run_says_what_would_end_and_changes_nothing() {
    let server = Server::start();
    let dry = server.run(&["settings", "set", "--dry-run", "session_settings.inactivity_timeout=30m"]);
    insta::assert_snapshot!(shown(&dry), @"
    exit Some(0)
    --
    warning: browsers keep cookies 400 days
    would end 12 sessions now, and 40 more within an hour without activity
    nothing was changed
    ");
    let asked = server.asked();
    let change = &asked.last().expect("a change").0;
    assert!(change.ends_with("dry_run=true"), "{change}");
}

#[test]
fn a_refused_setting_is_shown_in_three_parts() {
    let server = Server::start();
    let refused = server.run(&["settings", "set", "session_settings.maximum_lifetime=off"]);
    insta::assert_snapshot!(shown(&refused), @"
    exit Some(5)
    --
    error: cannot change the settings
      At least one of the two must be on. (session_lifetime_required)
      try: sojourn settings set session_settings.inactivity_timeout=30d session_settings.maximum_lifetime=off
    ");
    let json = server.run(&["settings", "set", "--json", "session_settings.maximum_lifetime=off"]);
    let error: Value = serde_json::from_str(&stderr(&json)).expect("JSON on stderr");
    assert_eq!(error["error"]["code"], "session_lifetime_required");
    assert_eq!(stdout(&json), "");
}

#[test]
fn users_create_prints_the_id() {
    let server = Server::start();
    let created = server.run(&[
        "users",
        "create",
        "--email",
        "ada+clerk_test@example.com",
        "--password",
        "hunter2hunter2",
        "--first-name",
        "Ada",
    ]);
    assert_eq!(stdout(&created), "user_1\n");
    let body = json!({
        "email_address": ["ada+clerk_test@example.com"], "password": "hunter2hunter2", "first_name": "Ada",
    });
    assert_eq!(server.asked(), [("POST /v1/users".to_owned(), body)]);
}

#[test]
fn users_list_shows_who_there_is() {
    let server = Server::start();
    let listed = server.run(&["users", "list", "--query", "ada", "--limit", "2"]);
    insta::assert_snapshot!(stdout(&listed));
    assert_eq!(stderr(&listed), "more: --offset 2\n");
    let none = server.run(&["users", "list"]);
    assert_eq!((stdout(&none).as_str(), stderr(&none).as_str()), ("", "no users match\n"));
}

#[test]
fn users_impersonate_prints_the_link_and_says_who_will_act() {
    let server = Server::start();
    let link = server.run(&["users", "impersonate", "user_1", "--actor", "user_sam", "--for", "1h"]);
    insta::assert_snapshot!(shown(&link), @"
    exit Some(0)
    http://localhost:4000/sign-in?__clerk_ticket=t
    --
    good once, within an hour; who opens it acts as user_1 and is logged as user_sam
    ");
    let body =
        json!({"user_id": "user_1", "actor": {"sub": "user_sam"}, "session_max_duration_in_seconds": 3600});
    assert_eq!(server.asked(), [("POST /v1/actor_tokens".to_owned(), body.clone())]);

    // By address, for half an hour.
    let link = server.run(&["users", "impersonate", "ada@example.com", "--actor", "user_sam", "--json"]);
    let token: Value = serde_json::from_str(&stdout(&link)).expect("JSON");
    assert_eq!(token["id"], "act_1");
    let mut half_an_hour = body;
    half_an_hour["session_max_duration_in_seconds"] = json!(1800);
    assert_eq!(server.asked()[1].1, half_an_hour);

    let unknown = server.run(&["users", "impersonate", "bob@example.com", "--actor", "user_sam"]);
    insta::assert_snapshot!(shown(&unknown), @"
    exit Some(3)
    --
    error: there is no user bob@example.com
      no account of this instance has that e-mail address
      try: check the address, or give the user's id
    ");
    assert_eq!(server.run(&["users", "impersonate", "user_1"]).status.code(), Some(2), "who acts?");
    let no_time = server.run(&["users", "impersonate", "user_1", "--actor", "sam", "--for", "soon"]);
    assert_eq!(no_time.status.code(), Some(2));
}

#[test]
fn sessions_are_listed_and_revoked() {
    let server = Server::start();
    let list = server.run(&["sessions", "list", "--user", "user_1", "--status", "active"]);
    insta::assert_snapshot!(shown(&list), @"
    exit Some(0)
    ID      STATUS   USER    LAST ACTIVE           END                   REASON
    sess_1  active   user_1  2026-09-21T14:13:20Z  2026-09-28T14:13:20Z  -
    sess_9  removed  user_2  2026-05-28T20:27:40Z  2026-05-28T20:28:40Z  signed_out
    --
    2 of 7; more: --offset 2
    ");
    assert_eq!(
        server.asked()[0].0,
        "GET /v1/sessions?paginated=true&include_end=true&limit=50&offset=0&user_id=user_1&status=active"
    );
    let revoked = server.run(&["sessions", "revoke", "sess_1", "sess_2"]);
    insta::assert_snapshot!(shown(&revoked), @"
    exit Some(3)
    sess_1 revoked
    --
    error: cannot revoke sess_2 (1 before it were revoked)
      No such session (resource_not_found)
      try: check the id: sojourn sessions list
    ");
    assert_eq!(server.run(&["sessions", "revoke", "../users/user_1"]).status.code(), Some(2));
}

#[test]
fn keys_are_listed_made_and_revoked() {
    let server = Server::start();
    insta::assert_snapshot!(shown(&server.run(&["keys", "list"])), @"
    exit Some(0)
    ID     NAME    ROLE      CREATED               LAST USED             STATUS
    key_2  worker  sessions  2026-09-21T14:13:20Z  -                     revoked 2026-09-21T14:14:20Z
    key_1  -       full      2026-09-21T14:13:20Z  2026-09-21T14:14:20Z  printed at start
    --
    ");
    server.asked();
    let made = server.run(&["keys", "create", "--name", "worker"]);
    assert_eq!(stdout(&made), "sk_test_new\n", "only the key, to be piped on");
    assert_eq!(server.asked()[0].1, json!({"name": "worker", "role": "full"}));
    server.run(&["keys", "create", "--role", "sessions", "--for", "90d"]);
    assert_eq!(server.asked()[0].1, json!({"role": "sessions", "expires_in_seconds": 7_776_000}));
    assert_eq!(stdout(&server.run(&["keys", "revoke", "key_3"])), "key_3 revoked\n");
    assert_eq!(server.run(&["keys", "revoke", "../key_3"]).status.code(), Some(2));
}

#[test]
fn signing_keys_are_listed_and_rotated() {
    let server = Server::start();
    insta::assert_snapshot!(shown(&server.run(&["keys", "signing", "list"])), @"
    exit Some(0)
    ID        STATUS    CREATED               SIGNS FROM            PUBLISHED UNTIL
    ins_1_ab  current   2026-09-21T14:13:20Z  2026-09-21T14:13:20Z  -
    ins_1     previous  2026-09-21T14:13:20Z  2026-09-21T14:13:20Z  2026-09-21T14:14:20Z
    --
    ");
    server.asked();
    server.run(&["keys", "signing", "rotate", "--keep", "7d"]);
    assert_eq!(server.asked()[0].1, json!({"wait_seconds": 3900, "keep_seconds": 604_800}));
    // Nobody can be asked here.
    let refused = server.run(&["keys", "signing", "rotate", "--emergency"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(server.asked(), []);
    server.run(&["keys", "signing", "rotate", "--emergency", "--yes"]);
    assert_eq!(server.asked()[0].1, json!({"emergency": true}));
}

#[test]
fn all_sessions_of_a_user_or_of_the_instance_are_ended() {
    let server = Server::start();
    let of_user = server.run(&["sessions", "revoke", "--user", "user_1"]);
    insta::assert_snapshot!(shown(&of_user), @"
    exit Some(0)
    2 sessions ended
    --
    ");
    assert_eq!(
        server.asked(),
        [("POST /v1/sessions/revoke?dry_run=false".to_owned(), json!({"user_id": "user_1"}))]
    );
    let dry_run = server.run(&["sessions", "revoke", "--all", "--dry-run"]);
    insta::assert_snapshot!(shown(&dry_run), @"
    exit Some(0)
    would end 7 sessions
    --
    ");
    let not_confirmed = server.run(&["sessions", "revoke", "--all"]);
    insta::assert_snapshot!(shown(&not_confirmed), @"
    exit Some(2)
    --
    would end 7 sessions
    error: nothing was changed
      it has to be confirmed, and this is no terminal on which to ask
      try: add --yes to have it done, or --dry-run to see only what would happen
    ");
    let asked = server.asked();
    assert!(asked.iter().all(|(path, _)| path.ends_with("dry_run=true")), "{asked:?}");
    let all = server.run(&["sessions", "revoke", "--all", "--yes"]);
    insta::assert_snapshot!(shown(&all), @"
    exit Some(0)
    everybody who was signed in at 2026-09-21T14:13:20Z is signed out
    --
    ");
    assert_eq!(server.asked(), [("POST /v1/sessions/revoke?dry_run=false".to_owned(), json!({"all": true}))]);
    // Neither, or two at once.
    for arguments in [&["sessions", "revoke"][..], &["sessions", "revoke", "sess_1", "--all"]] {
        assert_eq!(server.run(arguments).status.code(), Some(2));
    }
}

#[test]
fn a_session_is_inspected_while_it_is_open_and_when_it_is_over() {
    let server = Server::start();
    insta::assert_snapshot!(shown(&server.run(&["sessions", "inspect", "sess_1"])), @"
    exit Some(0)
    session      sess_1
    status       active
    user         user_1 (ada@example.com)
    browser      client_1
    from         Chrome 150.0.0.0, Linux, 203.0.113.7
    signed in    2026-09-21T14:13:20Z
    last active  2026-09-21T14:13:20Z
    ends         2026-09-28T14:13:20Z by the maximum lifetime
    --
    ");
    assert_eq!(server.asked().len(), 2, "an open session has no end to ask for");
    insta::assert_snapshot!(shown(&server.run(&["sessions", "inspect", "sess_9"])), @"
    exit Some(0)
    session      sess_9
    status       removed
    user         user_2 (deleted)
    acted by     user_support
    browser      client_2
    from         -
    signed in    2026-05-28T20:26:40Z
    last active  2026-05-28T20:27:40Z
    ended        2026-05-28T20:28:40Z
    reason       signed_out
    ended by     user user_support
    deadline     2026-05-28T20:57:40Z
    settings     version 3
    --
    ");
    let idle = server.run(&["sessions", "inspect", "sess_5"]);
    assert!(stdout(&idle).contains("2026-09-21T14:43:20Z by the inactivity timeout"), "{}", stdout(&idle));
    let json = server.run(&["sessions", "inspect", "sess_9", "--json"]);
    let told: Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    assert_eq!(told, json!({ "session": ended_session(), "end": end() }));
    let json = server.run(&["sessions", "inspect", "sess_1", "--json"]);
    let told: Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    assert_eq!(told, json!({ "session": open_session(), "end": null }));
    assert_eq!(server.run(&["sessions", "inspect", "sess_2"]).status.code(), Some(3));
    assert_eq!(server.run(&["sessions", "inspect", "../users/user_1"]).status.code(), Some(2));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_data_folder() {
    let server = Server::start();
    let list = |configure: &dyn Fn(&mut std::process::Command)| {
        let mut command = sojourn(server.home.path());
        command.args(["sessions", "list", "--json"]);
        configure(&mut command);
        command.output().expect("ran").status.code()
    };
    let nowhere = "http://127.0.0.1:1";
    assert_eq!(list(&|_| {}), Some(0));
    // A key in the environment without an address is for some other server.
    assert_eq!(
        list(&|command| {
            command.env("CLERK_SECRET_KEY", "sk_live_other");
        }),
        Some(0)
    );
    // The data folder's key is not sent to another address.
    assert_eq!(
        list(&|command| {
            command.env("SOJOURN_URL", &server.base_url);
        }),
        Some(4)
    );
    let with_key = |command: &mut std::process::Command, url: &str, key: &str| {
        command.env("CLERK_API_URL", url).env("CLERK_SECRET_KEY", key);
    };
    assert_eq!(list(&|command| with_key(command, &server.base_url, KEY)), Some(0));
    assert_eq!(list(&|command| with_key(command, &server.base_url, "sk_test_wrong")), Some(4));
    assert_eq!(list(&|command| with_key(command, nowhere, KEY)), Some(6));
    let flags = |command: &mut std::process::Command| {
        with_key(command, nowhere, "sk_test_wrong");
        command.args(["--url", &server.base_url, "--secret-key", KEY]);
    };
    assert_eq!(list(&flags), Some(0));
}

#[test]
fn an_unreachable_server_is_exit_6_with_a_hint() {
    let server = Server::start();
    server.claim(u32::MAX);
    let gone = server.run(&["sessions", "list"]);
    assert_eq!(gone.status.code(), Some(6));
    assert!(
        stderr(&gone).contains("is not running") && stderr(&gone).contains("sojourn serve"),
        "{}",
        stderr(&gone)
    );

    let empty = tempfile::tempdir().expect("temporary folder");
    let run = |arguments: &[&str], folder: &Path| sojourn(folder).args(arguments).output().expect("ran");
    let never = run(&["sessions", "list"], empty.path());
    assert_eq!(never.status.code(), Some(6));
    for name in ["--url", "SOJOURN_URL", "CLERK_API_URL", "CLERK_SECRET_KEY", "--data"] {
        assert!(stderr(&never).contains(name), "{name} in {}", stderr(&never));
    }
    assert_eq!(run(&["env"], empty.path()).status.code(), Some(6));
}

#[test]
fn env_prints_only_pasteable_lines_on_stdout() {
    let server = Server::start();
    let env = server.run(&["env", "--for", "next-proxy"]);
    assert!(stdout(&env).contains("\nNEXT_PUBLIC_CLERK_PROXY_URL=/__clerk\n"), "{}", stdout(&env));
    assert!(stderr(&env).contains(".env.local"));
    let json = server.run(&["env", "--for", "json"]);
    let access: Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    assert_eq!(access["secret_key"], KEY);
    assert_eq!(server.run(&["env", "--for", "cobol"]).status.code(), Some(2));
}
