//! The account's e-mail addresses: add one, prove it, take one away.

use axum::{extract::Path, response::Response};
use sojourn_api as api;
use sojourn_core::{id::EmailAddressId, user::EmailRefusal};
use sojourn_service::account::{self, AccountError, AccountOutcome};

use super::Whose;
use crate::{
    fapi::{answer::Browser, sign_ups::only_email_code},
    wire::{
        ApiResult, Params,
        user::{deleted, email_address as object},
    },
};

/// The addresses of the account.
#[utoipa::path(
    get, path = "/v1/me/email_addresses",
    params(api::SessionQuery),
    responses((status = 200, body = api::WithClient<Vec<api::EmailAddress>>)),
)]
pub async fn list_email_addresses(browser: Browser, Whose(named): Whose) -> ApiResult<Response> {
    let read = account::read(&browser.app, &browser.request, named).await;
    let AccountOutcome { shown, user } = browser.found(read)?;
    let now = shown.caller.request.now();
    let objects: Vec<_> = user.email_addresses.iter().map(|address| object(address, now)).collect();
    Ok(browser.view(&shown).read(&objects))
}

/// Adds an address. It names nobody until it is proved.
#[utoipa::path(
    post, path = "/v1/me/email_addresses",
    params(api::SessionQuery),
    request_body = api::CreateEmailAddress,
    responses((status = 200, body = api::WithClient<api::EmailAddress>)),
    extensions(("x-error-codes" = json!([
        "authorization_invalid", "form_identifier_exists", "form_param_missing", "form_param_value_invalid",
    ]))),
)]
pub async fn create_email_address(
    browser: Browser,
    Whose(named): Whose,
    params: Params,
) -> ApiResult<Response> {
    browser.app.rate_limits().creation(&browser.request.device.ip_address)?;
    let text = params.required("email_address")?;
    let added = account::add_email(&browser.app, &browser.request, named, &text).await;
    let (outcome, id) = browser.found(added)?;
    changed(&browser, &outcome, id)
}

/// One address of the account.
#[utoipa::path(
    get, path = "/v1/me/email_addresses/{email_address_id}",
    params(api::SessionQuery),
    responses((status = 200, body = api::WithClient<api::EmailAddress>)),
)]
pub async fn get_email_address(
    browser: Browser,
    Path(id): Path<String>,
    Whose(named): Whose,
) -> ApiResult<Response> {
    let read = account::read(&browser.app, &browser.request, named).await;
    let AccountOutcome { shown, user } = browser.found(read)?;
    let address = id.parse().ok().and_then(|id| user.email(id)).ok_or_else(no_address)?;
    Ok(browser.view(&shown).read(&object(address, shown.caller.request.now())))
}

/// Takes an address away. The primary one stays: another has to take its place first.
#[utoipa::path(
    delete, path = "/v1/me/email_addresses/{email_address_id}",
    params(api::SessionQuery),
    responses((status = 200, body = api::WithClient<api::DeletedObject>)),
    extensions(("x-error-codes" = json!(["authorization_invalid", "identification_deletion_failed"]))),
)]
pub async fn delete_email_address(
    browser: Browser,
    Path(id): Path<String>,
    Whose(named): Whose,
) -> ApiResult<Response> {
    let removed = account::remove_email(&browser.app, &browser.request, named, id.parse().ok()).await;
    let outcome = browser.found(removed)?;
    Ok(browser.view(&outcome.shown).changed(&deleted("email_address", &id)))
}

/// Sends a code to an address that is not proved yet.
#[utoipa::path(
    post, path = "/v1/me/email_addresses/{email_address_id}/prepare_verification",
    params(api::SessionQuery),
    request_body = api::PrepareVerification,
    responses((status = 200, body = api::WithClient<api::EmailAddress>)),
    extensions(("x-error-codes" = json!([
        "authorization_invalid", "form_identifier_exists", "form_param_missing", "form_param_value_invalid",
        "verification_already_verified",
    ]))),
)]
pub async fn prepare_email_address(
    browser: Browser,
    Path(id): Path<String>,
    Whose(named): Whose,
    params: Params,
) -> ApiResult<Response> {
    only_email_code(&params)?;
    let id = id.parse().map_err(|_| no_address())?;
    let sent = account::send_email_code(&browser.app, &browser.request, named, id).await;
    let outcome = browser.found(sent)?;
    changed(&browser, &outcome, id)
}

/// Takes an answer to the code. Each counts, in a durable write, before it is told.
#[utoipa::path(
    post, path = "/v1/me/email_addresses/{email_address_id}/attempt_verification",
    params(api::SessionQuery),
    request_body = api::AttemptVerification,
    responses((status = 200, body = api::WithClient<api::EmailAddress>)),
    extensions(("x-error-codes" = json!([
        "authorization_invalid", "form_code_incorrect", "form_identifier_exists", "form_param_missing",
        "form_param_value_invalid", "user_locked", "verification_already_verified", "verification_expired",
        "verification_failed", "verification_missing",
    ]))),
)]
pub async fn attempt_email_address(
    browser: Browser,
    Path(id): Path<String>,
    Whose(named): Whose,
    params: Params,
) -> ApiResult<Response> {
    let id = id.parse().map_err(|_| no_address())?;
    let code = params.required("code")?;
    let answered = account::answer_email_code(&browser.app, &browser.request, named, id, &code).await;
    let outcome = browser.found(answered)?;
    changed(&browser, &outcome, id)
}

const fn no_address() -> AccountError {
    AccountError::Email(EmailRefusal::Unknown)
}

fn changed(browser: &Browser, outcome: &AccountOutcome, id: EmailAddressId) -> ApiResult<Response> {
    let address = outcome.user.email(id).ok_or_else(no_address)?;
    let object = object(address, outcome.shown.caller.request.now());
    Ok(browser.view(&outcome.shown).changed(&object))
}
