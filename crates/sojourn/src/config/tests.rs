//! Precedence and refusals, one row each.

use sojourn_core::testing::settings::samples;

use super::*;

/// Loads from a file text, variables and flags, as a process would.
fn load(file: &str, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Config, Failure> {
    let folder = tempfile::tempdir().expect("temporary folder");
    if !file.is_empty() {
        std::fs::write(folder.path().join("sojourn.toml"), file).expect("write");
    }
    Config::load(&Sources {
        working_dir: folder.path().to_owned(),
        config_flag: None,
        variables: variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        flags: flags.to_vec(),
        file_is_new: false,
    })
}

fn port_flag(text: &str) -> Flag {
    Flag { name: "--port", path: "port", text: text.to_owned() }
}

#[test]
fn a_later_layer_wins_and_its_origin_is_kept() {
    let file = "\nport = 4100\n";
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [Flag], u16, &'a str);
    let cases: [Row<'_>; 7] = [
        ("", &[], &[], 4000, "default"),
        (file, &[], &[], 4100, "file:sojourn.toml:2"),
        (file, &[("PORT", "4200")], &[], 4200, "env:PORT"),
        (file, &[("SOJOURN_PORT", "4300"), ("PORT", "4200")], &[], 4300, "env:SOJOURN_PORT"),
        (file, &[("SOJOURN_PORT", "4300")], &[port_flag("4400")], 4400, "flag:--port"),
        ("", &[], &[port_flag("0")], 0, "flag:--port"),
        (file, &[("SOJOURN_PORT", "")], &[], 4100, "file:sojourn.toml:2"),
    ];
    for (file, variables, flags, port, origin) in cases {
        let config = load(file, variables, flags).expect("a valid configuration");
        assert_eq!((config.port.value, config.port.origin.to_string().as_str()), (port, origin));
    }
}

#[test]
fn our_database_variable_wins_over_the_platforms() {
    let file = "database = \"postgres://localhost/file\"";
    let own = ("SOJOURN_DATABASE", "postgres://localhost/own");
    let platforms = ("DATABASE_URL", "postgresql://u:hunter2@localhost/platform");
    let flag = |text: &str| Flag { name: "--database", path: "database", text: text.to_owned() };
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<Flag>, Option<&'a str>);
    let cases: [Row<'_>; 9] = [
        ("", &[], None, None),
        ("", &[platforms], None, Some("platform")),
        (file, &[platforms], None, Some("file")),
        (file, &[own, platforms], None, Some("own")),
        (file, &[own, platforms], Some(flag("postgres://localhost/flag")), Some("flag")),
        ("", &[platforms], Some(flag("sqlite")), None),
        ("database = \"sqlite\"", &[platforms], None, None),
        // Another program's, of a kind that we do not speak.
        ("", &[("DATABASE_URL", "mysql://root:hunter2@localhost/shop")], None, None),
        ("", &[("DATABASE_URL", "file:./dev.db")], None, None),
    ];
    for (file, variables, flag, name) in cases {
        let config = load(file, variables, flag.as_slice()).expect("a valid configuration");
        let found = config.server.as_ref().map(|server| server.to_string());
        assert_eq!(found, name.map(|name| format!("postgres://localhost:5432/{name}")));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

#[test]
fn a_password_in_an_address_that_cannot_be_used_is_not_repeated() {
    for address in [
        "mysql://u:hunter2@localhost/x",
        "postgres://u:hunter2@localhost:port/x",
        "postgres://u:hunter2@db.example.com/x?sslmode=allow",
        "postgres://localhost/x?password=hunter2&schema=public",
    ] {
        let failure = load("", &[("SOJOURN_DATABASE", address)], &[]).expect_err(address);
        assert!(!format!("{failure} {}", failure.to_json()).contains("hunter2"), "{failure}");
    }
}

#[test]
fn a_master_key_is_given_as_text_or_as_a_file() {
    let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let key = |file: &str, variables: &[(&str, &str)]| {
        load(file, variables, &[]).expect("valid").master_key.expect("given").value
    };
    let itself = GivenKey::Itself(MasterKey(std::array::from_fn(|index| index as u8)));
    assert_eq!(key("", &[("SOJOURN_MASTER_KEY", text)]), itself);
    match key("master_key_file = \"secrets/key\"", &[]) {
        GivenKey::In(path) => assert!(path.is_absolute() && path.ends_with("secrets/key"), "{path:?}"),
        other => panic!("{other:?}"),
    }
    let both = [("SOJOURN_MASTER_KEY", text), ("SOJOURN_MASTER_KEY_FILE", "/run/key")];
    let failure = load("", &both, &[]).expect_err("both");
    assert!(!failure.to_string().contains(text), "{failure}");
}

#[test]
fn settings_are_pinned_only_where_they_are_given() {
    let file = r#"
auth_email.verify_at_sign_up = false
[session_settings]
inactivity_timeout = { enabled = true, duration_seconds = "30m" }
[session.claims]
fullName = "{{user.full_name}}"
"#;
    let variables = [("SOJOURN_SESSION_SETTINGS__MAXIMUM_LIFETIME__DURATION_SECONDS", "7d")];
    let pins = load(file, &variables, &[]).expect("valid").pins;

    let shown: Vec<String> =
        pins.iter().map(|pin| format!("{} = {} ({})", pin.setting.path, pin.value, pin.origin)).collect();
    assert_eq!(
        shown,
        [
            "session_settings.inactivity_timeout.enabled = true (file:sojourn.toml:4)",
            "session_settings.inactivity_timeout.duration_seconds = 1800 (file:sojourn.toml:4)",
            "session_settings.maximum_lifetime.duration_seconds = 604800 (env:SOJOURN_SESSION_SETTINGS__MAXIMUM_LIFETIME__DURATION_SECONDS)",
            "session.claims = {\"fullName\":\"{{user.full_name}}\"} (file:sojourn.toml:5)",
            "auth_email.verify_at_sign_up = false (file:sojourn.toml:2)",
        ]
    );
}

/// The file with one value, as JSON, which TOML can say too unless it has a null.
fn toml_of(path: &str, value: &Value) -> Option<String> {
    Some(format!("{path} = {}", toml::Value::try_from(value).ok()?))
}

/// A value as the environment and `settings set` write it, where it can be written there.
fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(","),
        other => other.to_string(),
    })
}

