//! Sessions of the whole instance: list, read, revoke; create in development.

use axum::{
    Json,
    extract::Path,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{
    id::{ClientId, UserId},
    policy::Policy,
    session::{ClosedStatus, EndReason, EndedBy, Ending, Session},
    time::{Moment, Timestamp},
};
use sojourn_service::{
    Failure,
    idempotency::create_once,
    sessions::{
        backend::{self, BackendError},
        list::{StatusFilter, list},
        record_ends::find,
        revoke,
    },
};
use sojourn_store::{Engine as _, SessionFilter};

use super::{creation::creation, page::Page};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

fn object(now: Timestamp, policy: &Policy, session: &Session) -> Response {
    Json(wire::session::backend_session(now, policy, session)).into_response()
}

/// Sessions, newest first: of a user, of a browser, or all of the instance.
/// Those that turn out to be over are recorded as such before they are told,
/// so that statuses, filters and counts agree. With `include_end=true` each has
/// the record of its `end`, null while it is open.
#[utoipa::path(
    get, path = "/v1/sessions",
    params(api::ListSessionsQuery),
    responses((status = 200, description = "Sessions, newest first", body = api::SessionList)),
    extensions(("x-error-codes" = json!(["form_param_value_invalid"]))),
)]
pub async fn list_sessions(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let page = Page::of(&params)?;
    let paginated = params.flag("paginated")?.unwrap_or(false) && !wants_bare_lists(&headers);
    let with_ends = params.flag("include_end")?.unwrap_or(false);
    let (client_id, user_id) = (params.text("client_id")?, params.text("user_id")?);
    let filter = Filter {
        client_id: client_id.as_deref().map(str::parse).transpose().ok(),
        user_id: user_id.as_deref().map(str::parse).transpose().ok(),
        status: params.text("status")?.as_deref().map(status).transpose()?,
    };
    let at = app.moment();
    let now = at.now;
    let (_, policy) = app.store().settings(app.instance_id()).await?;
    let (sessions, total) = match filter {
        Filter { client_id: Some(client_id), user_id: Some(user_id), status } => {
            let filter = SessionFilter {
                client_id,
                user_id,
                limit: page.limit,
                offset: page.offset,
                ..SessionFilter::default()
            };
            list(&app, at, &policy, filter, status).await?
        }
        // An id that cannot be one names no sessions.
        _ => (Vec::new(), 0),
    };
    let objects: Vec<_> =
        sessions.iter().map(|session| wire::session::backend_session(now, &policy, session)).collect();
    let list = match (with_ends, paginated) {
        (false, true) => api::SessionList::Page(api::Page { data: objects, total_count: total }),
        (false, false) => api::SessionList::Sessions(objects),
        (true, _) => {
            let end = |session: &Session| Some(wire::session_end::record(session, &session.closed?));
            let with_end = |(session, object)| api::SessionWithEnd { session: object, end: end(session) };
            let data = sessions.iter().zip(objects).map(with_end).collect();
            match paginated {
                true => api::SessionList::PageWithEnds(api::Page { data, total_count: total }),
                false => api::SessionList::WithEnds(data),
            }
        }
    };
    Ok(Json(list).into_response())
}

/// One parameter, two answers: JavaScript and Go read `{data, total_count}` when
/// they say `paginated=true`, Python and Java a bare array whatever they say. Both
/// SDKs come from one generator, which puts the package's name last.
/// Compat: clerk-backend-api (PyPI) clerk_backend_api/sessions.py, _version.py;
/// clerk/clerk-sdk-java src/main/java/com/clerk/backend_api/SDKConfiguration.java
fn wants_bare_lists(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let package = agent.rsplit(' ').next().unwrap_or_default();
    agent.starts_with("speakeasy-sdk/") && ["clerk-backend-api", "com.clerk.backend_api"].contains(&package)
}

/// What is asked for; an outer `None` is an id that is none.
struct Filter {
    client_id: Option<Option<ClientId>>,
    user_id: Option<Option<UserId>>,
    status: Option<StatusFilter>,
}

fn status(word: &str) -> ApiResult<StatusFilter> {
    match (word, ClosedStatus::from_word(word)) {
        ("active", _) => Ok(StatusFilter::Active),
        ("pending", _) => Ok(StatusFilter::Pending),
        (_, Some(status)) => Ok(StatusFilter::Closed(status)),
        (_, None) => Err(ApiError::param(ErrorCode::FormParamValueInvalid, "status").why(
            "status has to be active, pending, ended, removed, replaced, revoked, expired or abandoned.",
        )),
    }
}

/// A session as it is now, and the policy by which.
///
/// # Errors
/// 404 when there is none.
pub(super) async fn find_session(app: &App, at: Moment, id: &str) -> ApiResult<(Session, Policy)> {
    let no_session = || ApiError::from(BackendError::NoSession);
    let id = id.parse().map_err(|_| no_session())?;
    find(app, at, id).await?.ok_or_else(no_session)
}

/// One session, open or over.
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}",
    responses((status = 200, description = "The session", body = api::Session)),
)]
pub async fn get_session(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let at = app.moment();
    let now = at.now;
    let (session, policy) = find_session(&app, at, &id).await?;
    Ok(object(now, &policy, &session))
}

/// How, why and by whom a session ended. An end that nobody noticed before is
/// recorded first.
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}/end",
    responses((status = 200, description = "The record of its end", body = api::SessionEnd)),
)]
pub async fn get_session_end(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let (session, _) = find_session(&app, app.moment(), &id).await?;
    let closing = session.closed.ok_or_else(|| {
        ApiError::not_found("end").why("The session is open. Ask again when it is over, or revoke it.")
    })?;
    Ok(Json(wire::session_end::record(&session, &closing)).into_response())
}

/// Ends a session. One that is over stays as it ended.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/revoke",
    responses((status = 200, description = "The session as it ended", body = api::Session)),
)]
pub async fn revoke_session(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let ending = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
    let session = revoke::one(&app, Some(app.context()), id.parse().ok(), ending).await?;
    let (_, policy) = app.store().settings(app.instance_id()).await?;
    Ok(object(app.moment().now, &policy, &session))
}

/// Signs a user in on a browser that nobody holds: for tests, in development.
#[utoipa::path(
    post, path = "/v1/sessions",
    params(api::IdempotencyKey),
    request_body = api::CreateSession,
    responses((status = 200, description = "The session", body = api::Session)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_unknown", "idempotency_key_reused",
        "request_invalid_for_environment", "resource_not_found", "user_banned",
    ]))),
)]
pub async fn create_session(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    if !app.is_development() {
        return Err(ApiError::new(ErrorCode::RequestInvalidForEnvironment).why(
            "Sessions are created by signing in. Only a development instance makes them by request; in production, make a sign-in token.",
        ));
    }
    params.refuse_not_offered(&["active_organization_id"])?;
    let user_id = params.required("user_id")?.parse().ok();
    let creation = creation(&headers, "POST /v1/sessions", &params)?;
    let at = app.moment();
    let made = create_once(&app, creation.as_ref(), |_| async {
        let (changes, session, policy) = backend::new_session(&app, app.context(), at, user_id).await?;
        Ok::<_, Failure<BackendError>>((changes, wire::session::backend_session(at.now, &policy, &session)))
    });
    Ok(Json(made.await?.answer).into_response())
}
