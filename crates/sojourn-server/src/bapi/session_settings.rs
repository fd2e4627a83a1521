//! How long sessions live and how many a browser holds: read it, change it,
//! and see first whom a change would sign out.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_core::{
    activity::Activity,
    forecast::{WouldEnd, forecast},
    lifetime::{LifetimeError, Limit},
    settings::{LimitPatch, SessionSettingsDocument, SessionSettingsPatch, Settings},
};
use sojourn_store::{Engine as _, SessionFilter, StoredStatus};

use super::settings::{Changed, Fields, Terms, change, versioned, warnings};
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
/// (decision 4). `?dry_run=true` changes nothing and counts the sessions that
/// the change would end; `If-Match` names the version to change.
#[utoipa::path(patch, path = "/v1/instance/session_settings", tag = "Settings", responses((status = 200, description = "The settings, or the dry run"), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "Neither limit would be on, or a value is not accepted")))]
pub async fn update_session_settings(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let terms = Terms::of(&headers, query.as_deref())?;
    let patch = patch(&params)?;
    app.pins().allow("session_settings", &Value::Object(params.fields().clone()))?;
    let changed = change(&app, &terms, |settings| {
        let session = settings.session.change(&patch, app.bounds()).map_err(refusal)?;
        Ok(Settings { session, ..settings.clone() })
    })
    .await?;
    let mut answer = if terms.dry_run {
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

async fn would_end(app: &App, changed: &Changed) -> ApiResult<WouldEnd> {
    if changed.after.version == changed.before.version {
        return Ok(WouldEnd::default());
    }
    let filter =
        SessionFilter { stored: Some(StoredStatus::Open), limit: u32::MAX, ..SessionFilter::default() };
    let (sessions, _) = app.store().sessions(app.instance_id(), filter).await?;
    Ok(forecast(changed.now, &changed.policy, changed.after.policy_version(), &sessions))
}

fn patch(params: &Params) -> ApiResult<SessionSettingsPatch> {
    let fields = Fields::new(
        params.fields(),
        "",
        &[
            "inactivity_timeout",
            "maximum_lifetime",
            "multi_session_enabled",
            "activity",
            "ended_sessions_kept_seconds",
        ],
    )?;
    let activity = fields.text("activity")?.map(|word| {
        let refuse = || fields.refuse(ErrorCode::FormParamValueInvalid, "activity", "token or visible");
        Activity::from_word(word).ok_or_else(refuse)
    });
    let limit = |name: &str| {
        let place = format!("{name}.");
        let Some(object) = fields.object(name)? else { return Ok(None) };
        let fields = Fields::new(object, &place, &["enabled", "duration_seconds"])?;
        let enabled = fields.flag("enabled")?;
        Ok::<_, ApiError>(Some(LimitPatch { enabled, duration_seconds: fields.seconds("duration_seconds")? }))
    };
    Ok(SessionSettingsPatch {
        inactivity_timeout: limit("inactivity_timeout")?,
        maximum_lifetime: limit("maximum_lifetime")?,
        multi_session_enabled: fields.flag("multi_session_enabled")?,
        activity: activity.transpose()?,
        ended_sessions_kept_seconds: fields.seconds("ended_sessions_kept_seconds")?,
    })
}

fn refusal(error: LifetimeError) -> ApiError {
    let bound = |limit: Limit, bound: &str, seconds: u64| {
        let name = match limit {
            Limit::Inactivity => "inactivity_timeout.duration_seconds",
            Limit::Maximum => "maximum_lifetime.duration_seconds",
            Limit::Retention => "ended_sessions_kept_seconds",
        };
        ApiError::param(ErrorCode::FormParamValueInvalid, name)
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
