//! The account itself: read it, change it, delete it.

use axum::response::Response;
use sojourn_api as api;
use sojourn_service::{account, users::UserPatch};

use super::{Whose, changed};
use crate::{
    fapi::answer::Browser,
    wire::{ApiError, ApiResult, ErrorCode, Params, user::deleted},
};

/// The account.
#[utoipa::path(
    get, path = "/v1/me",
    params(api::SessionQuery),
    responses((status = 200, body = api::WithClient<api::User>)),
)]
pub async fn get_me(browser: Browser, Whose(named): Whose) -> ApiResult<Response> {
    let read = account::read(&browser.app, &browser.request, named).await;
    let outcome = browser.found(read)?;
    let view = browser.view(&outcome.shown);
    Ok(view.read(&view.account(&outcome.user)))
}

/// Changes names, unsafe metadata, and which address is the primary one.
/// Nothing else of an account is the browser's to write (AUZ-05).
#[utoipa::path(
    patch, path = "/v1/me",
    params(api::SessionQuery),
    request_body = api::UpdateMe,
    responses((status = 200, body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authorization_invalid", "form_param_exceeds_allowed_size", "form_param_format_invalid",
        "form_param_unknown", "form_param_value_invalid", "form_resource_not_found",
    ]))),
)]
pub async fn update_me(browser: Browser, Whose(named): Whose, params: Params) -> ApiResult<Response> {
    params.refuse_not_offered(&["username", "primary_phone_number_id", "primary_web3_wallet_id"])?;
    let given = |name: &str| params.has(name).then(|| params.line(name)).transpose();
    let patch = UserPatch {
        first_name: given("first_name")?,
        last_name: given("last_name")?,
        primary_email: params.text("primary_email_address_id")?.map(|id| id.parse().ok()),
        unsafe_metadata: params.object("unsafe_metadata")?,
        ..UserPatch::default()
    };
    changed(&browser, account::change_profile(&browser.app, &browser.request, named, &patch).await)
}

/// Merges unsafe metadata: objects deeply, null deletes a key.
#[utoipa::path(
    patch, path = "/v1/me/metadata",
    params(api::SessionQuery),
    request_body = api::UpdateMyMetadata,
    responses((status = 200, body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!(["form_param_exceeds_allowed_size"]))),
)]
pub async fn merge_metadata_of_me(
    browser: Browser,
    Whose(named): Whose,
    params: Params,
) -> ApiResult<Response> {
    let unsafe_metadata = params.object("unsafe_metadata")?;
    let patch = UserPatch { unsafe_metadata, merges_metadata: true, ..UserPatch::default() };
    changed(&browser, account::change_profile(&browser.app, &browser.request, named, &patch).await)
}

/// Deletes the account. Its sessions end in the same commit, here and in all
/// other browsers; other accounts of this browser stay signed in (SES-06).
#[utoipa::path(
    delete, path = "/v1/me",
    params(api::SessionQuery),
    responses((status = 200, body = api::WithClient<api::DeletedObject>)),
    extensions(("x-error-codes" = json!(["authorization_invalid"]))),
)]
pub async fn delete_me(browser: Browser, Whose(named): Whose) -> ApiResult<Response> {
    let gone = account::delete(&browser.app, &browser.request, named).await;
    let (shown, user_id) = browser.found(gone)?;
    Ok(browser.view(&shown).changed(&deleted("user", &user_id.to_string())))
}

/// Pictures are not kept here: people are drawn by their initials. The official
/// components offer the upload whatever the environment says, so it is answered
/// in words that they show.
#[utoipa::path(
    post, path = "/v1/me/profile_image",
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
    get, path = "/v1/me/enterprise_connections",
    params(api::EnterpriseConnectionsQuery),
    responses((status = 200, body = api::WithClient<Vec<api::EnterpriseConnection>>)),
)]
pub async fn list_enterprise_connections(browser: Browser, Whose(named): Whose) -> ApiResult<Response> {
    let read = account::read(&browser.app, &browser.request, named).await;
    let outcome = browser.found(read)?;
    Ok(browser.view(&outcome.shown).read(&Vec::<api::EnterpriseConnection>::new()))
}
