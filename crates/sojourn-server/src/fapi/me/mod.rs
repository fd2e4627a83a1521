//! The signed-in account: read it, change it, see and end its other sessions.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sojourn_core::{
    client::{Browser, ClientStep},
    id::{SessionId, UserId},
    session::{EndReason, Session, decide},
    user::User,
};
use sojourn_store::{Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    answer::{View, refuse_caller, refuse_gone},
    sign_ins,
};
use crate::{
    app::{App, Unsettled},
    auth::{Caller, CallerParts},
    passwords, revocation,
    wire::{
        self, ApiError, ApiResult, ErrorCode, Params,
        user::{Audience, user as user_object},
    },
};

/// Whose `me` it is: the session named by `_clerk_session_id`, which has to be
/// this browser's, else the active one.
async fn me(
    app: &App,
    caller: &Caller,
    query: Option<&str>,
) -> Result<(ClientStep, Session, User), Unsettled> {
    let Ok(browser) = caller.browser() else { return refuse_caller(app, caller).await };
    let step = sojourn_core::client::settle(caller.visit.now, &caller.visit.policy, browser);
    let named = Params::from_form(query.unwrap_or(""))?.text("_clerk_session_id")?;
    let session = match named {
        Some(id) => step.browser.sessions.iter().find(|session| session.id.to_string() == id),
        None => step.browser.active_session(),
    };
    let found = session.and_then(|session| Some((session.clone(), caller.user_of(session)?.clone())));
    match found {
        Some((session, user)) => Ok((step, session, user)),
        None => refuse_gone(app, caller, &step).await,
    }
}

/// The account.
#[utoipa::path(get, path = "/v1/me", tag = "Me", responses((status = 200, description = "The user"), (status = 401, description = "Not signed in")))]
pub async fn get_me(
    State(app): State<App>,
    parts: CallerParts,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.settle(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, user) = me(&app, &caller, query.as_deref()).await?;
        caller.commit_settled(&app, &step).await?;
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.read(&user_object(&user, caller.visit.now, Audience::Browser)))
    })
    .await
}

/// Changes names and unsafe metadata. Nothing else of an account is the
/// browser's to write (AUZ-05).
#[utoipa::path(patch, path = "/v1/me", tag = "Me", responses((status = 200, description = "The user and the client"), (status = 401, description = "Not signed in")))]
pub async fn update_me(
    State(app): State<App>,
    parts: CallerParts,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.settle(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = me(&app, &caller, query.as_deref()).await?;
        if params.has("first_name") {
            user.first_name = params.text("first_name")?;
        }
        if params.has("last_name") {
            user.last_name = params.text("last_name")?;
        }
        if let Some(metadata) = params.object("unsafe_metadata")? {
            user.unsafe_metadata = metadata;
        }
        user.changed(caller.visit.now);
        store_user(&app, &caller, &step, &user).await?;
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&user_object(&user, caller.visit.now, Audience::Browser)))
    })
    .await
}

async fn store_user(app: &App, caller: &Caller, step: &ClientStep, user: &User) -> Result<(), Unsettled> {
    let changes = app
        .changes(caller.visit.now)
        .browser(step)
        .write(Write::User(user.clone()))
        .event(sojourn_core::event::Event::UserUpdated(user.id));
    Ok(app.commit(changes).await?)
}

/// Sets a new password; who knows the old one may, within the lockout.
#[utoipa::path(post, path = "/v1/me/change_password", tag = "Me", responses((status = 200, description = "The user and the client"), (status = 422, description = "A password is not accepted")))]
pub async fn change_password(
    State(app): State<App>,
    parts: CallerParts,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.limits().attempt(&parts.visit.device.ip_address, "change_password")?;
    let caller = parts.load(&app).await?;
    let (_, session, user) = me(&app, &caller, query.as_deref()).await?;
    let new = passwords::chosen(&params, "new_password")?;
    if user.password_hash.is_some() {
        let current = params.required("current_password")?;
        sign_ins::prove_password(&app, &parts, &user, &current).await.map_err(|error| {
            match error.code() {
                ErrorCode::FormPasswordIncorrect => {
                    ApiError::param(ErrorCode::FormPasswordIncorrect, "current_password")
                }
                _ => error,
            }
        })?;
    }
    let hash = app.passwords().hash(new).await?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    app.settle(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = me(&app, &caller, query.as_deref()).await?;
        let now = caller.visit.now;
        user.set_password(hash.clone(), now);
        user.lockout = sojourn_core::factor::Lockout::default();
        let changes = app
            .changes(now)
            .write(Write::User(user.clone()))
            .event(sojourn_core::event::Event::UserUpdated(user.id));
        let changes = if ends_others {
            revocation::of_user(&app, changes, user.id, Some(session.id), EndReason::PasswordChanged).await?
        } else {
            changes
        };
        app.commit(changes).await?;
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&user_object(&user, now, Audience::Browser)))
    })
    .await
}

/// All open sessions of the account, in all browsers: a bare array, in which
/// the device list finds its own. Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/User.ts getSessions
#[utoipa::path(get, path = "/v1/me/sessions/active", tag = "Me", responses((status = 200, description = "Sessions with their devices"), (status = 401, description = "Not signed in")))]
pub async fn list_active_sessions(
    State(app): State<App>,
    parts: CallerParts,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.settle(|| async {
        let caller = parts.load(&app).await?;
        let (_, _, user) = me(&app, &caller, query.as_deref()).await?;
        let (now, policy) = (caller.visit.now, &caller.visit.policy);
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
#[utoipa::path(post, path = "/v1/me/sessions/{session_id}/revoke", tag = "Me", responses((status = 200, description = "The revoked session and the client"), (status = 404, description = "Not a session of this account")))]
pub async fn revoke_session(
    State(app): State<App>,
    parts: CallerParts,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let missing = || ApiError::not_found("session of this account");
    let id: SessionId = id.parse().map_err(|_| missing())?;
    app.settle(|| async {
        let caller = parts.load(&app).await?;
        let (_, _, user) = me(&app, &caller, query.as_deref()).await?;
        let theirs = app.store().session(app.instance_id(), id).await?;
        theirs.filter(|session| session.user_id == user.id).ok_or_else(missing)?;
        let session =
            revocation::of_session(&app, id, EndReason::RevokedByUser).await?.ok_or_else(missing)?;
        let caller = parts.load(&app).await?;
        let browser: &Browser = caller.browser()?;
        let step = sojourn_core::client::settle(caller.visit.now, &caller.visit.policy, browser);
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&view.session(&session)))
    })
    .await
}
