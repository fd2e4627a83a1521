//! The settings file: written with a comment for each value, and parsed tolerantly.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sojourn_core::settings::registry::{self, insert_at, value_at};
use sojourn_core::settings::{Kind, SETTINGS, format_duration};

use crate::config;
use crate::failure::{Exit, Failure};

/// The maximum width of a comment line.
const WIDTH: usize = 96;

/// A parsed settings file.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsFile {
    /// The version from which it was pulled.
    pub version: Option<u64>,
    /// Its values; any setting may be missing.
    pub config: Map<String, Value>,
}

/// Writes the file. The comments are the descriptions in the server's schema.
pub fn write(version: u64, config: &Map<String, Value>, schema: &Value) -> String {
    let mut text = String::from(
        "# The settings of a sojourn instance, as one file to edit and to keep in version control.\n\
         # `sojourn settings diff` shows what is different here, `sojourn settings push` puts it into\n\
         # force. What is left out stays as it is; [session.claims] is taken whole if it is here.\n\
         # Durations are seconds, or texts such as \"90s\", \"30m\", \"1h30m\", \"7d\".\n\n\
         # The version that this was pulled from. Push refuses when another one is in force by then.\n",
    );
    text.push_str(&format!("version = {version}\n"));
    table(&mut text, "", config, schema);
    text
}

/// Writes the values of a table before its subtables: in TOML, everything after a header belongs to
/// that table.
fn table(text: &mut String, path: &str, values: &Map<String, Value>, schema: &Value) {
    let described = |name: &str| &schema["properties"][name];
    let is_table = |name: &str| described(name)["properties"].is_object();
    for (name, value) in values.iter().filter(|(name, _)| !is_table(name) && *name != "claims") {
        text.push('\n');
        comment(text, &described(name)["description"]);
        let seconds = value.as_u64().filter(|seconds| is_duration(path, name) && *seconds >= 60);
        let also = seconds.map(|seconds| format!(" # {}", format_duration(seconds))).unwrap_or_default();
        // TOML has no null; an empty text represents it.
        let value = if value.is_null() { "\"\"".to_owned() } else { toml_value(value) };
        text.push_str(&format!("{name} = {value}{also}\n"));
    }
    for (name, value) in values.iter().filter(|(name, _)| is_table(name) || *name == "claims") {
        let Value::Object(inner) = value else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        text.push('\n');
        comment(text, &described(name)["description"]);
        if name == "claims" {
            claims(text, &path, inner);
        } else {
            text.push_str(&format!("[{path}]\n"));
            table(text, &path, inner, described(name));
        }
    }
}

fn is_duration(table: &str, name: &str) -> bool {
    registry::below(table).any(|setting| {
        matches!(setting.kind, Kind::Seconds { .. }) && setting.path.ends_with(&format!(".{name}"))
    })
}

/// Claims as a table, or as JSON text if TOML cannot represent them.
fn claims(text: &mut String, path: &str, claims: &Map<String, Value>) {
    let whole = Value::Object(claims.clone());
    if has_null(&whole) {
        // As a value of the table above, whose other values are already written.
        let name = path.rsplit('.').next().unwrap_or(path);
        text.push_str(&format!("{name} = {}\n", toml_value(&Value::from(whole.to_string()))));
        return;
    }
    text.push_str(&format!("[{path}]\n"));
    for (name, value) in claims {
        let bare =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let name = if bare { name.clone() } else { toml_value(&Value::from(name.as_str())) };
        text.push_str(&format!("{name} = {}\n", toml_value(value)));
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(object) => object.values().any(has_null),
        _ => false,
    }
}

fn toml_value(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

fn comment(text: &mut String, description: &Value) {
    let mut line = String::from("#");
    for word in description.as_str().unwrap_or_default().split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        text.push_str(&line);
        text.push('\n');
    }
}

/// Parses a file.
///
/// # Errors
/// It is not valid TOML, or a value does not match its setting.
pub fn read(name: &str, text: &str) -> Result<SettingsFile, Failure> {
    let refuse = |what: &str, why: String, next: &str| {
        Failure::new(Exit::Usage, "settings_file_invalid", format!("cannot use {what} in {name}"))
            .because(why)
            .next(next)
    };
    let parsed: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        refuse(&format!("line {line}"), error.message().trim().to_owned(), "correct the line")
    })?;
    let parsed = serde_json::to_value(parsed).map_err(|error| {
        refuse("the settings", error.to_string(), "sojourn settings pull writes a good file")
    })?;
    let Value::Object(mut config) = parsed else {
        return Ok(SettingsFile { version: None, config: Map::new() });
    };
    let version = match config.remove("version") {
        None => None,
        Some(version) => Some(version.as_u64().ok_or_else(|| {
            refuse("version", format!("it is {version}"), "leave the number that settings pull wrote")
        })?),
    };
    for setting in SETTINGS {
        let given = match value_at(&config, setting.path) {
            Value::Null => continue,
            // The empty text represents null, which TOML does not have.
            Value::String(text)
                if text.is_empty() && matches!(setting.kind, Kind::Address | Kind::EmailAddress) =>
            {
                Value::Null
            }
            given => config::from_typed(setting.kind, given.clone()).map_err(|why| {
                refuse(setting.path, why, &format!("give {}", config::example(setting.kind)))
            })?,
        };
        insert_at(&mut config, setting.path, given);
    }
    Ok(SettingsFile { version, config })
}

