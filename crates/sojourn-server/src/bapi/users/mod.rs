//! Accounts: list, read, delete. What changes them is in the modules below.

pub mod create;
pub mod export;
pub mod fields;
mod filter;
pub mod import;
pub mod password;
pub mod standing;
pub mod update;

use axum::{Json, extract::Path};
use sojourn_api as api;
use sojourn_core::{session::EndReason, time::Timestamp};
use sojourn_service::users::{self, ActiveUser, UserPatch};
use sojourn_store::UserFilter;

use super::page::Page;
use crate::{
    auth::ApplicationServer,
    wire::{
        ApiResult, Params,
        user::{Audience, deleted, user as user_object},
    },
};

fn object(shown: &ActiveUser, now: Timestamp) -> api::User {
    user_object(&shown.user, shown.last_active_at, now, Audience::Backend)
}

/// Changes a user, and ends its sessions for `ends`.
async fn change(
    app: &ApplicationServer,
    id: &str,
    ends: Option<EndReason>,
    patch: &UserPatch,
) -> ApiResult<Json<api::User>> {
    let at = app.moment();
    Ok(Json(object(&users::change(app, app.context(), at, id.parse().ok(), ends, patch).await?, at.now)))
}

/// Accounts, as a bare array.
#[utoipa::path(
    get, path = "/v1/users",
    params(api::ListUsersQuery),
    responses((status = 200, description = "Accounts", body = Vec<api::User>)),
    extensions(("x-error-codes" = json!(["form_param_unknown", "form_param_value_invalid"]))),
)]
pub async fn list_users(app: ApplicationServer, params: Params) -> ApiResult<Json<Vec<api::User>>> {
    let page = Page::of(&params)?;
    let order = filter::order(&params)?;
    let mut query = filter::query(&params)?;
    query.filter = UserFilter { order, limit: page.limit, offset: page.offset, ..query.filter };
    let (users, _) = users::list(&app, query).await?;
    let now = app.moment().now;
    Ok(Json(users.iter().map(|user| object(user, now)).collect()))
}

/// How many accounts the same filters find.
#[utoipa::path(
    get, path = "/v1/users/count",
    params(api::ListUsersQuery),
    responses((status = 200, description = "How many there are", body = api::TotalCount)),
    extensions(("x-error-codes" = json!(["form_param_unknown", "form_param_value_invalid"]))),
)]
pub async fn count_users(app: ApplicationServer, params: Params) -> ApiResult<Json<api::TotalCount>> {
    let total_count = users::count(&app, filter::query(&params)?).await?;
    Ok(Json(api::TotalCount { object: api::Kind::default(), total_count }))
}

/// One account.
#[utoipa::path(
    get, path = "/v1/users/{user_id}",
    responses((status = 200, description = "The user", body = api::User)),
)]
pub async fn get_user(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Json<api::User>> {
    let now = app.moment().now;
    Ok(Json(object(&users::find(&app, id.parse().ok()).await?, now)))
}

/// Deletes an account; its sessions end in the same commit.
#[utoipa::path(
    delete, path = "/v1/users/{user_id}",
    responses((status = 200, description = "It is gone", body = api::DeletedObject)),
)]
pub async fn delete_user(
    app: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Json<api::DeletedObject>> {
    let user = users::delete(&app, app.context(), app.moment(), id.parse().ok()).await?;
    Ok(Json(api::DeletedObject { external_id: user.external_id, ..deleted("user", &user.id.to_string()) }))
}
