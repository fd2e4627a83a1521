//! How long sessions live and how many a browser holds: read it, change it,
//! and see first whom a change would sign out.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use sojourn_core::{
    activity::Activity,
    lifetime::{LifetimeError, Limit},
    settings::{LimitPatch, SessionSettingsDocument, SessionSettingsPatch, Settings},
};
use sojourn_store::Engine as _;

use super::settings::{ChangeRequest, Fields, change, versioned, warnings, would_end};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

const WARNINGS: [&str; 2] = ["beyond_browser_limit", "inactivity_below_token_lifetime"];

fn document(settings: &Settings) -> Value {
    json!(SessionSettingsDocument::from(settings.session))
}

fn object(settings: &Settings) -> Value {
    versioned("session_settings", document(settings), settings)
}

/// The session settings in force.
#[utoipa::path(get, path = "/v1/instance/session_settings", tag = "Settings", responses((status = 200, description = "The session settings")))]
pub async fn get_session_settings(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(Json(object(&settings)).into_response())
}

/// Changes any subset of the session settings, at once for all sessions
/// (D4). `?dry_run=true` changes nothing and counts the sessions that
/// the change would end; `If-Match` names the version to change.
#[utoipa::path(patch, path = "/v1/instance/session_settings", tag = "Settings", responses((status = 200, description = "The settings, or the dry run"), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "Neither limit would be on, or a value is not accepted")))]
pub async fn update_session_settings(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = ChangeRequest::of(&headers, query.as_deref())?;
    let patch = SessionPatch::of(params.fields(), "")?;
    let changed = change(&app, &request, |settings| patch.applied_to(&app, settings)).await?;
    let mut answer = if request.dry_run {
        json!({
            "object": "session_settings_dry_run",
            "before": document(&changed.before),
            "after": document(&changed.after),
            "would_end": would_end(&app, &changed).await?,
        })
    } else {
        object(&changed.after)
    };
    answer["warnings"] = warnings(&changed.after, &WARNINGS).into();
    Ok(Json(answer).into_response())
}

/// A change of the session settings that was read, and where it stood.
#[derive(Debug)]
pub struct SessionPatch {
    patch: SessionSettingsPatch,
    place: String,
}

impl SessionPatch {
    /// Reads the change from the object at `place`.
    ///
    /// # Errors
    /// An unknown field, or one of another type.
    pub fn of(fields: &Map<String, Value>, place: &str) -> ApiResult<Self> {
        const KNOWN: [&str; 5] = [
            "inactivity_timeout",
            "maximum_lifetime",
            "multi_session_enabled",
            "activity",
            "ended_sessions_kept_seconds",
        ];
        let fields = Fields::new(fields, place, &KNOWN)?;
        let activity = fields.text("activity")?.map(|word| {
            let refuse = || fields.refuse(ErrorCode::FormParamValueInvalid, "activity", "token or visible");
            Activity::from_word(word).ok_or_else(refuse)
        });
        let limit = |name: &str| {
            let place = format!("{place}{name}.");
            let Some(object) = fields.object(name)? else { return Ok(None) };
            let fields = Fields::new(object, &place, &["enabled", "duration_seconds"])?;
            let enabled = fields.flag("enabled")?;
            let duration_seconds = fields.seconds("duration_seconds")?;
            Ok::<_, ApiError>(Some(LimitPatch { enabled, duration_seconds }))
        };
        let patch = SessionSettingsPatch {
            inactivity_timeout: limit("inactivity_timeout")?,
            maximum_lifetime: limit("maximum_lifetime")?,
            multi_session_enabled: fields.flag("multi_session_enabled")?,
            activity: activity.transpose()?,
            ended_sessions_kept_seconds: fields.seconds("ended_sessions_kept_seconds")?,
        };
        Ok(Self { patch, place: place.to_owned() })
    }

    /// The settings after it.
    ///
    /// # Errors
    /// `session_lifetime_required` where neither limit would be on (S2), or a
    /// duration that the instance does not accept.
    pub fn applied_to(&self, app: &App, settings: &Settings) -> ApiResult<Settings> {
        let refuse = |error| refusal(&self.place, error);
        let session = settings.session.change(&self.patch, app.bounds()).map_err(refuse)?;
        Ok(Settings { session, ..settings.clone() })
    }
}

fn refusal(place: &str, error: LifetimeError) -> ApiError {
    let bound = |limit: Limit, bound: &str, seconds: u64| {
        let name = match limit {
            Limit::Inactivity => "inactivity_timeout.duration_seconds",
            Limit::Maximum => "maximum_lifetime.duration_seconds",
            Limit::Retention => "ended_sessions_kept_seconds",
        };
        ApiError::param(ErrorCode::FormParamValueInvalid, &format!("{place}{name}"))
            .why(format!("The {limit} has to be {bound} {seconds} seconds on this instance."))
            .meta(bound.trim_start_matches("at "), seconds)
    };
    match error {
        LifetimeError::NeitherEnabled => ApiError::new(ErrorCode::SessionLifetimeRequired).why(
            "The change would switch off both the inactivity timeout and the maximum lifetime. Without either, a session would never end, on a lost laptop as little as on a stolen one. Leave one of them on, or switch the other one on in the same change.",
        ),
        LifetimeError::TooShort { limit, least } => bound(limit, "at least", least.as_secs()),
        LifetimeError::TooLong { limit, most } => bound(limit, "at most", most.as_secs()),
    }
}
