//! Whether an account may sign in: bans and locks.

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_api as api;
use sojourn_core::session::EndReason;
use sojourn_service::users::UserPatch;

use super::change;
use crate::{app::App, auth::ApplicationServer, wire::ApiResult};

/// Bans: no sign-in, and all sessions end in the same commit.
#[utoipa::path(
    post,
    path = "/v1/users/{user_id}/ban",
    tag = "Users",
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn ban_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let patch = UserPatch { banned: Some(true), ..UserPatch::default() };
    change(&app, &id, Some(EndReason::UserBanned), &patch).await
}

/// Lifts a ban. Ended sessions stay ended.
#[utoipa::path(
    post,
    path = "/v1/users/{user_id}/unban",
    tag = "Users",
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn unban_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let patch = UserPatch { banned: Some(false), ..UserPatch::default() };
    change(&app, &id, None, &patch).await
}

/// Locks: no sign-in for an hour. Sessions go on.
#[utoipa::path(
    post,
    path = "/v1/users/{user_id}/lock",
    tag = "Users",
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn lock_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let patch = UserPatch { locked: Some(true), ..UserPatch::default() };
    change(&app, &id, None, &patch).await
}

/// Lifts a lock and forgets the wrong answers before it.
#[utoipa::path(
    post,
    path = "/v1/users/{user_id}/unlock",
    tag = "Users",
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn unlock_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let patch = UserPatch { locked: Some(false), ..UserPatch::default() };
    change(&app, &id, None, &patch).await
}