/// `current` with the values of the file.
pub fn overlay(current: &Map<String, Value>, file: &Map<String, Value>) -> Map<String, Value> {
    let mut whole = current.clone();
    for (name, value) in file {
        let value = match (whole.get(name), value) {
            (Some(Value::Object(current)), Value::Object(given)) if name != "claims" => {
                Value::Object(overlay(current, given))
            }
            _ => value.clone(),
        };
        whole.insert(name.clone(), value);
    }
    whole
}

/// The same file with another version.
pub fn with_version(text: &str, version: u64) -> String {
    let mut before_tables = true;
    let mut rewritten = String::new();
    for line in text.split_inclusive('\n') {
        before_tables &= !line.trim_start().starts_with('[');
        let is_it = before_tables && line.split_once('=').is_some_and(|(name, _)| name.trim() == "version");
        // Writing to a String cannot fail.
        let _ = if is_it { writeln!(rewritten, "version = {version}") } else { write!(rewritten, "{line}") };
    }
    rewritten
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    fn config() -> Map<String, Value> {
        object(json!({
            "application_name": "My \"application\"",
            "allowed_origins": ["https://app.example.com"],
            "paths": {"home_url": null},
            "session_settings": {"inactivity_timeout": {"enabled": false, "duration_seconds": 1800}},
            "session": {"claims": {"a.b": "{{user.id}}", "deep": {"x": [1, {"y": true}]}}, "lifetime": 60},
        }))
    }

    fn schema() -> Value {
        let leaf = |text: &str| json!({"description": text});
        json!({"properties": {
            "application_name": leaf("A name."),
            "allowed_origins": leaf("Origins that may call the Frontend API, beside those of the server's own configuration and of the machine."),
            "paths": {"description": "Where people are sent.", "properties": {"home_url": leaf("Home.")}},
            "session_settings": {"description": "Limits.", "properties": {"inactivity_timeout": {
                "description": "Idle.", "properties": {"enabled": leaf("On?"), "duration_seconds": leaf("How long.")},
            }}},
            "session": {"description": "The token.", "properties": {"claims": leaf("Claims."), "lifetime": leaf("Seconds.")}},
        }})
    }

    #[test]
    fn a_pulled_file_explains_itself() {
        insta::assert_snapshot!(write(7, &config(), &schema()));
    }

    #[test]
    fn what_was_pulled_says_the_same_when_it_is_read() {
        let mut awkward = config();
        awkward["session"]["claims"] = json!({"n": null, "q": "'\"\n"});
        for config in [config(), awkward] {
            let text = write(7, &config, &schema());
            let read = read("x.toml", &text).unwrap_or_else(|refused| panic!("{refused}: {text}"));
            assert_eq!(read, SettingsFile { version: Some(7), config: config.clone() }, "{text}");
            let next = super::read("x.toml", &with_version(&text, 8)).expect("still a good file");
            assert_eq!(next, SettingsFile { version: Some(8), config });
        }
    }

    #[test]
    fn what_is_left_out_stays_and_claims_are_taken_whole() {
        let text = "[session_settings]\ninactivity_timeout = { duration_seconds = \"12h\" }\n[session.claims]\nc = 1\n";
        let file = read("x.toml", text).expect("a good file");
        assert_eq!(file.version, None);
        let whole = overlay(&config(), &file.config);
        assert_eq!(
            whole["session_settings"]["inactivity_timeout"],
            json!({"enabled": false, "duration_seconds": 43_200})
        );
        assert_eq!(whole["session"], json!({"claims": {"c": 1}, "lifetime": 60}));
        assert_eq!(whole["application_name"], config()["application_name"]);
    }

    #[test]
    fn a_file_that_cannot_be_used_says_where_and_why() {
        let rows = [
            "a = ",
            "version = \"two\"",
            "session.claims = \"{\"",
            "[session_settings.inactivity_timeout]\nduration_seconds = \"soon\"",
        ];
        let said: Vec<String> =
            rows.iter().map(|row| read("x.toml", row).expect_err(row).to_string()).collect();
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
