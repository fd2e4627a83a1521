//! The table of all settings. The configuration file, the environment, the command line, the
//! settings API, its JSON Schema, pins and `settings pull` read it: a new setting needs one row
//! here and one field with a default in a struct.

use serde_json::{Map, Value, json};

use super::{
    Settings,
    kind::{self, Kind},
};
use crate::{environment::Environment, time::Timestamp};

/// A row of the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The path of the value in [`Settings::config`], as a TOML key.
    pub path: &'static str,
    pub kind: Kind,
    /// Whether `sojourn.toml`, the environment and flags can set it, which pins it.
    pub can_be_pinned: bool,
    pub description: &'static str,
}

const fn setting(path: &'static str, kind: Kind, description: &'static str) -> Setting {
    Setting { path, kind, can_be_pinned: true, description }
}

/// A setting that only the settings API and its commands can change.
const fn by_api_only(path: &'static str, kind: Kind, description: &'static str) -> Setting {
    Setting { can_be_pinned: false, ..setting(path, kind, description) }
}

/// All settings, in listing order.
pub const SETTINGS: &[Setting] = &[
    setting("session_settings.inactivity_timeout.enabled", Kind::Flag, "Whether it is on."),
    setting(
        "session_settings.inactivity_timeout.duration_seconds",
        Kind::SESSION_SECONDS,
        "How long. Below twice the session token's lifetime it signs active users out; beyond 400 days browsers do not keep their cookies.",
    ),
    setting("session_settings.maximum_lifetime.enabled", Kind::Flag, "Whether it is on."),
    setting(
        "session_settings.maximum_lifetime.duration_seconds",
        Kind::SESSION_SECONDS,
        "How long. Beyond 400 days browsers do not keep their cookies, unless users come back in between.",
    ),
    setting(
        "session_settings.multi_session_enabled",
        Kind::Flag,
        "Several accounts are signed in at once in one browser.",
    ),
    setting(
        "session_settings.activity",
        Kind::Word(&["token", "visible"]),
        "What keeps a session from being inactive: token counts every refresh of the token, visible none that a hidden tab makes.",
    ),
    setting(
        "session_settings.ended_sessions_kept_seconds",
        Kind::SESSION_SECONDS,
        "How long ended sessions and the records of their ends are kept.",
    ),
    setting(
        "session.claims",
        Kind::Claims,
        "Claims of one's own, with shortcodes such as {{user.full_name}}; replaced whole, but for a PATCH of the configuration.",
    ),
    setting(
        "session.lifetime",
        Kind::Seconds { least: 10, least_in_production: 30, most: 300 },
        "Seconds a token is good for. That long a revocation takes to reach applications that verify tokens on their own.",
    ),
    setting(
        "session.allowed_clock_skew",
        Kind::Seconds { least: 0, least_in_production: 0, most: 300 },
        "Seconds by which nbf lies before iat.",
    ),
    setting(
        "application_name",
        Kind::Line { most: 128 },
        "How the application calls itself, on the sign-in pages and in mails.",
    ),
    setting("support_email", Kind::EmailAddress, "Where users write to for help; the components show it."),
    by_api_only(
        "allowed_origins",
        Kind::Origins { most: 100 },
        "Origins that may call the Frontend API, beside those of the server's own configuration.",
    ),
    by_api_only(
        "test_mode",
        Kind::DevelopmentFlag,
        "Test addresses (+clerk_test) and their code work; development instances only.",
    ),
    setting(
        "auth_email.verify_at_sign_up",
        Kind::Flag,
        "A sign-up has to prove its address by a code sent there.",
    ),
    setting(
        "auth_attack_protection.enumeration_protection",
        Kind::Word(&["off", "strict"]),
        "Whether the sign-in pages hide which addresses have an account. strict answers alike for every address.",
    ),
    setting(
        "signing_keys.rotation_days",
        Kind::Integer { least: 0, most: 3650 },
        "Days after which a new signing key replaces the current one; 0 never. Applications that hold the public key in their configuration need the new one each time.",
    ),
    setting(
        "audit.retention_days",
        Kind::Integer { least: 0, most: 3650 },
        "Days for which entries of the audit log are kept; 0 for ever.",
    ),
    setting(
        "mail.default_locale",
        Kind::Language,
        "The language of mails to readers whose account and browser name none that there is, such as en, de or pt-br.",
    ),
    setting(
        "mail.notify_new_device",
        Kind::Word(&["in_production", "always", "never"]),
        "When users get a mail about a sign-in from a browser that was not used for their account before.",
    ),
    setting(
        "paths.home_url",
        Kind::Address,
        "Where people go who opened the sign-in page by themselves: an address, or a path on this server.",
    ),
];

/// The descriptions of the tables that contain the settings.
const TABLES: &[(&str, &str)] = &[
    ("audit", "The log of administrative acts."),
    ("auth_email", "E-mail addresses."),
    ("auth_attack_protection", "Protection against guessing."),
    ("mail", "Mails to users."),
    ("paths", "Where people are sent."),
    (
        "session_settings",
        "How long sessions live, and how many a browser holds. One of the two limits has to be on; the earlier one ends the session.",
    ),
    (
        "session_settings.inactivity_timeout",
        "The session is over when the application was closed, or did not refresh its token, for that long.",
    ),
    ("session_settings.maximum_lifetime", "The session is over that long after sign-in, whatever happens."),
    ("session", "The session token, not the session."),
    ("signing_keys", "The keys that sign session tokens."),
];

