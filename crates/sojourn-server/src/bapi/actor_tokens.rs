//! Tickets by which somebody of the application's staff acts as a user: the
//! session says who really acts, and lives under limits of its own (SES-21).

use axum::{extract::Path, http::HeaderMap, response::Response};
use sojourn_api as api;
use sojourn_core::{
    id::ActorTokenId,
    impersonation::{DEFAULT_MAXIMUM, Impersonation, ImpersonationError, LONGEST_MAXIMUM},
    time::seconds,
};
use sojourn_service::tickets::NewTicket;

use super::{creation::creation, tickets};
use crate::{
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// How long one is good unless something else is asked for: an hour.
const DEFAULT_SECONDS: u64 = 3600;
/// At most 30 days: it opens somebody else's account.
const MOST_SECONDS: u64 = 2_592_000;

const MAXIMUM: &str = "session_max_duration_in_seconds";

/// A ticket for somebody who acts as a user; `url` opens the portal with it.
/// `actor` needs a `sub`, and is the claim `act` of the session's tokens.
/// Compat: bapi-2026-05-12.yml /actor_tokens: an unknown user is 422 here.
#[utoipa::path(
    post, path = "/v1/actor_tokens",
    params(api::IdempotencyKey),
    request_body = api::CreateActorToken,
    responses((status = 200, description = "The actor token with its secret", body = api::ActorToken)),
    extensions(("x-error-codes" = json!([
        "form_param_exceeds_allowed_size", "form_param_missing", "form_param_unknown",
        "form_param_value_invalid", "form_resource_not_found", "idempotency_key_reused",
    ]))),
)]
pub async fn create_actor_token(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let missing = || {
        ApiError::param(ErrorCode::FormResourceNotFound, "user_id")
            .why("There is no such user. Check the id.")
    };
    let user_id = tickets::user_id(&params, missing)?;
    let impersonation = impersonation(&params)?;
    let good_for = tickets::seconds_of(&params, "expires_in_seconds", DEFAULT_SECONDS, 1..=MOST_SECONDS)?;
    let creation = creation(&headers, "POST /v1/actor_tokens", &params)?;
    let at = app.moment();
    let id = ActorTokenId::generate(at.now, &mut app.random()).into();
    let impersonation = Some(impersonation);
    let order = NewTicket { id, user_id, impersonation, good_for: seconds(good_for) };
    tickets::create(&app, at, order, creation.as_ref(), missing).await
}

fn impersonation(params: &Params) -> ApiResult<Impersonation> {
    let actor = params.object("actor")?.ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamMissing, "actor")
            .why("actor has to be given: an object whose sub is the id of the one who acts.")
    })?;
    let most = LONGEST_MAXIMUM.as_secs();
    let maximum = tickets::seconds_of(params, MAXIMUM, DEFAULT_MAXIMUM.as_secs(), 1..=most)?;
    Impersonation::new(actor, seconds(maximum)).map_err(|error| {
        let (code, name, next) = match error {
            ImpersonationError::Nobody => {
                (ErrorCode::FormParamMissing, "actor.sub", "Give the id of the one who acts")
            }
            ImpersonationError::SubInvalid => {
                (ErrorCode::FormParamFormatInvalid, "actor.sub", "Give the id of the one who acts")
            }
            ImpersonationError::ActorTooLarge(_) => (
                ErrorCode::FormParamExceedsAllowedSize,
                "actor",
                "It is in every token of the session, so keep it small",
            ),
            ImpersonationError::MaximumOutOfBounds => {
                (ErrorCode::FormParamValueInvalid, MAXIMUM, "Ask for another time")
            }
        };
        ApiError::param(code, name).why(format!("This cannot be used: {error}. {next}."))
    })
}

/// Takes a ticket back that was not used. The session of one that was used is
/// revoked as any other.
#[utoipa::path(
    post, path = "/v1/actor_tokens/{actor_token_id}/revoke",
    responses((status = 200, description = "The revoked actor token", body = api::ActorToken)),
    extensions(("x-error-codes" = json!(["actor_token_cannot_be_revoked_code"]))),
)]
pub async fn revoke_actor_token(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let used = ErrorCode::ActorTokenCannotBeRevoked;
    tickets::revoke::<ActorTokenId>(&app, &id, "actor token", used).await
}
