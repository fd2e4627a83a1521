//! What all settings documents share: versions, authors, dry runs, and fields
//! of which none is ignored.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};
use sojourn_core::{
    event::Event,
    forecast::{Forecast, WouldEnd},
    policy::Policy,
    settings::Settings,
    time::Timestamp,
};
use sojourn_store::{Engine as _, Write};

use crate::{
    app::{App, AttemptError},
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// A settings document as it is answered: with the version it belongs to.
pub fn versioned(name: &str, mut document: Value, settings: &Settings) -> Value {
    document["object"] = name.into();
    document["version"] = settings.version.into();
    document["updated_at"] = settings.in_force_from.as_millis().into();
    document
}

/// Sessions looked at together, so that a dry run holds few of them at a time.
const GROUP: u32 = 1000;

/// The header in which the command line names who types.
const CLI_USER: &str = "sojourn-cli-user";
const MAX_LABEL_CHARS: usize = 64;

/// Who changes the settings, for the history. Only a label: the secret key is
/// what allows it, and whoever has that may call themselves anything, but not
/// `system`, a file or a variable.
fn author(headers: &HeaderMap) -> String {
    let Some(name) = headers.get(CLI_USER) else { return "backend".to_owned() };
    let name = String::from_utf8_lossy(name.as_bytes());
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '_' };
    let label: String = name.trim().chars().take(MAX_LABEL_CHARS).map(plain).collect();
    format!("cli:{}", if label.is_empty() { "unknown" } else { &label })
}

/// What a change of the settings is asked with.
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// The version that has to be in force: `If-Match`.
    pub expected: Option<u64>,
    /// Change nothing, say what would be.
    pub dry_run: bool,
    /// Who asks: `backend`, or `cli:` and a name.
    pub author: String,
    /// The earlier version that is to be brought back.
    pub restores: Option<u64>,
    /// Sign out everybody, whether the settings change or not.
    pub ends_all_sessions: bool,
    /// The rest of the query.
    pub query: Params,
}

impl ChangeRequest {
    /// Reads the header and the query.
    ///
    /// # Errors
    /// An `If-Match` that is no version.
    pub fn of(headers: &HeaderMap, query: Option<&str>) -> ApiResult<Self> {
        let query = Params::from_form(query.unwrap_or(""))?;
        let dry_run = query.flag("dry_run")?.unwrap_or(false);
        let expected = match headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or("")) {
            None | Some("*") => None,
            Some(text) => {
                Some(text.trim().trim_start_matches("W/").trim_matches('"').parse().map_err(|_| {
                    ApiError::new(ErrorCode::MalformedRequestParameters).why(
                        "If-Match has to be the version that the settings showed, such as 3, or be left out.",
                    )
                })?)
            }
        };
        Ok(Self {
            expected,
            dry_run,
            author: author(headers),
            restores: None,
            ends_all_sessions: false,
            query,
        })
    }
}

/// Settings before and after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The one reading of the clock.
    pub now: Timestamp,
    /// Before, with all versions of the session settings.
    pub before: Settings,
    /// The policy before.
    pub policy: Policy,
    /// After; what would be in force, in a dry run.
    pub after: Settings,
}

/// Puts what `decide` makes of the settings into force, as a version of its own;
/// a change to what is in force already makes none, unless it signs out everybody.
/// Nothing in a dry run.
///
/// # Errors
/// What `decide` says; `conflict` where another version is in force than
/// expected; `setting_pinned` where a value would change that is pinned.
pub async fn change(
    app: &App,
    request: &ChangeRequest,
    decide: impl Fn(&Settings) -> ApiResult<Settings>,
) -> ApiResult<Changed> {
    if !request.dry_run {
        // Sessions are judged by the old settings up to this moment, so what is
        // known of them has to be stored by then (D4).
        app.store().flush_activity().await?;
    }
    let at = app.moment();
    let now = at.now;
    app.retry_on_conflict(|| async {
        let (before, policy) = app.store().settings(app.instance_id()).await?;
        if let Some(expected) = request.expected.filter(|expected| *expected != before.version) {
            return Err(AttemptError::Refused(
                ApiError::new(ErrorCode::Conflict)
                    .why(format!(
                        "Version {expected} was to be changed, but version {} is in force. Read the settings again and decide anew.",
                        before.version
                    ))
                    .meta("version", before.version),
            ));
        }
        let after = decide(&before)?;
        if after.says_the_same(&before) && !request.ends_all_sessions {
            return Ok(Changed { now, policy, after: before.clone(), before });
        }
        app.pins().allow(&before.config(), &after.config())?;
        let after = Settings {
            restores: request.restores,
            ends_all_sessions: request.ends_all_sessions,
            ..before.succeeded_by(after, at, request.author.as_str())
        };
        if !request.dry_run {
            let mut changes = app.changes(at).write(Write::Settings(after.clone()));
            if after.session != before.session {
                changes = changes.event(Event::SessionSettingsChanged { version: after.version });
            }
            app.commit(changes).await?;
        }
        Ok(Changed { now, before, policy, after })
    })
    .await
}

