//! Tokens of a session, asked for by the application's server. None of this
//! counts as activity (S3).

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_service::sessions::backend;

use super::sessions::find_session;
use crate::{
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Seconds that a token may be asked to live.
const LIFETIMES: std::ops::RangeInclusive<u64> = 30..=315_360_000;

/// A fresh token, for the usual time or for `expires_in_seconds`, and never
/// beyond the session's own end (D9).
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/tokens",
    request_body = api::CreateSessionToken,
    responses((status = 200, description = "A token", body = api::Token)),
    extensions(("x-error-codes" = json!(["authentication_invalid", "form_param_value_invalid"]))),
)]
pub async fn create_session_token(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let claims = backend::token(&app, id.parse().ok(), lifetime(&params)?).await?;
    Ok(Json(wire::session::token_object(&app.sign(&claims))).into_response())
}

fn lifetime(params: &Params) -> ApiResult<Option<u32>> {
    let Some(seconds) = params.number("expires_in_seconds")? else { return Ok(None) };
    let fits = Some(seconds).filter(|seconds| LIFETIMES.contains(seconds));
    fits.and_then(|seconds| u32::try_from(seconds).ok()).map(Some).ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamValueInvalid, "expires_in_seconds")
            .why("expires_in_seconds has to be from 30 to 315360000.")
    })
}

/// There are no templates beside the session token's own.
#[utoipa::path(post, path = "/v1/sessions/{session_id}/tokens/{template_name}")]
pub async fn create_template_token(
    app: ApplicationServer,
    Path((id, _template)): Path<(String, String)>,
) -> ApiResult<Response> {
    find_session(&app, app.moment(), &id).await?;
    Err(ApiError::new(ErrorCode::ResourceNotFound).why(
        "There is no such JWT template. Put claims of your own into the session token (/v1/instance/session_token).",
    ))
}

/// Whether a token is this session's, and the session is open.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/verify",
    request_body = api::VerifyToken,
    responses((status = 200, description = "The session", body = api::Session)),
    extensions(("x-error-codes" = json!(["form_param_missing", "invalid_session_token"]))),
)]
pub async fn verify_session(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let token = params.required("token")?;
    let at = app.moment();
    let (session, policy) = backend::verify_token(&app, at, id.parse().ok(), &token).await?;
    Ok(Json(wire::session::backend_session(at.now, &policy, &session)).into_response())
}

/// Tokens are refreshed by handshakes only. SDKs ask when they find a refresh
/// cookie, which this server never sets.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/refresh",
    extensions(("x-error-codes" = json!(["feature_not_enabled"]))),
)]
pub async fn refresh_session(_: ApplicationServer, Path(_id): Path<String>) -> ApiError {
    ApiError::new(ErrorCode::FeatureNotEnabled)
        .why("Sessions are not refreshed this way. Send the browser through a handshake.")
}
