//! Accounts: list, read, delete. What changes them is in the modules below.

pub mod create;
pub mod fields;
pub mod password;
pub mod standing;
pub mod update;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{email::Email, id::UserId, session::EndReason, time::Timestamp, user::User};
use sojourn_service::users::{self, UserPatch};
use sojourn_store::{Engine as _, Span, UserFilter, UserOrder, UserSortKey};

use super::page::Page;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{
        ApiError, ApiResult, ErrorCode, Params,
        user::{Audience, deleted, user as user_object},
    },
};

/// Filters that name what no user of this server has.
const WITHOUT_MATCHES: [&str; 8] = [
    "phone_number",
    "phone_number_query",
    "username",
    "username_query",
    "web3_wallet",
    "organization_id",
    "provider",
    "provider_user_id",
];

fn object(user: &User, now: Timestamp) -> Response {
    Json(user_object(user, now, Audience::Backend)).into_response()
}

/// Changes a user, and ends its sessions for `ends`.
async fn change(app: &App, id: &str, ends: Option<EndReason>, patch: &UserPatch) -> ApiResult<Response> {
    let at = app.moment();
    Ok(object(&users::change(app, at, id.parse().ok(), ends, patch).await?, at.now))
}

/// Accounts, as a bare array.
#[utoipa::path(
    get,
    path = "/v1/users",
    tag = "Users",
    params(api::ListUsersQuery),
    responses((status = 200, description = "Accounts", body = Vec<api::User>)),
    extensions(("x-error-codes" = json!([
        "form_param_type_invalid", "form_param_unknown", "form_param_value_invalid",
    ]))),
)]
pub async fn list_users(State(app): State<App>, _: ApplicationServer, params: Params) -> ApiResult<Response> {
    let page = Page::of(&params)?;
    let order = order(&params)?;
    let users = match filter(&params)? {
        Some(filter) => {
            let filter = UserFilter { order, limit: page.limit, offset: page.offset, ..filter };
            app.store().users(app.instance_id(), filter).await?.0
        }
        None => Vec::new(),
    };
    let now = app.moment().now;
    let objects: Vec<_> = users.iter().map(|user| user_object(user, now, Audience::Backend)).collect();
    Ok(Json(objects).into_response())
}

/// How many accounts the same filters find.
#[utoipa::path(
    get,
    path = "/v1/users/count",
    tag = "Users",
    params(api::ListUsersQuery),
    responses((status = 200, description = "How many there are", body = api::TotalCount)),
    extensions(("x-error-codes" = json!([
        "form_param_type_invalid", "form_param_unknown", "form_param_value_invalid",
    ]))),
)]
pub async fn count_users(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let count = match filter(&params)? {
        Some(filter) => app.store().users(app.instance_id(), filter).await?.1,
        None => 0,
    };
    Ok(Json(api::TotalCount { object: api::Kind::default(), total_count: count }).into_response())
}

/// `None` when nobody can match.
fn filter(params: &Params) -> ApiResult<Option<UserFilter>> {
    // Ignoring it would give users who were not asked for.
    if params.is_given("starting_after") {
        return Err(ApiError::param(ErrorCode::FormParamUnknown, "starting_after")
            .why("The cursor starting_after is not offered here. Use limit and offset."));
    }
    let ids = included(params, "user_id")?;
    let external_ids = included(params, "external_id")?;
    let emails = params.texts("email_address")?;
    let parsed: Vec<UserId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let known: Vec<Email> = emails.iter().filter_map(|text| Email::parse(text).ok()).collect();
    let nobody = (parsed.is_empty() && !ids.is_empty())
        || (known.is_empty() && !emails.is_empty())
        || WITHOUT_MATCHES.iter().any(|name| params.is_given(name));
    let filter = UserFilter {
        ids: parsed,
        emails: known,
        external_ids,
        query: params.text("query")?,
        email_query: given(params, "email_address_query")?,
        name_query: given(params, "name_query")?,
        banned: params.flag("banned")?,
        created: span(params, "created_at")?,
        last_active: span(params, "last_active_at")?,
        last_sign_in: span(params, "last_sign_in_at")?,
        ..UserFilter::default()
    };
    Ok((!nobody).then_some(filter))
}

/// A text that is not empty.
fn given(params: &Params, name: &str) -> ApiResult<Option<String>> {
    Ok(params.text(name)?.filter(|text| !text.is_empty()))
}

/// The times that `…_after`, `…_since` and `…_before` leave, in milliseconds.
fn span(params: &Params, name: &str) -> ApiResult<Span> {
    let time = |suffix: &str| -> ApiResult<Option<Timestamp>> {
        let millis = params.number(&format!("{name}_{suffix}"))?;
        Ok(millis.map(|millis| Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX - 1))))
    };
    let after = time("after")?.map(|at| Timestamp::from_millis(at.as_millis() + 1));
    Ok(Span { from: after.max(time("since")?), before: time("before")? })
}

/// Ids to include; a `+` before one says the same. In a query it arrives as a blank.
fn included(params: &Params, name: &str) -> ApiResult<Vec<String>> {
    let texts = params.texts(name)?;
    if texts.iter().any(|text| text.starts_with('-')) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, name).why(format!(
            "Leaving out by {name} (a minus before it) is not offered here. Name those to include."
        )));
    }
    Ok(texts.iter().map(|text| text.trim_start_matches(['+', ' ']).to_owned()).collect())
}

fn order(params: &Params) -> ApiResult<UserOrder> {
    let first = params.texts("order_by")?.into_iter().next().filter(|text| !text.is_empty());
    let Some(text) = first else { return Ok(UserOrder::default()) };
    let (descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text.trim_start_matches(['+', ' '])),
    };
    let by = match name {
        // Nobody has a telephone number, a username or a wallet: all are equal.
        "created_at" | "phone_number" | "username" | "web3wallet" => UserSortKey::CreatedAt,
        "updated_at" => UserSortKey::UpdatedAt,
        "last_sign_in_at" => UserSortKey::LastSignInAt,
        "last_active_at" => UserSortKey::LastActiveAt,
        "email_address" => UserSortKey::EmailAddress,
        "first_name" => UserSortKey::FirstName,
        "last_name" => UserSortKey::LastName,
        _ => {
            return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "order_by").why(
                "order_by has to be created_at, updated_at, last_sign_in_at, last_active_at, email_address, first_name, last_name, phone_number, username or web3wallet, with + or - before it.",
            ));
        }
    };
    Ok(UserOrder { by, descending })
}

/// One account.
#[utoipa::path(
    get,
    path = "/v1/users/{user_id}",
    tag = "Users",
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn get_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let now = app.moment().now;
    Ok(object(&users::load(&app, id.parse().ok()).await?, now))
}

/// Deletes an account; its sessions end in the same commit.
#[utoipa::path(
    delete,
    path = "/v1/users/{user_id}",
    tag = "Users",
    responses((status = 200, description = "It is gone", body = api::DeletedObject)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn delete_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let user = users::delete(&app, app.moment(), id.parse().ok()).await?;
    let mut answer = deleted("user", &user.id.to_string());
    answer.external_id = user.external_id;
    Ok(Json(answer).into_response())
}
