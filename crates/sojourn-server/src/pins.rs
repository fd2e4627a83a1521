//! Settings given by configuration: at start they become a settings version,
//! and nobody else may change them (product.md, decision 8).

use serde_json::{Map, Value};
use sojourn_core::settings::{EnumerationProtection, SessionSettingsPatch, Settings, TokenSettingsPatch};
use sojourn_store::{CommitError, Engine as _, Write};

use crate::{
    app::{App, StartError},
    wire::{ApiError, ErrorCode},
};

/// One pinned value.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// `session_settings.maximum_lifetime.duration_seconds` and so on.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// Where it is pinned: `file:sojourn.toml`, `env:SOJOURN_…`, `flag`.
    pub origin: String,
}

/// All pinned values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pins(pub Vec<Pin>);

impl Pins {
    /// The values below `section` as one document.
    fn document(&self, section: &str) -> Map<String, Value> {
        let mut document = Map::new();
        for pin in &self.0 {
            let Some(path) = pin.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            insert(&mut document, path, pin.value.clone());
        }
        document
    }

    /// Refuses a change of a pinned value: `patch` is the JSON of a change
    /// below `section`; an empty one stands for the whole configuration.
    ///
    /// # Errors
    /// `setting_pinned`, which says where.
    pub fn allow(&self, section: &str, patch: &Value) -> Result<(), ApiError> {
        for pin in &self.0 {
            let below = pin.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'));
            let path = if section.is_empty() { Some(pin.path.as_str()) } else { below };
            let value = path.and_then(|path| path.split('.').try_fold(patch, |value, name| value.get(name)));
            if value.is_some_and(|value| *value != pin.value) {
                return Err(ApiError::new(ErrorCode::SettingPinned)
                    .why(format!("{} is pinned in {}. Change it there and restart.", pin.path, pin.origin))
                    .meta("param_name", pin.path.as_str())
                    .meta("pinned_in", pin.origin.as_str()));
            }
        }
        Ok(())
    }
}

fn insert(document: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        // Claims are replaced whole; their names may hold dots of their own.
        Some((name, rest)) => {
            let inner = document.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
        None => {
            document.insert(path.to_owned(), value);
        }
    }
}

/// Puts the pins into force by a settings version of their own.
pub(crate) async fn apply(app: &App) -> Result<(), StartError> {
    let pins = app.pins();
    let Some(first) = pins.0.first() else { return Ok(()) };
    let refuse = |why: String| StartError::Pins(format!("the configuration cannot be put into force: {why}"));
    loop {
        let (settings, _) = app.store().settings(app.instance_id()).await?;
        let session: SessionSettingsPatch =
            serde_json::from_value(Value::Object(pins.document("session_settings")))
                .map_err(|error| refuse(error.to_string()))?;
        let token: TokenSettingsPatch = serde_json::from_value(Value::Object(pins.document("session")))
            .map_err(|error| refuse(error.to_string()))?;
        let session =
            settings.session.change(&session, app.bounds()).map_err(|error| refuse(error.to_string()))?;
        let token = settings
            .token
            .change(&token, app.is_development())
            .map_err(|error| refuse(format!("{error:?}")))?;
        let mut next = Settings { session, token, ..settings.clone() };
        for pin in &pins.0 {
            match pin.path.as_str() {
                "auth_email.verify_at_sign_up" => {
                    next.instance.auth_email.verify_at_sign_up = pin
                        .value
                        .as_bool()
                        .ok_or_else(|| refuse(format!("{} has to be true or false", pin.path)))?;
                }
                "auth_attack_protection.enumeration_protection" => {
                    next.instance.auth_attack_protection.enumeration_protection = pin
                        .value
                        .as_str()
                        .and_then(EnumerationProtection::from_word)
                        .ok_or_else(|| refuse(format!("{} has to be off or strict", pin.path)))?;
                }
                "paths.home_url" => next.instance.paths.home_url = pin.value.as_str().map(str::to_owned),
                "application_name" => {
                    next.instance.application_name = pin
                        .value
                        .as_str()
                        .ok_or_else(|| refuse(format!("{} has to be a text", pin.path)))?
                        .to_owned();
                }
                _ => {}
            }
        }
        if next == settings {
            return Ok(());
        }
        let at = app.moment();
        let now = at.now;
        next.version += 1;
        next.in_force_from = now;
        next.author.clone_from(&first.origin);
        match app.commit(app.changes(at).write(Write::Settings(next))).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pins() -> Pins {
        let pin = |path: &str, value| Pin { path: path.to_owned(), value, origin: "file:x".to_owned() };
        Pins(vec![
            pin("session_settings.maximum_lifetime.duration_seconds", json!(3600)),
            pin("paths.home_url", json!("https://example.com/")),
            pin("auth_attack_protection.enumeration_protection", json!("strict")),
        ])
    }

    #[test]
    fn a_pinned_value_changes_neither_to_another_nor_to_none_and_says_where_it_is_pinned() {
        let refuse = |section, patch: Value| pins().allow(section, &patch).expect_err("refused").code();
        let other = json!({"maximum_lifetime": {"duration_seconds": 60}});
        assert_eq!(refuse("session_settings", other), ErrorCode::SettingPinned);
        assert_eq!(refuse("", json!({"paths": {"home_url": null}})), ErrorCode::SettingPinned);
        let off = json!({"auth_attack_protection": {"enumeration_protection": "off"}});
        assert_eq!(refuse("", off), ErrorCode::SettingPinned);
    }

    #[test]
    fn what_is_pinned_may_be_said_again_and_everything_else_may_change() {
        let allow = |section, patch: Value| pins().allow(section, &patch).expect("allowed");
        allow("session_settings", json!({"maximum_lifetime": {"duration_seconds": 3600, "enabled": true}}));
        allow("session", json!({"claims": {}}));
        allow("", json!({"application_name": "x", "paths": {"home_url": "https://example.com/"}}));
    }
}
