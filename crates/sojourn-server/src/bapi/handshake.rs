//! The second half of a handshake: the application redeems the nonce that the
//! browser brought back.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;
use sojourn_core::{
    client::close_overdue,
    handshake::{Handshake, directives},
    time::Moment,
};
use sojourn_service::{
    keys::sha256,
    tokens::{TokenContext, issue_token},
};
use sojourn_store::Engine as _;
use url::Url;

use crate::{
    app::{App, AttemptError},
    auth::{ApplicationServer, host},
    wire::{ApiError, ApiResult, Params},
};

/// The cookies to set for the browser that brought `nonce`. The token is minted
/// now, if the session is still open: an end in between is an end (D5).
/// Frameworks ask twice for one page, so a nonce may be read again while it lasts.
/// Compat: clerk/javascript packages/backend/src/tokens/handshake.ts
#[utoipa::path(get, path = "/v1/clients/handshake_payload", tag = "Clients", responses((status = 200, description = "Set-Cookie lines"), (status = 404, description = "Unknown or too late")))]
pub async fn get_handshake_payload(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let nonce = params.required("nonce")?;
    let at = app.moment();
    let handshake = app.store().handshake(app.instance_id(), sha256(nonce.as_bytes())).await?;
    let handshake = handshake
        .filter(|handshake| at.now < handshake.expires_at)
        .ok_or_else(|| ApiError::not_found("handshake nonce"))?;
    let (token, client_uat) = app.retry_on_conflict(|| redeem(&app, at, &handshake)).await?;
    let secure = handshake.origin.starts_with("https://");
    let domain = shared_domain(&app, &handshake.origin);
    let cookies = directives(app.cookie_names(), token.as_deref(), client_uat, secure, domain);
    let lines: Vec<String> = cookies.iter().map(ToString::to_string).collect();
    Ok(Json(json!({"directives": lines})).into_response())
}

/// A fresh token for the session that the handshake names, and the browser's `__client_uat`.
async fn redeem(app: &App, at: Moment, handshake: &Handshake) -> Result<(Option<String>, i64), AttemptError> {
    let Some(client_id) = handshake.client_id else { return Ok((None, 0)) };
    let Some(record) = app.store().browser(app.instance_id(), client_id).await? else { return Ok((None, 0)) };
    let step = close_overdue(at, &record.policy, &record.browser);
    app.commit(app.changes(at).browser(&step)).await?;
    let session = step.browser.sessions.iter().find(|session| Some(session.id) == handshake.session_id);
    let occasion = TokenContext {
        at,
        origin: Some(&handshake.origin),
        policy: &record.policy,
        settings: &record.settings.token,
        lifetime_seconds: None,
    };
    let token =
        session.and_then(|session| issue_token(app, occasion, session, record.user(session.user_id)).ok());
    Ok((token, step.browser.client_uat()))
}

fn shared_domain<'a>(app: &'a App, origin: &str) -> Option<&'a str> {
    host::shared_domain(app, Url::parse(origin).ok()?.host_str()?)
}
