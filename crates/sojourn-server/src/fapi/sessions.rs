//! One session of the calling browser: read, touch, end, remove, tokens.

use axum::{
    extract::{Path, State},
    response::Response,
};
use serde_json::Value;
use sojourn_core::{
    activity::ActivitySource,
    client::{SignOutScope, close_overdue, refresh, sign_out, switch},
    id::SessionId,
    session::Ending,
};
use sojourn_service::tokens::issue_token;

use super::answer::{View, refuse_caller, refuse_gone, refuse_session};
use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{ApiResult, Params, session::token_object},
};

/// One session of this browser. Reading is no activity.
#[utoipa::path(get, path = "/v1/client/sessions/{session_id}", tag = "Sessions", responses((status = 200, description = "The session"), (status = 401, description = "It is over or not this browser's")))]
pub async fn get_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let id = named(&app, &parts, &id).await?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let Some(step) = caller.close_overdue() else { return refuse_caller(&app, &caller).await };
        let Some(session) = step.browser.sessions.iter().find(|session| session.id == id) else {
            return refuse_session(&app, &caller, id).await;
        };
        caller.commit_step(&app, &step).await?;
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.read(&view.session(session)))
    })
    .await
}

/// Counts as activity and makes the session the active one (S3, S8). What the
/// browser means by it (`focus`, `select_session`) makes no difference: the
/// tab in front is the one whose session counts.
#[utoipa::path(post, path = "/v1/client/sessions/{session_id}/touch", tag = "Sessions", responses((status = 200, description = "The session and the client"), (status = 401, description = "It is over or not this browser's")))]
pub async fn touch_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let id = named(&app, &parts, &id).await?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let Ok(browser) = caller.browser() else { return refuse_session(&app, &caller, id).await };
        match switch(caller.visit.at, &caller.visit.policy, browser, id) {
            Err(_) => refuse_session(&app, &caller, id).await,
            Ok(mut step) => {
                caller.note_visit(&mut step);
                app.commit(app.changes(caller.visit.at).browser(&step)).await?;
                app.note_activity(&step, caller.visit.at);
                let view = View::new(&app, &caller, &step.browser);
                let session = step.subject.as_ref().map_or(Value::Null, |session| view.session(session));
                Ok(view.changed(&session))
            }
        }
    })
    .await
}

/// Signs out of one session, which stays known as ended.
#[utoipa::path(post, path = "/v1/client/sessions/{session_id}/end", tag = "Sessions", responses((status = 200, description = "The ended session and the client")))]
pub async fn end_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    sign_out_of_one(app, parts, &id, Ending::ENDED).await
}

/// Signs out of one session, which leaves the client (S9: `signOut({sessionId})`).
#[utoipa::path(post, path = "/v1/client/sessions/{session_id}/remove", tag = "Sessions", responses((status = 200, description = "The removed session and the client")))]
pub async fn remove_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    sign_out_of_one(app, parts, &id, Ending::SIGNED_OUT).await
}

async fn sign_out_of_one(
    app: App,
    parts: BrowserCredentials,
    id: &str,
    ending: Ending,
) -> ApiResult<Response> {
    let id = named(&app, &parts, id).await?;
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(&app).await?;
        let Ok(browser) = caller.browser().cloned() else { return refuse_session(&app, &caller, id).await };
        let without_overdue = close_overdue(caller.visit.at, &caller.visit.policy, &browser);
        if !without_overdue.browser.sessions.iter().any(|session| session.id == id) {
            return refuse_session(&app, &caller, id).await;
        }
        let secret = caller.rotate(&app, browser.client.id);
        let step = sign_out(
            caller.visit.at,
            &caller.visit.policy,
            &browser,
            SignOutScope::One(id),
            ending,
            Some(secret),
        );
        app.commit(app.changes(caller.visit.at).browser(&step)).await?;
        let view = View::new(&app, &caller, &step.browser);
        let session = step.subject.as_ref().map_or(Value::Null, |session| view.session(session));
        Ok(view.changed(&session))
    })
    .await
}

/// A fresh session token, bare. Counts as activity (S3). A session that is
/// over is 401 with the client as it is: browsers retry a 404 for ever.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/Session.ts
#[utoipa::path(post, path = "/v1/client/sessions/{session_id}/tokens", tag = "Sessions", responses((status = 200, description = "A token"), (status = 401, description = "The session is over or not this browser's")))]
pub async fn create_session_token(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let id = named(&app, &parts, &id).await?;
    let hidden = params.text("tab_state")?.as_deref() == Some("hidden");
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let Some(record) = caller.record() else { return refuse_caller(&app, &caller).await };
        let visit = &caller.visit;
        let mut step =
            match refresh(visit.at, &visit.policy, &record.browser, id, ActivitySource::Token { hidden }) {
                Err(_) => return refuse_session(&app, &caller, id).await,
                Ok(step) => step,
            };
        caller.note_visit(&mut step);
        app.commit(app.changes(visit.at).browser(&step)).await?;
        let session = step.subject.as_ref().filter(|session| session.id == id);
        let token =
            session.and_then(|session| issue_token(&app, visit, session, caller.user_of(session)).ok());
        let Some(token) = token else { return refuse_gone(&app, &caller, &step).await };
        app.note_activity(&step, visit.at);
        Ok(View::new(&app, &caller, &step.browser).answer(&token_object(&token)))
    })
    .await
}

/// The session that the path names; a mangled id is a session that is gone.
///
/// # Errors
/// 401 with the client as it is, never 404: browsers retry a 404 for ever.
async fn named(app: &App, parts: &BrowserCredentials, text: &str) -> ApiResult<SessionId> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => {
            let refused = app.retry_on_conflict(|| async {
                let caller = parts.load(app).await?;
                refuse_caller(app, &caller).await
            });
            refused.await
        }
    }
}
