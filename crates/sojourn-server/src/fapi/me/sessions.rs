//! The sessions of the account in all browsers: see them, end them elsewhere.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sojourn_core::{
    client::ClientWithSessions,
    id::{SessionId, UserId},
    session::{EndReason, EndedBy, Ending, Session, decide},
};
use sojourn_service::sessions::revoke;
use sojourn_store::{Engine as _, SessionFilter, StoredStatus};

use super::{me, owner};
use crate::{
    app::App,
    auth::BrowserCredentials,
    fapi::answer::View,
    wire::{self, ApiError, ApiResult},
};

/// All open sessions of the account, whole but without tokens: those are for
/// the browser that holds the session.
#[utoipa::path(get, path = "/v1/me/sessions", tag = "Me", responses((status = 200, description = "Sessions with their user"), (status = 401, description = "Not signed in")))]
pub async fn list_sessions(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (_, _, user) = me(&app, &caller, query.as_deref()).await?;
        let (now, policy) = (caller.visit.now(), &caller.visit.policy);
        let sessions: Vec<Value> = open_sessions(&app, user.id)
            .await?
            .iter()
            .filter(|session| decide(now, policy, session).is_open())
            .map(|session| wire::session::frontend_session(now, policy, session, Some(&user), None))
            .collect();
        Ok(Json(sessions).into_response())
    })
    .await
}

/// All open sessions of the account, in all browsers: a bare array, in which
/// the device list finds its own. Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/User.ts getSessions
#[utoipa::path(get, path = "/v1/me/sessions/active", tag = "Me", responses((status = 200, description = "Sessions with their devices"), (status = 401, description = "Not signed in")))]
pub async fn list_active_sessions(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (_, _, user) = me(&app, &caller, query.as_deref()).await?;
        let (now, policy) = (caller.visit.now(), &caller.visit.policy);
        let sessions: Vec<Value> = open_sessions(&app, user.id)
            .await?
            .iter()
            .filter(|session| decide(now, policy, session).is_open())
            .map(|session| wire::session::backend_session(now, policy, session))
            .collect();
        Ok(Json(sessions).into_response())
    })
    .await
}

async fn open_sessions(app: &App, user_id: UserId) -> ApiResult<Vec<Session>> {
    let filter = SessionFilter {
        user_id: Some(user_id),
        stored: Some(StoredStatus::Open),
        limit: 100,
        ..SessionFilter::default()
    };
    Ok(app.store().sessions(app.instance_id(), filter).await?.0)
}

/// Ends a session of the account on another device.
#[utoipa::path(post, path = "/v1/me/sessions/{session_id}/revoke", tag = "Me", responses((status = 200, description = "The revoked session and the client"), (status = 403, description = "Somebody acts as the account"), (status = 404, description = "Not a session of this account")))]
pub async fn revoke_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let missing = || ApiError::not_found("session of this account");
    let id: SessionId = id.parse().map_err(|_| missing())?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (_, _, user) = owner(&app, &caller, query.as_deref()).await?;
        let theirs = app.store().session(app.instance_id(), id).await?;
        theirs.filter(|session| session.user_id == user.id).ok_or_else(missing)?;
        let session = revoke::of_session(&app, id, Ending::revoked(EndReason::RevokedByUser, EndedBy::User))
            .await?
            .ok_or_else(missing)?;
        let caller = parts.load(&app).await?;
        let browser: &ClientWithSessions = caller.browser()?;
        let step = sojourn_core::client::close_overdue(caller.visit.at, &caller.visit.policy, browser);
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&view.session(&session)))
    })
    .await
}
