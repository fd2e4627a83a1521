//! Whether an account may sign in: bans and locks.

use axum::{Json, extract::Path};
use sojourn_api as api;
use sojourn_core::session::EndReason;
use sojourn_service::users::UserPatch;

use super::change;
use crate::{auth::ApplicationServer, wire::ApiResult};

/// Bans: no sign-in, and all sessions end in the same commit.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/ban",
    responses((status = 200, description = "The user", body = api::User)),
)]
pub async fn ban_user(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Json<api::User>> {
    let patch = UserPatch { banned: Some(true), ..UserPatch::default() };
    change(&app, &id, Some(EndReason::UserBanned), &patch).await
}

/// Lifts a ban. Ended sessions stay ended.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/unban",
    responses((status = 200, description = "The user", body = api::User)),
)]
pub async fn unban_user(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Json<api::User>> {
    let patch = UserPatch { banned: Some(false), ..UserPatch::default() };
    change(&app, &id, None, &patch).await
}

/// Locks: no sign-in for an hour. Sessions go on.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/lock",
    responses((status = 200, description = "The user", body = api::User)),
)]
pub async fn lock_user(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Json<api::User>> {
    let patch = UserPatch { locked: Some(true), ..UserPatch::default() };
    change(&app, &id, None, &patch).await
}

/// Lifts a lock and forgets the wrong answers before it.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/unlock",
    responses((status = 200, description = "The user", body = api::User)),
)]
pub async fn unlock_user(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Json<api::User>> {
    let patch = UserPatch { locked: Some(false), ..UserPatch::default() };
    change(&app, &id, None, &patch).await
}
