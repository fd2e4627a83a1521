//! Settings given by configuration: at start they become a settings version,
//! and nobody else may change them (D8).

use std::{fmt::Write as _, time::Duration};

use serde_json::{Map, Value};
use sojourn_core::{
    event::Event,
    lifetime::LifetimeError,
    settings::{EnumerationProtection, SessionSettingsPatch, Settings, TokenSettingsPatch},
    time::seconds,
};
use sojourn_service::StartError;
use sojourn_store::{CommitError, Engine as _, Store, StoreError, Write};

use crate::{
    app::App,
    wire::{ApiError, ErrorCode},
};
use sojourn_service::keys::sha256;

/// How long a node counts as running after it last said so.
const KNOWN_FOR: Duration = seconds(30);
/// How often a running node says so.
const SAID_EVERY: Duration = seconds(10);

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

    /// Refuses a change of a pinned value: both documents are whole, before and
    /// after the change.
    ///
    /// # Errors
    /// `setting_pinned`, which says where.
    pub fn allow(&self, before: &Map<String, Value>, after: &Map<String, Value>) -> Result<(), ApiError> {
        let changed = |pin: &&Pin| {
            let after = at(after, &pin.path);
            after != at(before, &pin.path) && after != &pin.value
        };
        match self.0.iter().find(changed) {
            None => Ok(()),
            Some(pin) => Err(ApiError::new(ErrorCode::SettingPinned)
                .why(format!("{} is pinned in {}. Change it there and restart.", pin.path, pin.origin))
                .meta("param_name", pin.path.as_str())
                .meta("pinned_in", pin.origin.as_str())),
        }
    }
}

/// The value at `path`; null where there is none.
fn at<'a>(document: &'a Map<String, Value>, path: &str) -> &'a Value {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| document.get(name));
    names.fold(first.unwrap_or(&Value::Null), |value, name| &value[name])
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

/// The same text for the same pinned values, wherever they are pinned.
fn fingerprint(pins: &Pins) -> String {
    let mut values: Vec<String> = pins.0.iter().map(|pin| format!("{}={}", pin.path, pin.value)).collect();
    values.sort_unstable();
    let mut text = String::new();
    for byte in sha256(values.join("\n").as_bytes()) {
        // A String takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Says that a node with these pins runs; false where one with others does. All
/// nodes with the same pins are one holder of one lease.
async fn hold(app: &App) -> Result<bool, StoreError> {
    // One process has the folder of an embedded database: there is no other node,
    // and a restart with other pins need not wait.
    if matches!(app.store(), Store::Sqlite(_)) {
        return Ok(true);
    }
    let wall = app.moment().wall;
    let holder = fingerprint(app.pins());
    app.store().take_lease(app.instance_id(), "pins", &holder, wall, wall + KNOWN_FOR).await
}

/// Keeps nodes with other pins from starting, until the server ends.
pub(crate) async fn keep(app: &App) {
    let mut timer = tokio::time::interval(SAID_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        match hold(app).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::error!(
                    "another node runs with other pinned settings: give all nodes the same configuration"
                );
            }
            Err(error) => tracing::warn!(%error, "could not say which settings are pinned here"),
        }
    }
}

/// Puts the pins into force by a settings version of their own.
pub(crate) async fn apply(app: &App) -> Result<(), StartError> {
    let (settings, _) = &app.store().settings(app.instance_id()).await?;
    // What cannot be in force keeps nobody else from starting.
    pinned(app, settings)?;
    if !hold(app).await? {
        let seconds = KNOWN_FOR.as_secs();
        return Err(StartError::Pins(format!(
            "another node of this instance runs with other pinned settings, so each would undo what the other pins; give all nodes the same sojourn.toml and SOJOURN_ variables, or stop the others and wait {seconds} s"
        )));
    }
    let pins = app.pins();
    loop {
        let (settings, _) = app.store().settings(app.instance_id()).await?;
        let next = pinned(app, &settings)?;
        if next.says_the_same(&settings) {
            return Ok(());
        }
        let (before, after) = (settings.config(), next.config());
        let new = pins.0.iter().find(|pin| at(&before, &pin.path) != at(&after, &pin.path));
        let author = new.map_or("system", |pin| pin.origin.as_str());
        let moment = app.moment();
        let next = settings.succeeded_by(next, moment, author);
        let mut changes = app.changes(moment).write(Write::Settings(next.clone()));
        if next.session != settings.session {
            changes = changes.event(Event::SessionSettingsChanged { version: next.version });
        }
        match app.commit(changes).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The settings with the pins in them.
fn pinned(app: &App, settings: &Settings) -> Result<Settings, StartError> {
    let pins = app.pins();
    if pins.0.is_empty() {
        return Ok(settings.clone());
    }
    let refuse = |why: String| StartError::Pins(format!("the configuration cannot be put into force: {why}"));
    let session: SessionSettingsPatch =
        serde_json::from_value(Value::Object(pins.document("session_settings")))
            .map_err(|error| refuse(error.to_string()))?;
    let token: TokenSettingsPatch = serde_json::from_value(Value::Object(pins.document("session")))
        .map_err(|error| refuse(error.to_string()))?;
    let session = settings.session.change(&session, app.bounds()).map_err(|error| {
        refuse(match error {
            LifetimeError::NeitherEnabled => {
                format!("{error} ({})", ErrorCode::SessionLifetimeRequired.as_str())
            }
            other => other.to_string(),
        })
    })?;
    let token =
        settings.token.change(&token, app.is_development()).map_err(|error| refuse(error.to_string()))?;
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
    Ok(next)
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

    fn document(seconds: u64, home_url: Option<&str>, name: &str) -> Map<String, Value> {
        let document = json!({
            "session_settings": {"maximum_lifetime": {"enabled": true, "duration_seconds": seconds}},
            "paths": {"home_url": home_url},
            "application_name": name,
        });
        document.as_object().expect("an object").clone()
    }

    #[test]
    fn a_pinned_value_cannot_change_and_names_its_pin() {
        let home = Some("https://example.com/");
        let before = document(3600, home, "x");
        for after in [document(60, home, "x"), document(3600, None, "x")] {
            let refused = pins().allow(&before, &after).expect_err("refused");
            assert_eq!(refused.code(), ErrorCode::SettingPinned);
            assert!(refused.texts().1.contains("pinned in file:x"), "{refused:?}");
        }
    }

    #[test]
    fn only_pinned_values_are_refused_a_change() {
        let home = Some("https://example.com/");
        pins().allow(&document(3600, home, "x"), &document(3600, home, "y")).expect("another name");
        pins().allow(&document(60, home, "x"), &document(3600, home, "x")).expect("to the pin");
    }
}
