//! The account's e-mail addresses: add one, prove it, take one away.

use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use sojourn_api as api;
use sojourn_core::{id::EmailAddressId, user::EmailRefusal};
use sojourn_service::account::{self, AccountError, AccountOutcome};

use super::named;
use crate::{
    app::App,
    auth::BrowserCredentials,
    fapi::{
        answer::{View, refused},
        sign_ups::only_email_code,
    },
    wire::{
        ApiResult, Params,
        user::{deleted, email_address as object},
    },
};

/// The addresses of the account.
#[utoipa::path(
    get,
    path = "/v1/me/email_addresses",
    tag = "Me",
    params(api::SessionQuery),
    responses((
        status = 200,
        description = "E-mail addresses",
        body = api::WithClient<Vec<api::EmailAddress>>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn list_email_addresses(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let read = account::read(&app, &parts.request, named(query.as_deref())?).await;
    let AccountOutcome { shown, user } = read.map_err(|failure| refused(&app, &parts, failure))?;
    let now = shown.caller.request.now();
    let objects: Vec<_> = user.email_addresses.iter().map(|address| object(address, now)).collect();
    Ok(View::new(&app, &parts, &shown).read(&objects))
}

/// Adds an address. It names nobody until it is proved.
#[utoipa::path(
    post,
    path = "/v1/me/email_addresses",
    tag = "Me",
    params(api::SessionQuery),
    request_body(content = api::CreateEmailAddress, content_type = "application/x-www-form-urlencoded"),
    responses((
        status = 200,
        description = "The address and the client",
        body = api::WithClient<api::EmailAddress>,
    )),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "form_identifier_exists",
        "form_param_format_invalid", "form_param_missing", "form_param_value_invalid",
    ]))),
)]
pub async fn create_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().creation(&parts.request.device.ip_address)?;
    let (text, named) = (params.required("email_address")?, named(query.as_deref())?);
    let added = account::add_email(&app, &parts.request, named, &text).await;
    let (outcome, id) = added.map_err(|failure| refused(&app, &parts, failure))?;
    changed(&app, &parts, &outcome, id)
}

/// One address of the account.
#[utoipa::path(
    get,
    path = "/v1/me/email_addresses/{email_address_id}",
    tag = "Me",
    params(api::SessionQuery),
    responses((status = 200, description = "The address", body = api::WithClient<api::EmailAddress>)),
    extensions(("x-error-codes" = json!(["authentication_invalid", "resource_not_found"]))),
)]
pub async fn get_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let read = account::read(&app, &parts.request, named(query.as_deref())?).await;
    let AccountOutcome { shown, user } = read.map_err(|failure| refused(&app, &parts, failure))?;
    let address = id.parse().ok().and_then(|id| user.email(id)).ok_or_else(no_address)?;
    Ok(View::new(&app, &parts, &shown).read(&object(address, shown.caller.request.now())))
}

/// Takes an address away. The primary one stays: another has to take its place first.
#[utoipa::path(
    delete,
    path = "/v1/me/email_addresses/{email_address_id}",
    tag = "Me",
    params(api::SessionQuery),
    responses((status = 200, description = "It is gone", body = api::WithClient<api::DeletedObject>)),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "identification_deletion_failed",
        "resource_not_found",
    ]))),
)]
pub async fn delete_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let named = named(query.as_deref())?;
    let removed = account::remove_email(&app, &parts.request, named, id.parse().ok()).await;
    let outcome = removed.map_err(|failure| refused(&app, &parts, failure))?;
    Ok(View::new(&app, &parts, &outcome.shown).changed(&deleted("email_address", &id)))
}

/// Sends a code to an address that is not proved yet.
#[utoipa::path(
    post,
    path = "/v1/me/email_addresses/{email_address_id}/prepare_verification",
    tag = "Me",
    params(api::SessionQuery),
    request_body(content = api::PrepareVerification, content_type = "application/x-www-form-urlencoded"),
    responses((
        status = 200,
        description = "The address and the client",
        body = api::WithClient<api::EmailAddress>,
    )),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "form_identifier_exists", "form_param_missing",
        "form_param_value_invalid", "resource_not_found", "verification_already_verified",
    ]))),
)]
pub async fn prepare_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    only_email_code(&params)?;
    let id = id.parse().map_err(|_| no_address())?;
    let sent = account::send_email_code(&app, &parts.request, named(query.as_deref())?, id).await;
    let outcome = sent.map_err(|failure| refused(&app, &parts, failure))?;
    changed(&app, &parts, &outcome, id)
}

/// Takes an answer to the code. Each counts, in a durable write, before it is told.
#[utoipa::path(
    post,
    path = "/v1/me/email_addresses/{email_address_id}/attempt_verification",
    tag = "Me",
    params(api::SessionQuery),
    request_body(content = api::AttemptVerification, content_type = "application/x-www-form-urlencoded"),
    responses((
        status = 200,
        description = "The address and the client",
        body = api::WithClient<api::EmailAddress>,
    )),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "form_code_incorrect",
        "form_identifier_exists", "form_param_missing", "form_param_value_invalid", "resource_not_found",
        "user_locked", "verification_already_verified", "verification_expired", "verification_failed",
        "verification_missing",
    ]))),
)]
pub async fn attempt_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    let id = id.parse().map_err(|_| no_address())?;
    let (code, named) = (params.required("code")?, named(query.as_deref())?);
    let answered = account::answer_email_code(&app, &parts.request, named, id, &code).await;
    let outcome = answered.map_err(|failure| refused(&app, &parts, failure))?;
    changed(&app, &parts, &outcome, id)
}

const fn no_address() -> AccountError {
    AccountError::Email(EmailRefusal::Unknown)
}

fn changed(
    app: &App,
    parts: &BrowserCredentials,
    outcome: &AccountOutcome,
    id: EmailAddressId,
) -> ApiResult<Response> {
    let address = outcome.user.email(id).ok_or_else(no_address)?;
    let object = object(address, outcome.shown.caller.request.now());
    Ok(View::new(app, parts, &outcome.shown).changed(&object))
}
