//! A change of the settings: values by path, checked against the registry and merged into the
//! settings in force.

use serde_json::{Map, Value};

use super::{
    InstanceSettings, SessionSettings, SessionSettingsDocument, Settings, TokenSettings,
    kind::{Mismatch, Reason},
    registry::{self, Setting, defaults, insert_at, value_at},
};
use crate::{environment::Environment, template::TemplateError};

/// New values for some of the settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    values: Vec<(&'static Setting, Value)>,
}

/// How a configuration changes the existing claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// The given claims are added to the existing ones; null removes a claim.
    Merged,
    Replaced,
}

/// A rejected change: the path and the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The path of the setting or table; empty if several are involved.
    pub path: String,
    pub why: RefusalReason,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RefusalReason {
    /// There is no such setting. The field lists the known names.
    Unknown(Vec<&'static str>),
    /// The path is a table, but the value is not an object.
    NotATable { is_null: bool },
    /// The value does not match the setting's type or bounds.
    Value { value: Value, mismatch: Box<Mismatch> },
    /// Null would delete a value, and the request did not set `destructive`.
    TakesAway,
    /// Both session limits would be off (S2).
    NeitherLimit,
}

impl Change {
    /// Reads a document, or the part of a document below `table`.
    ///
    /// # Errors
    /// [`RefusalReason::Unknown`] or [`RefusalReason::NotATable`].
    pub fn read(table: &str, document: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut change = Self::default();
        change.collect(table, document, &mut |path, value| {
            Err(Refusal { path, why: RefusalReason::NotATable { is_null: value.is_null() } })
        })?;
        Ok(change)
    }

    /// Reads a configuration. Null resets a setting or a whole table to its default, and claims can
    /// be merged into those of `settings`. A value that equals the one in force is always accepted,
    /// even if it could not be set anew: otherwise a complete configuration could not be written
    /// back.
    ///
    /// # Errors
    /// As [`Self::read`]; [`RefusalReason::TakesAway`] if null would delete a value, unless
    /// `destructive` is set.
    pub fn merge(
        document: &Map<String, Value>,
        settings: &Settings,
        claims: Claims,
        destructive: bool,
    ) -> Result<Self, Refusal> {
        let (config, defaults) = (settings.config(), defaults());
        let mut change = Self::default();
        let mut reset = Vec::new();
        change.collect("", document, &mut |path, value| match value {
            Value::Null => {
                let is = |document, setting: &Setting| value_at(document, setting.path).clone();
                let differs = |setting| is(&config, setting) != is(&defaults, setting);
                allow(&path, destructive, registry::below(&path).any(differs))?;
                reset.extend(registry::below(&path).map(|setting| (setting, is(&defaults, setting))));
                Ok(())
            }
            _ => Err(Refusal { path, why: RefusalReason::NotATable { is_null: false } }),
        })?;
        for (setting, value) in &mut change.values {
            if value.is_null() {
                let default = value_at(&defaults, setting.path);
                allow(setting.path, destructive, value_at(&config, setting.path) != default)?;
                value.clone_from(default);
            } else if setting.path == "session.claims"
                && claims == Claims::Merged
                && let Value::Object(given) = value
            {
                let merged = merge_claims(setting.path, given, &settings.token.claims, destructive)?;
                *value = Value::Object(merged);
            }
        }
        change.values.append(&mut reset);
        // Values that are in force already need no check and must not count as a change.
        change.values.retain(|(setting, value)| value_at(&config, setting.path) != value);
        Ok(change)
    }

    /// A change of one setting.
    pub fn of(setting: &'static Setting, value: Value) -> Self {
        Self { values: vec![(setting, value)] }
    }

    /// Adds one setting.
    #[must_use]
    pub fn and(mut self, setting: &'static Setting, value: Value) -> Self {
        self.values.push((setting, value));
        self
    }

    /// The changed settings with their new values.
    pub fn values(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        self.values.iter().map(|(setting, value)| (*setting, value))
    }

    /// The settings that a configuration omits. An omitted table stands for all its settings.
    pub fn missing(document: &Map<String, Value>) -> Vec<String> {
        fn collect(place: &str, given: &Map<String, Value>, found: &mut Vec<String>) {
            for name in registry::names_in(place) {
                let path = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
                match given.get(name) {
                    None => found.push(path),
                    Some(Value::Object(inner)) if registry::find(&path).is_none() => {
                        collect(&path, inner, found);
                    }
                    Some(_) => {}
                }
            }
        }
        let mut found = Vec::new();
        collect("", document, &mut found);
        found.sort_unstable();
        found
    }

    fn collect(
        &mut self,
        table: &str,
        document: &Map<String, Value>,
        not_a_table: &mut impl FnMut(String, &Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        for (name, value) in document {
            let path = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
            match (registry::find(&path), value) {
                (Some(setting), value) => self.values.push((setting, value.clone())),
                (None, _) if registry::below(&path).next().is_none() => {
                    let known = registry::names_in(table);
                    return Err(Refusal { path, why: RefusalReason::Unknown(known) });
                }
                (None, Value::Object(inner)) => self.collect(&path, inner, not_a_table)?,
                (None, value) => not_a_table(path, value)?,
            }
        }
        Ok(())
    }
}

fn merge_claims(
    place: &str,
    given: &Map<String, Value>,
    before: &Map<String, Value>,
    destructive: bool,
) -> Result<Map<String, Value>, Refusal> {
    let mut merged = before.clone();
    for (name, value) in given {
        let path = format!("{place}.{name}");
        match (value, before.get(name)) {
            (Value::Null, before) => {
                allow(&path, destructive, before.is_some())?;
                merged.remove(name);
            }
            (Value::Object(given), Some(Value::Object(before))) => {
                merged.insert(name.clone(), merge_claims(&path, given, before, destructive)?.into());
            }
            (value, _) => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(merged)
}

fn allow(path: &str, destructive: bool, takes_away: bool) -> Result<(), Refusal> {
    if destructive || !takes_away {
        return Ok(());
    }
    Err(Refusal { path: path.to_owned(), why: RefusalReason::TakesAway })
}

/// At least one of these two limits must be on.
const LIMITS: [&str; 2] = ["session_settings.inactivity_timeout", "session_settings.maximum_lifetime"];

impl Settings {
    /// Applies a change.
    ///
    /// # Errors
    /// The first value that is not valid, or [`RefusalReason::NeitherLimit`] (S2).
    pub fn with(&self, change: &Change, environment: Environment) -> Result<Self, Refusal> {
        let before = self.config();
        let mut config = before.clone();
        let check = |setting: &Setting, value: &Value| {
            setting.check(value, environment).map_err(|mismatch| Refusal {
                path: setting.path.to_owned(),
                why: RefusalReason::Value { value: value.clone(), mismatch: Box::new(mismatch) },
            })
        };
        for (setting, value) in &change.values {
            insert_at(&mut config, setting.path, check(setting, value)?);
        }
        // A duration may have been accepted in development while its limit was off; check it again
        // when the limit is switched on.
        for limit in LIMITS {
            let (is, was) = (value_at(&config, limit), value_at(&before, limit));
            if is["enabled"] == true && is != was {
                let duration = registry::below(limit).find(|setting| setting.path.ends_with("_seconds"));
                duration.map(|setting| check(setting, &is["duration_seconds"])).transpose()?;
            }
        }
        self.of_config(config)
    }

    fn of_config(&self, mut config: Map<String, Value>) -> Result<Self, Refusal> {
        let session = config.remove("session_settings").unwrap_or_default();
        let token = config.remove("session").unwrap_or_default();
        let session: SessionSettingsDocument = stored(session);
        let neither = Refusal { path: String::new(), why: RefusalReason::NeitherLimit };
        Ok(Self {
            session: SessionSettings::try_from(session).map_err(|_| neither)?,
            token: stored::<TokenSettings>(token),
            instance: stored::<InstanceSettings>(Value::Object(config)),
            ..self.clone()
        })
    }
}

/// The registry accepts only values that the structs can read; the tests try every setting.
fn stored<T: serde::de::DeserializeOwned>(checked: Value) -> T {
    serde_json::from_value(checked).expect("a document that the registry accepted")
}

impl std::fmt::Display for Refusal {
    /// The reason and the next step. For a part of the document the path is relative to that part.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, why } = self;
        match why {
            RefusalReason::Unknown(known) => {
                write!(f, "{path} is no setting. Known here: {}.", known.join(", "))
            }
            RefusalReason::NotATable { .. } => write!(f, "{path} has to be an object."),
            RefusalReason::TakesAway => write!(
                f,
                "null would take away what {path} is set to. Ask for that with destructive=true, or give a value."
            ),
            RefusalReason::NeitherLimit => f.write_str(
                "The change would switch off both the inactivity timeout and the maximum lifetime. Without either, a session would never end, on a lost laptop as little as on a stolen one. Leave one of them on, or switch the other one on in the same change.",
            ),
            RefusalReason::Value { value, mismatch } => match &mismatch.reason {
                Reason::Production => write!(
                    f,
                    "{path} would let anybody into a production instance. Use a development instance for tests."
                ),
                Reason::Claims(TemplateError::Reserved(name)) => {
                    write!(f, "The token sets {name} itself. Give the claim another name.")
                }
                Reason::Claims(error) => write!(f, "{path} cannot be used: {error}."),
                _ => {
                    let expected = &mismatch.expected;
                    write!(f, "{path} has to be {expected}, and {} is not.", shortened(value))
                }
            },
        }
    }
}

/// The first characters of a value, for an error text.
fn shortened(value: &Value) -> String {
    const MOST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
