//! Ending many sessions at once: all of a user, or all there are (SES-17).

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::json;
use sojourn_core::session::{EndReason, EndedBy, Ending};
use sojourn_service::{sessions::revoke, settings::ChangeRequest};

use super::settings_request::SettingsRequest;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Ends all sessions of a user (`{"user_id": "user_…"}`), or of everybody
/// (`{"all": true}`). All who were signed in before the answer are signed out with
/// it, however many they are; tokens already out live on for at most their lifetime.
/// Everybody is signed out by a version of the settings that changes none of them,
/// so the history says who did it, and `If-Match` is heeded. `?dry_run=true` only
/// counts.
#[utoipa::path(post, path = "/v1/sessions/revoke", tag = "Sessions", responses((status = 200, description = "What was ended, or in a dry run would be"), (status = 404, description = "Unknown user"), (status = 409, description = "Another version of the settings is in force"), (status = 422, description = "Neither a user nor all")))]
pub async fn revoke_sessions(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = SettingsRequest::of(&headers, query.as_deref())?.change;
    params.only(&["all", "user_id", "dry_run"])?;
    match (params.flag("all")?.unwrap_or(false), params.text("user_id")?) {
        (true, None) => of_everybody(&app, request).await,
        (false, Some(user_id)) => of_user(&app, &request, &user_id).await,
        _ => Err(ApiError::param(ErrorCode::FormParamMissing, "user_id")
            .why("Say whose sessions to end: either user_id, or all with the value true.")),
    }
}

async fn of_everybody(app: &App, request: ChangeRequest) -> ApiResult<Response> {
    let request = ChangeRequest { ends_all_sessions: true, ..request };
    let changed = app.change_settings(&request, |settings| Ok(settings.clone())).await?;
    let version = if request.dry_run { &changed.before } else { &changed.after };
    let mut answer = json!({
        "object": "session_revocation",
        "user_id": null,
        "dry_run": request.dry_run,
        "version": version.version,
    });
    if request.dry_run {
        answer["would_end"] = app.would_end(&changed).await?.now.into();
    } else {
        answer["revoked_at"] = changed.after.in_force_from.as_millis().into();
    }
    Ok(Json(answer).into_response())
}

async fn of_user(app: &App, request: &ChangeRequest, user_id: &str) -> ApiResult<Response> {
    let ending = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
    let (at, ended) = revoke::all_of_user(app, user_id.parse().ok(), ending, request.dry_run).await?;
    let mut answer = json!({"object": "session_revocation", "user_id": user_id, "dry_run": request.dry_run});
    if request.dry_run {
        answer["would_end"] = ended.into();
    } else {
        answer["revoked"] = ended.into();
        answer["revoked_at"] = at.now.as_millis().into();
    }
    Ok(Json(answer).into_response())
}