#[test]
fn file_environment_and_flags_accept_what_the_registry_does() {
    for setting in SETTINGS.iter().filter(|setting| setting.can_be_pinned) {
        let variable = format!("SOJOURN_{}", setting.path.to_uppercase().replace('.', "__"));
        let expect = |value: &Value, accepted: bool| {
            let told = |way: &str| format!("{way}: {} = {value}", setting.path);
            let same = |config: Config| config.pins.first().is_some_and(|pin| pin.value == *value);
            if let Some(file) = toml_of(setting.path, value) {
                let loaded = load(&file, &[], &[]);
                assert_eq!(loaded.is_ok_and(same), accepted, "{}", told("file"));
            }
            // A text that reads as another value is another value there.
            let text = text_of(value);
            let text = text.filter(|text| from_text(setting.kind, text).is_ok_and(|read| read == *value));
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                let loaded = load("", &[(&variable, &text)], &[]);
                assert_eq!(loaded.is_ok_and(same), accepted, "{}", told("environment"));
                let flag = Flag { name: "--flag", path: setting.path, text: text.clone() };
                assert_eq!(load("", &[], &[flag]).is_ok_and(same), accepted, "{}", told("flag"));
            }
        };
        let samples = samples(setting.kind);
        samples.good.iter().for_each(|value| expect(value, true));
        samples.bad.iter().for_each(|value| expect(value, false));
    }
}

