//! A change of the settings: values by their paths, checked by the registry, merged into the
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

/// What becomes of the claims in force where a configuration is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Those that are given are added to them, and null takes one away.
    Merged,
    Replaced,
}

/// Why a change is refused: where, and for what reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The path of the setting or table; empty where it is about several.
    pub path: String,
    pub why: RefusalReason,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RefusalReason {
    /// No such setting; these are known there.
    Unknown(Vec<&'static str>),
    /// The path is a table, and the value is none.
    NotATable { is_null: bool },
    /// The setting cannot have this value.
    Value { value: Value, mismatch: Box<Mismatch> },
    /// Null would take away what is set, and that was not asked for.
    TakesAway,
    /// Both limits of sessions would be off (S2).
    NeitherLimit,
}

impl Change {
    /// Reads a document, or a part of one: the object that lies at the table `table`.
    ///
    /// # Errors
    /// An unknown name, or a table that is none.
    pub fn read(table: &str, document: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut change = Self::default();
        change.collect(table, document, &mut |path, value| {
            Err(Refusal { path, why: RefusalReason::NotATable { is_null: value.is_null() } })
        })?;
        Ok(change)
    }

    /// Reads a configuration, where null puts a setting or a whole table back to its default, and
    /// the claims may be merged into those of `settings`. What is in force already may be said
    /// again, also where it could not be set anew: a whole configuration has to be.
    ///
    /// # Errors
    /// As [`Self::read`]; a null that would take something away, unless `destructive`.
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
        change.values.retain(|(setting, value)| value_at(&config, setting.path) != value);
        Ok(change)
    }

    /// One setting.
    pub fn of(setting: &'static Setting, value: Value) -> Self {
        Self { values: vec![(setting, value)] }
    }

    /// One setting more.
    #[must_use]
    pub fn and(mut self, setting: &'static Setting, value: Value) -> Self {
        self.values.push((setting, value));
        self
    }

    /// The settings with their new values.
    pub fn values(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        self.values.iter().map(|(setting, value)| (*setting, value))
    }

    /// The settings that a configuration says nothing about; a table that is left out stands for
    /// all in it.
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

/// The two limits of which one has to be on.
const LIMITS: [&str; 2] = ["session_settings.inactivity_timeout", "session_settings.maximum_lifetime"];

impl Settings {
    /// The settings after a change.
    ///
    /// # Errors
    /// The first value that cannot be, or that neither limit of sessions would be on (S2).
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
        // A length that was good while its limit was off, in development, may not be so now.
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

/// What the registry accepts is what the structs take: its tests try every setting.
fn stored<T: serde::de::DeserializeOwned>(checked: Value) -> T {
    serde_json::from_value(checked).expect("a document that the registry accepted")
}

impl std::fmt::Display for Refusal {
    /// Why, and what to do next. In an answer to a part of the document the path begins there.
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

/// A value in an error text: enough of it to be recognised.
fn shortened(value: &Value) -> String {
    const MOST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
