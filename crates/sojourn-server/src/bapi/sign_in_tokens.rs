//! Tickets by which the application's server lets one user in, once.

use axum::{extract::Path, http::HeaderMap, response::Response};
use sojourn_api as api;
use sojourn_core::{id::SignInTokenId, time::seconds};
use sojourn_service::tickets::NewTicket;

use super::{creation::creation, tickets};
use crate::{
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// How long one is good unless something else is asked for: 30 days.
const DEFAULT_SECONDS: u64 = 2_592_000;
/// At most ten years.
const MOST_SECONDS: u64 = 315_360_000;

/// A ticket for a user; `url` opens the portal with it.
#[utoipa::path(
    post, path = "/v1/sign_in_tokens",
    params(api::IdempotencyKey),
    request_body = api::CreateSignInToken,
    responses((status = 200, description = "The sign-in token with its secret", body = api::SignInToken)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_unknown", "form_param_value_invalid", "idempotency_key_reused",
        "resource_not_found",
    ]))),
)]
pub async fn create_sign_in_token(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    params.refuse_not_offered(&["org_id"])?;
    let missing = || ApiError::not_found("user");
    let user_id = tickets::user_id(&params, missing)?;
    let good_for = tickets::seconds_of(&params, "expires_in_seconds", DEFAULT_SECONDS, 1..=MOST_SECONDS)?;
    let creation = creation(&headers, "POST /v1/sign_in_tokens", &params)?;
    let at = app.moment();
    let id = SignInTokenId::generate(at.now, &mut app.random()).into();
    let order = NewTicket { id, user_id, impersonation: None, good_for: seconds(good_for) };
    tickets::create(&app, at, order, creation.as_ref(), missing).await
}

/// Takes a ticket back that was not used.
#[utoipa::path(
    post, path = "/v1/sign_in_tokens/{sign_in_token_id}/revoke",
    responses((status = 200, description = "The revoked sign-in token", body = api::SignInToken)),
    extensions(("x-error-codes" = json!(["sign_in_token_cannot_be_revoked_code"]))),
)]
pub async fn revoke_sign_in_token(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let used = ErrorCode::SignInTokenCannotBeRevoked;
    tickets::revoke::<SignInTokenId>(&app, &id, "sign-in token", used).await
}