#[test]
fn a_folder_in_the_file_is_relative_to_the_file() {
    let outer = tempfile::tempdir().expect("temporary folder");
    let inner = outer.path().join("etc");
    std::fs::create_dir(&inner).expect("create");
    std::fs::write(inner.join("mine.toml"), "data = \"state\"").expect("write");
    let sources = |flags| Sources {
        working_dir: outer.path().to_owned(),
        variables: vec![("SOJOURN_CONFIG".to_owned(), "etc/mine.toml".to_owned())],
        flags,
        ..Sources::default()
    };
    let config = Config::load(&sources(vec![])).expect("valid");
    assert_eq!(config.data.value, inner.join("state"));
    let flag = Flag { name: "--data", path: "data", text: "state".to_owned() };
    let config = Config::load(&sources(vec![flag])).expect("valid");
    assert_eq!(config.data.value, outer.path().join("state"));
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let failure = load("", &[("SOJOURN_CONFIG", "absent.toml")], &[]).expect_err("no such file");
    assert_eq!(failure.code, "config_not_readable");
}

/// Each row: the file, the variables, and what is said: code, what and next.
#[test]
fn an_invalid_value_is_refused_with_its_place_and_a_hint() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)]);
    let rows: &[Row<'_>] = &[
        ("\nprot = 1", &[]),
        ("[session_settings]\nmulti_session = true", &[]),
        ("[session_setings]\nmulti_session_enabled = true", &[]),
        ("port = \"4000\"", &[]),
        ("port = 70000", &[]),
        ("port = ", &[]),
        ("session_settings.inactivity_timeout = \"30m\"", &[]),
        ("session_settings.inactivity_timeout.duration_seconds = \"30 minutes\"", &[]),
        ("session_settings.inactivity_timeout.duration_seconds = \"1h30\"", &[]),
        ("session_settings.inactivity_timeout.duration_seconds = -1", &[]),
        ("session_settings.inactivity_timeout.duration_seconds = 0", &[]),
        ("", &[("SOJOURN_PROT", "1")]),
        ("", &[("SOJOURN_SESSION_SETTINGS_MULTI_SESSION_ENABLED", "true")]),
        ("", &[("SOJOURN_NOTHING_LIKE_IT", "1")]),
        ("", &[("SOJOURN_RATE_LIMITS__ENABLED", "yes")]),
        ("connections.total = 0", &[]),
        ("", &[("SOJOURN_CONNECTIONS__PER_ADDRESS", "-1")]),
        ("", &[("SOJOURN_SESSION__CLAIMS", "[1]")]),
        ("environment = \"prod\"", &[]),
        ("environment = \"production\"", &[]),
        ("log_format = \"xml\"", &[]),
        ("public_url = \"https://clerk.example.com\"", &[]),
        ("public_url = \"http://clerk.example.com\"\nexpose_development = true", &[]),
        ("public_url = \"https://clerk.example.com/auth\"\nexpose_development = true", &[]),
        ("expose_development = true\nrate_limits.enabled = false", &[]),
        ("allowed_origins.list = [\"*\"]", &[]),
        ("allowed_origins.list = [\"https://app.example.com/\"]", &[]),
        ("allowed_origins = [\"https://app.example.com\"]", &[]),
        ("paths.home_url = \"//elsewhere.example\"", &[]),
        ("paths.home_url = \"javascript:alert(1)\"", &[]),
        ("application_name = \" \"", &[]),
        ("session.claims.sub = 1", &[]),
        ("", &[("SOJOURN_AUTH_ATTACK_PROTECTION__ENUMERATION_PROTECTION", "bulk")]),
        ("database = \"dev.db\"", &[]),
        ("database = \"postgres://localhost/x?schema=public\"", &[]),
        ("", &[("SOJOURN_DATABASE", "postgres://u:p@db.example.com/x?sslmode=verify-ca")]),
        ("", &[("SOJOURN_MASTER_KEY", "c2hvcnQ=")]),
        (
            "master_key_file = \"key\"",
            &[("SOJOURN_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")],
        ),
        (
            "session_settings.inactivity_timeout.enabled = false",
            &[("SOJOURN_SESSION_SETTINGS__MAXIMUM_LIFETIME__ENABLED", "false")],
        ),
    ];
    let said: Vec<String> = rows
        .iter()
        .map(|(file, variables)| {
            let failure = load(file, variables, &[]).expect_err(&format!("{file} {variables:?}"));
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.next.is_some(), "{failure} does not say what to do next");
            format!("{}: {failure}", failure.code)
        })
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn what_may_look_odd_but_is_meant_is_accepted() {
    let rows = [
        "public_url = \"http://localhost:4000\"",
        "public_url = \"https://clerk.example.com\"\nexpose_development = true",
        "allowed_origins.list = [\"https://app.example.com\", \"http://10.0.0.2:3000\"]",
        "paths.home_url = \"/user\"",
        "session_settings.maximum_lifetime.duration_seconds = \"1d12h\"",
        "auth_attack_protection.enumeration_protection = \"strict\"",
        "rate_limits.enabled = false",
        "connections = { per_address = 1, total = 100000 }",
        "environment = \"development\"",
        "session_settings.maximum_lifetime.duration_seconds = \"500d\"",
    ];
    for file in rows {
        load(file, &[], &[]).unwrap_or_else(|failure| panic!("{file}: {failure}"));
    }
}

