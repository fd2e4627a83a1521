//! Browsers, as application servers see them.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use sojourn_core::{
    client::{Identity, SecretHash, close_overdue},
    id::ClientId,
};
use sojourn_service::browser::Credential;
use sojourn_store::Engine as _;

use crate::{
    app::{App, AttemptError},
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Not offered, as the contract allows: list sessions instead.
#[utoipa::path(get, path = "/v1/clients", tag = "Clients", responses((status = 410, description = "Not offered")))]
pub async fn list_clients(State(_): State<App>, _: ApplicationServer) -> ApiError {
    ApiError::new(ErrorCode::ResourceGone)
        .why("Clients cannot be listed. List sessions, each of which names its client.")
}

/// One browser with its open sessions.
#[utoipa::path(get, path = "/v1/clients/{client_id}", tag = "Clients", responses((status = 200, description = "The client"), (status = 404, description = "Unknown")))]
pub async fn get_client(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let missing = || ApiError::not_found("client");
    let id: ClientId = id.parse().map_err(|_| missing())?;
    answer(&app, id, None, missing).await
}

/// The browser behind the value of a client cookie.
#[utoipa::path(post, path = "/v1/clients/verify", tag = "Clients", responses((status = 200, description = "The client"), (status = 400, description = "Not a browser's current token")))]
pub async fn verify_client(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let invalid = || {
        ApiError::new(ErrorCode::InvalidClientToken)
            .why("This is not the current value of a browser's client cookie.")
    };
    let token = params.required("token")?;
    let credential = Credential::parse(&token).ok_or_else(invalid)?;
    answer(&app, credential.client_id, Some(credential.hash()), invalid).await
}

/// The browser, if it is known and presents `secret` where one is wanted.
async fn answer(
    app: &App,
    id: ClientId,
    secret: Option<SecretHash>,
    refusal: impl Fn() -> ApiError,
) -> ApiResult<Response> {
    let at = app.moment();
    let now = at.now;
    app.retry_on_conflict(|| async {
        let record = app.store().browser(app.instance_id(), id).await?.ok_or_else(&refusal)?;
        let is_current = |secret: &SecretHash| {
            matches!(record.browser.client.identify(now, secret), Identity::Current { .. })
        };
        if !secret.as_ref().is_none_or(is_current) {
            return Err(AttemptError::Refused(refusal()));
        }
        let step = close_overdue(at, &record.policy, &record.browser);
        app.commit(app.changes(at).browser(&step)).await?;
        let sessions = step
            .browser
            .sessions
            .iter()
            .map(|session| wire::session::backend_session(now, &record.policy, session))
            .collect();
        Ok(Json(wire::client::backend_client(&step.browser, sessions)).into_response())
    })
    .await
}