/// How many of the sessions that live at the moment of asking the change would
/// end: exact for what this node knows, activity in memory included.
///
/// # Errors
/// The store does not answer.
pub async fn would_end(app: &App, changed: &Changed) -> ApiResult<WouldEnd> {
    if changed.after.session == changed.before.session && !changed.after.ends_all_sessions {
        return Ok(WouldEnd::default());
    }
    let mut forecast = Forecast::new(changed.now, changed.policy.clone(), changed.after.policy_version());
    let mut walked = None;
    loop {
        let group = app.store().open_sessions(app.instance_id(), walked, GROUP).await?;
        group.iter().for_each(|session| forecast.see(session));
        let Some(last) = group.last().filter(|last| last.created_at <= changed.now) else {
            return Ok(forecast.would_end());
        };
        walked = Some((last.created_at, last.id));
        // A million sessions take seconds; requests that sign somebody in do not wait for them.
        tokio::task::yield_now().await;
    }
}

/// Warnings of `settings` about one of its documents.
pub fn warnings(settings: &Settings, codes: &[&str]) -> Vec<Value> {
    let about = settings.warnings().into_iter().filter(|warning| codes.contains(&warning.code));
    about.map(|warning| serde_json::json!(warning)).collect()
}

/// Refuses the field `name` of the object at `place`, and says what it has to be.
pub fn refuse(code: ErrorCode, place: &str, name: &str, what: &str) -> ApiError {
    let path = format!("{place}{name}");
    ApiError::param(code, &path).why(format!("{path} has to be {what}."))
}

/// The fields of one object of a document, all of them known.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    fields: &'a Map<String, Value>,
    /// Where the object lies, for errors: empty or ending in a dot.
    place: &'a str,
}

impl<'a> Fields<'a> {
    /// The fields of the object at `place`.
    ///
    /// # Errors
    /// `form_param_unknown` for a field that is none of `known`.
    pub fn new(fields: &'a Map<String, Value>, place: &'a str, known: &[&str]) -> ApiResult<Self> {
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let path = format!("{place}{name}");
                Err(ApiError::param(ErrorCode::FormParamUnknown, &path)
                    .why(format!("{path} is no setting. Known here: {}.", known.join(", "))))
            }
            None => Ok(Self { fields, place }),
        }
    }

    /// Refuses the field `name`, and says what it has to be.
    pub fn refuse(&self, code: ErrorCode, name: &str, what: &str) -> ApiError {
        refuse(code, self.place, name, what)
    }

    fn get<T>(&self, name: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> ApiResult<Option<T>> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Value::Null) => Err(self.refuse(ErrorCode::FormParamNil, name, what)),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.refuse(ErrorCode::FormParamTypeInvalid, name, what)),
            },
        }
    }

    /// A switch.
    ///
    /// # Errors
    /// Another type.
    pub fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        self.get(name, "true or false", Value::as_bool)
    }

    /// A number of whole seconds.
    ///
    /// # Errors
    /// Another type.
    pub fn seconds(&self, name: &str) -> ApiResult<Option<u64>> {
        self.get(name, "a whole number of seconds", Value::as_u64)
    }

    /// A text.
    ///
    /// # Errors
    /// Another type.
    pub fn text(&self, name: &str) -> ApiResult<Option<&'a str>> {
        self.get(name, "a text", Value::as_str)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Another type.
    pub fn texts(&self, name: &str) -> ApiResult<Option<Vec<String>>> {
        let texts = |value: &Value| {
            let items = value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned));
            items.collect::<Option<Vec<String>>>()
        };
        self.get(name, "a list of texts", texts)
    }

    /// An object.
    ///
    /// # Errors
    /// Another type.
    pub fn object(&self, name: &str) -> ApiResult<Option<&'a Map<String, Value>>> {
        self.get(name, "an object", Value::as_object)
    }

    /// Whether the field is there and null.
    pub fn is_null(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_null)
    }
}