#[test]
fn a_mail_server_is_refused_with_what_is_missing() {
    let refused = |file: &str| load(file, &[], &[]).expect_err(file).to_string();
    let smtp = "[mail]\nfrom = \"a@acme.example\"\n[mail.smtp]\nhost = \"mail.acme.example\"\n";
    assert!(load(smtp, &[], &[]).expect("a mail server").mail.is_smtp());
    assert!(refused("[mail.smtp]\nhost = \"mail.acme.example\"\n").contains("mail.from is not given"));
    assert!(refused("[mail]\ndelivery = \"smtp\"\n").contains("mail.smtp.host is not given"));
    assert!(refused(&format!("{smtp}username = \"a\"\n")).contains("no mail.smtp.password_file"));
    let both = format!("{smtp}username = \"a\"\npassword = \"secret1\"\npassword_file = \"b\"\n");
    assert!(refused(&both).contains("are both given") && !refused(&both).contains("secret1"));
    let plain = format!("{smtp}encryption = \"none\"\n");
    assert!(refused(&plain).contains("would cross the network unencrypted"));
    assert!(load(&format!("{plain}allow_unencrypted = true\n"), &[], &[]).is_ok());
    assert!(load(&plain.replace("mail.acme.example", "127.0.0.1"), &[], &[]).is_ok());
}

#[test]
fn the_password_of_a_mail_server_is_told_nowhere() {
    let file =
        "[mail]\nfrom = \"a@acme.example\"\n[mail.smtp]\nhost = \"mail.acme.example\"\nusername = \"a\"\n";
    let variables = [("SOJOURN_MAIL__SMTP__PASSWORD", "secret1")];
    let config = load(file, &variables, &[]).expect("a mail server");
    assert!(!format!("{config:?}").contains("secret1"));
}

#[test]
fn what_cannot_be_a_sender_or_a_template_is_refused() {
    let file = "[mail]\nfrom = \"nobody\"\n[mail.smtp]\nhost = \"mail.acme.example\"\n";
    let refused =
        load(file, &[], &[]).expect("keys that can be").mail.options("localhost").expect_err("no address");
    assert!(refused.to_string().contains("mail.from from sojourn.toml, line 2"), "{refused}");
    let file = "[mail]\ntemplates = \"nowhere\"\n";
    let refused =
        load(file, &[], &[]).expect("keys that can be").mail.options("localhost").expect_err("no folder");
    assert!(refused.to_string().contains("nowhere"), "{refused}");
}