pub fn find(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

/// The settings inside the table `path`.
pub fn below(path: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| is_below(setting.path, path))
}

/// Whether `path` is inside `table`. The table with the empty name contains everything.
pub fn is_below(path: &str, table: &str) -> bool {
    table.is_empty() || path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
}

/// The names directly inside the table `path`.
pub fn names_in(path: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = below(path)
        .filter_map(|setting| setting.path[path.len()..].trim_start_matches('.').split('.').next())
        .collect();
    names.dedup();
    names
}

/// The settings of a new instance, as one document.
pub fn defaults() -> Map<String, Value> {
    Settings::initial(Timestamp::from_millis(0)).config()
}

/// The value at `path` in a document; null if there is none.
pub fn value_at<'a>(document: &'a Map<String, Value>, path: &str) -> &'a Value {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| document.get(name));
    names.fold(first.unwrap_or(&Value::Null), |value, name| &value[name])
}

/// Sets the value at `path` in a document and creates missing tables.
pub fn insert_at(document: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((name, rest)) = path.split_once('.') else {
        document.insert(path.to_owned(), value);
        return;
    };
    let inner = document.entry(name).or_insert(Value::Null);
    if !inner.is_object() {
        *inner = json!({});
    }
    if let Value::Object(inner) = inner {
        insert_at(inner, rest, value);
    }
}

/// The JSON Schema of all settings, or of those in one table: names, descriptions, defaults and
/// bounds.
pub fn schema(table: &str, environment: Environment) -> Value {
    let mut schema = table_schema(table, &defaults(), environment);
    if table.is_empty() {
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["$id"] = "sojourn:config".into();
        schema["title"] = "Configuration of an instance".into();
    }
    schema
}

fn table_schema(table: &str, defaults: &Map<String, Value>, environment: Environment) -> Value {
    let mut properties = Map::new();
    for name in names_in(table) {
        let path = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
        let schema = match find(&path) {
            Some(setting) => {
                let mut schema = setting.kind.schema(environment);
                schema["description"] = setting.description.into();
                schema["default"] = value_at(defaults, &path).clone();
                schema
            }
            None => table_schema(&path, defaults, environment),
        };
        properties.insert(name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if let Some((_, description)) = TABLES.iter().find(|(path, _)| *path == table) {
        schema["description"] = (*description).into();
    }
    schema
}

impl Setting {
    /// Checks a value and returns it in its stored form.
    ///
    /// # Errors
    /// The value is not valid in that environment.
    pub fn check(&self, value: &Value, environment: Environment) -> Result<Value, kind::Mismatch> {
        self.kind.check(value, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of all values in a document; values inside a setting are excluded.
    fn leaves(place: &str, document: &Map<String, Value>, found: &mut Vec<String>) {
        for (name, value) in document {
            let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            match value {
                Value::Object(inner) if find(&path).is_none() => leaves(&path, inner, found),
                _ => found.push(path),
            }
        }
    }

    #[test]
    fn the_table_has_each_field_of_the_settings_and_no_other() {
        let mut stored = Vec::new();
        leaves("", &defaults(), &mut stored);
        let mut listed: Vec<&str> = SETTINGS.iter().map(|setting| setting.path).collect();
        listed.sort_unstable();
        assert_eq!(listed, stored);
    }

    #[test]
    fn every_default_can_be_set_in_both_environments() {
        let defaults = defaults();
        for setting in SETTINGS {
            let default = value_at(&defaults, setting.path);
            let checked = setting.check(default, Environment::Development).expect(setting.path);
            assert_eq!(checked, *default, "{}", setting.path);
            // Test mode is stored as on in every environment, and has no effect in production.
            if setting.kind != Kind::DevelopmentFlag {
                assert_eq!(setting.check(default, Environment::Production), Ok(checked), "{}", setting.path);
            }
        }
    }

    #[test]
    fn the_schema_describes_all_with_default_and_bounds() {
        let production = schema("", Environment::Production);
        for setting in SETTINGS {
            let pointer = format!("/properties/{}", setting.path.replace('.', "/properties/"));
            let found = production.pointer(&pointer).expect(setting.path);
            assert_eq!(found["description"], setting.description);
            assert_eq!(&found["default"], value_at(&defaults(), setting.path));
            let mut table = setting.path;
            while let Some((outer, _)) = table.rsplit_once('.') {
                assert!(TABLES.iter().any(|(path, _)| *path == outer), "{outer} is not described");
                table = outer;
            }
        }
        let bounds = |schema: &Value, path: &str| {
            let at = schema.pointer(path).expect("a setting");
            (at["minimum"].as_u64(), at["maximum"].as_u64())
        };
        let maximum = "/properties/session_settings/properties/maximum_lifetime/properties/duration_seconds";
        let token = "/properties/session/properties/lifetime";
        assert_eq!(bounds(&production, maximum), (Some(300), Some(315_360_000)));
        assert_eq!(bounds(&production, token), (Some(30), Some(300)));
        let development = schema("", Environment::Development);
        assert_eq!(bounds(&development, maximum), (Some(1), Some(315_360_000)));
        assert_eq!(bounds(&development, token), (Some(10), Some(300)));
    }
}
