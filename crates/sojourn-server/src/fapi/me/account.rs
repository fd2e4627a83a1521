//! The account itself: read it, change it, delete it.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use sojourn_api as api;
use sojourn_service::{account, users::UserPatch};

use super::{changed, named};
use crate::{
    app::App,
    auth::BrowserCredentials,
    fapi::answer::{View, refused},
    wire::{
        ApiError, ApiResult, ErrorCode, Params,
        user::{Audience, deleted, user as user_object},
    },
};

/// The account.
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "Me",
    params(api::SessionQuery),
    responses((status = 200, description = "The user", body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn get_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let read = account::read(&app, &parts.request, named(query.as_deref())?).await;
    let outcome = read.map_err(|failure| refused(&app, &parts, failure))?;
    let user = user_object(&outcome.user, outcome.shown.caller.request.now(), Audience::Browser);
    Ok(View::new(&app, &parts, &outcome.shown).read(&user))
}

/// Changes names, unsafe metadata, and which address is the primary one.
/// Nothing else of an account is the browser's to write (AUZ-05).
#[utoipa::path(
    patch,
    path = "/v1/me",
    tag = "Me",
    params(api::SessionQuery),
    request_body(content = api::UpdateMe, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The user and the client", body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "form_param_exceeds_allowed_size",
        "form_param_max_length_exceeded", "form_param_type_invalid", "form_param_unknown",
        "form_param_value_invalid", "form_resource_not_found",
    ]))),
)]
pub async fn update_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    params.refuse_not_offered(&["username", "primary_phone_number_id", "primary_web3_wallet_id"])?;
    let given = |name: &str| params.has(name).then(|| params.text(name)).transpose();
    let patch = UserPatch {
        first_name: given("first_name")?,
        last_name: given("last_name")?,
        primary_email: params.text("primary_email_address_id")?.map(|id| id.parse().ok()),
        unsafe_metadata: params.object("unsafe_metadata")?,
        ..UserPatch::default()
    };
    let named = named(query.as_deref())?;
    changed(&app, &parts, account::change_profile(&app, &parts.request, named, &patch).await)
}

/// Merges unsafe metadata: objects deeply, null deletes a key.
#[utoipa::path(
    patch,
    path = "/v1/me/metadata",
    tag = "Me",
    params(api::SessionQuery),
    request_body(content = api::UpdateMyMetadata, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The user and the client", body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "form_param_exceeds_allowed_size", "form_param_type_invalid",
    ]))),
)]
pub async fn merge_metadata_of_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    let unsafe_metadata = params.object("unsafe_metadata")?;
    let patch = UserPatch { unsafe_metadata, merges_metadata: true, ..UserPatch::default() };
    let named = named(query.as_deref())?;
    changed(&app, &parts, account::change_profile(&app, &parts.request, named, &patch).await)
}

/// Deletes the account. Its sessions end in the same commit, here and in all
/// other browsers; other accounts of this browser stay signed in (SES-06).
#[utoipa::path(
    delete,
    path = "/v1/me",
    tag = "Me",
    params(api::SessionQuery),
    responses((
        status = 200,
        description = "It is gone, and the client as it is then",
        body = api::WithClient<api::DeletedObject>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid", "authorization_invalid"]))),
)]
pub async fn delete_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let gone = account::delete(&app, &parts.request, named(query.as_deref())?).await;
    let (shown, user_id) = gone.map_err(|failure| refused(&app, &parts, failure))?;
    Ok(View::new(&app, &parts, &shown).changed(&deleted("user", &user_id.to_string())))
}

/// Pictures are not kept here: people are drawn by their initials. The official
/// components offer the upload whatever the environment says, so it is answered
/// in words that they show.
#[utoipa::path(
    post,
    path = "/v1/me/profile_image",
    tag = "Me",
    extensions(("x-error-codes" = json!(["form_param_value_invalid"]))),
)]
pub async fn set_profile_image() -> ApiError {
    ApiError::new(ErrorCode::FormParamValueInvalid)
        .message("Profile pictures are not available.")
        .why("Profile pictures are not available here. Your initials are shown instead.")
}

/// None: nobody signs in by an enterprise here. Compat: clerk/javascript
/// packages/ui UserProfile AccountPage
#[utoipa::path(
    get,
    path = "/v1/me/enterprise_connections",
    tag = "Me",
    params(api::SessionQuery),
    responses((
        status = 200,
        description = "An empty list",
        body = api::WithClient<Vec<api::EnterpriseConnection>>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn list_enterprise_connections(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let read = account::read(&app, &parts.request, named(query.as_deref())?).await;
    let outcome = read.map_err(|failure| refused(&app, &parts, failure))?;
    Ok(View::new(&app, &parts, &outcome.shown).read(&Vec::<api::EnterpriseConnection>::new()))
}
