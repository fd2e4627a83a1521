//! Ending many sessions at once: all of a user, or all there are (SES-17).

use axum::{
    Json,
    extract::RawQuery,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::session::{EndReason, EndedBy, Ending};
use sojourn_service::{sessions::revoke, settings::ChangeRequest};

use super::settings_request::SettingsRequest;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Ends all sessions of a user (`{"user_id": "user_…"}`), or of everybody
/// (`{"all": true}`). All who were signed in before the answer are signed out with
/// it, however many they are; tokens already out live on for at most their lifetime.
/// Everybody is signed out by a version of the settings that changes none of them,
/// so the history says who did it, and `If-Match` is heeded. `?dry_run=true` only
/// counts.
#[utoipa::path(
    post, path = "/v1/sessions/revoke",
    params(api::DryRunQuery),
    request_body = api::RevokeSessions,
    responses((status = 200, body = api::SessionRevocation)),
    extensions(("x-error-codes" = json!(["form_param_missing", "form_param_unknown", "resource_not_found"]))),
)]
pub async fn revoke_sessions(
    app: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = SettingsRequest::of(app.context(), &headers, query.as_deref())?.change;
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
    let would_end = match request.dry_run {
        true => Some(app.would_end(&changed).await?.now),
        false => None,
    };
    let answer = api::SessionRevocation {
        object: api::Kind::default(),
        user_id: None,
        dry_run: request.dry_run,
        version: Some(version.version),
        revoked: None,
        revoked_at: (!request.dry_run).then(|| wire::millis(changed.after.in_force_from)),
        would_end,
    };
    Ok(Json(answer).into_response())
}

async fn of_user(app: &ApplicationServer, request: &ChangeRequest, user_id: &str) -> ApiResult<Response> {
    let ending = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
    let (at, ended) =
        revoke::all_of_user(app, app.context(), user_id.parse().ok(), ending, request.dry_run).await?;
    let ended = ended as u64;
    let answer = api::SessionRevocation {
        object: api::Kind::default(),
        user_id: Some(user_id.to_owned()),
        dry_run: request.dry_run,
        version: None,
        revoked: (!request.dry_run).then_some(ended),
        revoked_at: (!request.dry_run).then(|| wire::millis(at.now)),
        would_end: request.dry_run.then_some(ended),
    };
    Ok(Json(answer).into_response())
}
