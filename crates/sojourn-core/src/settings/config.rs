//! All settings as one document, and the differences between two documents.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Settings;

/// One value that differs between two documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The path as a TOML key: `session_settings.inactivity_timeout.enabled`.
    pub path: String,
    /// Null if the first document has no such value.
    pub before: Value,
    /// Null if the second document has no such value.
    pub after: Value,
}

impl Settings {
    /// All settings under the names of the configuration file: `session_settings`, `session` (the
    /// token), and the other settings at the top level.
    pub fn config(&self) -> Map<String, Value> {
        let mut config = object(json!(self.instance));
        config.insert("session_settings".to_owned(), json!(self.session));
        config.insert("session".to_owned(), json!(self.token));
        config
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The differences, sorted by path. Objects are compared by member, arrays as a whole.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    collect("", before, after, &mut found);
    found
}

fn collect(
    place: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let path = if place.is_empty() { key(name) } else { format!("{place}.{}", key(name)) };
        let value = |document: &Map<String, Value>| document.get(name).cloned().unwrap_or_default();
        match (value(before), value(after)) {
            (before, after) if before == after => {}
            (Value::Object(before), Value::Object(after)) => collect(&path, &before, &after, found),
            (before, after) => found.push(Difference { path, before, after }),
        }
    }
}

/// A name as a TOML key; it is quoted if needed, because names of claims may contain dots.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => Value::from(name).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Moment, Timestamp};

    #[test]
    fn a_difference_names_the_value_before_and_after() {
        let first = Settings::initial(Timestamp::from_millis(0));
        let mut next = first.clone();
        let mut session = *next.session;
        session.inactivity_timeout.enabled = true;
        session.maximum_lifetime.enabled = false;
        next.session = session.try_into().expect("one is on");
        next.token.claims.insert("a.b".to_owned(), json!({"c": [1]}));
        next.instance.paths.home_url = Some("https://example.com/".to_owned());
        let next = first.succeeded_by(next, Moment::real(Timestamp::from_millis(5)), "backend");
        let found: Vec<String> = differences(&first.config(), &next.config())
            .iter()
            .map(|one| format!("{}: {} -> {}", one.path, one.before, one.after))
            .collect();
        assert_eq!(
            found,
            [
                r#"paths.home_url: null -> "https://example.com/""#,
                r#"session.claims."a.b": null -> {"c":[1]}"#,
                "session_settings.inactivity_timeout.enabled: false -> true",
                "session_settings.maximum_lifetime.enabled: true -> false",
            ]
        );
        assert_eq!(differences(&next.config(), &next.config()), []);
    }
}
