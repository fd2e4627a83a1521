//! Browsers, as application servers see them.

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{client::ClientWithSessions, policy::Policy, time::Timestamp};
use sojourn_service::{
    Failure,
    browser::Credential,
    sessions::backend::{self, BackendError},
};

use crate::{
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Not offered, as the contract allows: list sessions instead.
#[utoipa::path(get, path = "/v1/clients", extensions(("x-error-codes" = json!(["resource_gone"]))))]
pub async fn list_clients(_: ApplicationServer) -> ApiError {
    ApiError::new(ErrorCode::ResourceGone)
        .why("Clients cannot be listed. List sessions, each of which names its client.")
}

/// One browser with its open sessions.
#[utoipa::path(
    get, path = "/v1/clients/{client_id}",
    responses((status = 200, description = "The client", body = api::Client)),
)]
pub async fn get_client(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let at = app.moment();
    let (browser, policy) = backend::client(&app, at, id.parse().ok(), None).await?;
    Ok(object(at.now, &policy, &browser))
}

/// The browser behind the value of a client cookie.
#[utoipa::path(
    post, path = "/v1/clients/verify",
    request_body = api::VerifyToken,
    responses((status = 200, description = "The client", body = api::Client)),
    extensions(("x-error-codes" = json!(["form_param_missing", "invalid_client_token"]))),
)]
pub async fn verify_client(app: ApplicationServer, params: Params) -> ApiResult<Response> {
    let invalid = || {
        ApiError::new(ErrorCode::InvalidClientToken)
            .why("This is not the current value of a browser's client cookie.")
    };
    let token = params.required("token")?;
    let credential = Credential::parse(&token).ok_or_else(invalid)?;
    let at = app.moment();
    let found = backend::client(&app, at, Some(credential.client_id), Some(credential.hash())).await;
    let (browser, policy) = found.map_err(|failure| match failure {
        Failure::Refused(BackendError::NoClient, _) => invalid(),
        other => other.into(),
    })?;
    Ok(object(at.now, &policy, &browser))
}

fn object(now: Timestamp, policy: &Policy, browser: &ClientWithSessions) -> Response {
    let session = |session| wire::session::backend_session(now, policy, session);
    let sessions = browser.sessions.iter().map(session).collect();
    Json(wire::client::backend_client(browser, sessions)).into_response()
}
