//! A change that reaches over several settings documents: read by the code of
//! each document, put into force as one version.

use serde_json::{Map, Value};
use sojourn_core::settings::Settings;

use super::{
    config_schema::defaults, instance_settings::InstancePatch, session_settings::SessionPatch,
    session_token::TokenPatch, settings::Fields,
};
use crate::{
    app::App,
    wire::{ApiError, ApiResult, ErrorCode},
};

const SESSION: &str = "session_settings";
const TOKEN: &str = "session";

/// The keys of the configuration.
pub fn known() -> Vec<&'static str> {
    InstancePatch::KNOWN.into_iter().chain([TOKEN, SESSION]).collect()
}

/// The settings that `wanted`, any part of a configuration, makes of `settings`.
/// What is in force already may be said again, also where it could not be set anew.
///
/// # Errors
/// What is unknown, of another type or cannot be, with its whole path.
pub fn applied(app: &App, wanted: &Map<String, Value>, settings: &Settings) -> ApiResult<Settings> {
    let all = Fields::new(wanted, "", &known())?;
    let (session, token) = (all.object(SESSION)?, all.object(TOKEN)?);
    let fields = new_in(wanted, &settings.config());
    let part = |name: &str| fields.get(name).and_then(Value::as_object);
    let mut rest = fields.clone();
    rest.retain(|name, _| InstancePatch::KNOWN.contains(&name.as_str()));
    let mut next = InstancePatch::of(app, &rest)?.applied_to(settings);
    if let Some(token) = token.and(part(TOKEN)) {
        next = TokenPatch::of(token, "session.")?.applied_to(app, &next)?;
    }
    if let Some(session) = session.and(part(SESSION)) {
        next = SessionPatch::of(session, "session_settings.")?.applied_to(app, &next)?;
    }
    Ok(next)
}

/// What of `wanted` is not so `before`. Claims stay whole, because they are replaced whole.
fn new_in(wanted: &Map<String, Value>, before: &Map<String, Value>) -> Map<String, Value> {
    let mut new = Map::new();
    for (name, value) in wanted {
        let value = match (value, before.get(name)) {
            (value, Some(before)) if value == before => continue,
            (Value::Object(wanted), Some(Value::Object(before))) if name != "claims" => {
                new_in(wanted, before).into()
            }
            (value, _) => value.clone(),
        };
        new.insert(name.clone(), value);
    }
    new
}

/// The paths of `defaults` that a whole configuration lacks.
pub fn missing(config: &Map<String, Value>) -> Vec<String> {
    fn collect(
        place: &str,
        given: &Map<String, Value>,
        wanted: &Map<String, Value>,
        found: &mut Vec<String>,
    ) {
        for (name, default) in wanted {
            let path = format!("{place}{name}");
            match (given.get(name), default) {
                (None, _) => found.push(path),
                (Some(Value::Object(given)), Value::Object(wanted)) => {
                    collect(&format!("{path}."), given, wanted, found);
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    collect("", config, &defaults(), &mut found);
    found
}

/// What becomes of the claims that were there.
#[derive(Clone, Copy, Debug)]
pub enum Claims {
    /// Those that are given are added to them, and null takes one away.
    Merged,
    /// They go.
    Replaced,
}

/// The change as the documents take it: null stands for the default, and claims
/// are whole.
///
/// # Errors
/// A null that would take something away, unless it may.
pub fn merged(
    change: &Map<String, Value>,
    settings: &Settings,
    kind: Claims,
    destructive: bool,
) -> ApiResult<Map<String, Value>> {
    let merge = Merge { destructive };
    let mut rest = change.clone();
    // Claims have neither fixed names nor defaults.
    let claims = match rest.get_mut(TOKEN).and_then(Value::as_object_mut) {
        Some(token) if token.get("claims").is_some_and(Value::is_object) => token.remove("claims"),
        _ => None,
    };
    let mut merged = merge.defaults("", &rest, &settings.config(), &defaults())?;
    if let Some(Value::Object(claims)) = claims
        && let Some(Value::Object(token)) = merged.get_mut(TOKEN)
    {
        let claims = match kind {
            Claims::Merged => merge.claims("session.claims.", &claims, &settings.token.claims)?,
            Claims::Replaced => claims,
        };
        token.insert("claims".to_owned(), claims.into());
    }
    Ok(merged)
}

/// Whether null may take something away.
#[derive(Clone, Copy)]
struct Merge {
    destructive: bool,
}

impl Merge {
    fn defaults(
        self,
        place: &str,
        change: &Map<String, Value>,
        before: &Map<String, Value>,
        defaults: &Map<String, Value>,
    ) -> ApiResult<Map<String, Value>> {
        let mut merged = Map::new();
        for (name, value) in change {
            let path = format!("{place}{name}");
            let value = match (value, before.get(name), defaults.get(name)) {
                (Value::Null, before, Some(default)) => {
                    self.allow(&path, before != Some(default))?;
                    default.clone()
                }
                (Value::Object(change), Some(Value::Object(before)), Some(Value::Object(defaults))) => {
                    self.defaults(&format!("{path}."), change, before, defaults)?.into()
                }
                // Also what is unknown: the documents refuse it by its name.
                (value, ..) => value.clone(),
            };
            merged.insert(name.clone(), value);
        }
        Ok(merged)
    }

    fn claims(
        self,
        place: &str,
        change: &Map<String, Value>,
        before: &Map<String, Value>,
    ) -> ApiResult<Map<String, Value>> {
        let mut merged = before.clone();
        for (name, value) in change {
            let path = format!("{place}{name}");
            match (value, before.get(name)) {
                (Value::Null, before) => {
                    self.allow(&path, before.is_some())?;
                    merged.remove(name);
                }
                (Value::Object(change), Some(Value::Object(before))) => {
                    merged.insert(name.clone(), self.claims(&format!("{path}."), change, before)?.into());
                }
                (value, _) => {
                    merged.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(merged)
    }

    fn allow(self, path: &str, takes_away: bool) -> ApiResult<()> {
        if self.destructive || !takes_away {
            return Ok(());
        }
        Err(ApiError::param(ErrorCode::FormParamNil, path).why(format!(
            "null would take away what {path} is set to. Ask for that with destructive=true, or give a value."
        )))
    }
}
