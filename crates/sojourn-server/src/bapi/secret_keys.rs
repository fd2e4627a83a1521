//! The secret keys of the application's servers: several at once, each taken
//! back by itself (AUZ-03).

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::Path,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_service::{
    Failure,
    idempotency::{CreationSecrets, create_once},
    secret_keys::{self, NewSecretKey},
};
use sojourn_store::{SecretKey, SecretKeyRole};

use super::creation::creation;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params, millis},
};

const MAX_NAME_CHARS: usize = 64;
/// Ten years.
const MAX_LIFETIME_SECONDS: u64 = 315_360_000;

fn object(app: &App, key: &SecretKey) -> api::SecretKey {
    api::SecretKey {
        object: api::Kind::default(),
        id: key.id().to_string(),
        name: key.name.clone(),
        role: key.role.as_str().to_owned(),
        created_at: millis(key.created_at),
        expires_at: key.expires_at.map(millis),
        last_used_at: key.last_used_at.map(millis),
        revoked_at: key.revoked_at.map(millis),
        is_printed_at_start: secret_keys::is_printed(app, key),
        secret: None,
    }
}

/// All secret keys, newest first, those taken back included. What a key reads is
/// not known any more; when it was last used is, to within some minutes.
#[utoipa::path(
    get, path = "/v1/instance/secret_keys",
    responses((status = 200, description = "The keys", body = api::Page<api::SecretKey>)),
)]
pub async fn list_secret_keys(app: ApplicationServer) -> ApiResult<Response> {
    let keys = secret_keys::list(&app).await?;
    let data: Vec<_> = keys.iter().map(|key| object(&app, key)).collect();
    Ok(Json(api::Page { data, total_count: keys.len() as u64 }).into_response())
}

/// Makes a key. The answer is the only place where it is ever told.
#[utoipa::path(
    post, path = "/v1/instance/secret_keys",
    params(api::IdempotencyKey),
    request_body = api::CreateSecretKey,
    responses((status = 200, description = "The key with its `secret`", body = api::SecretKey)),
    extensions(("x-error-codes" = json!([
        "form_param_format_invalid", "form_param_unknown", "form_param_value_invalid", "idempotency_key_reused",
    ]))),
)]
pub async fn create_secret_key(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["name", "role", "expires_in_seconds"])?;
    let name = params.line("name")?;
    let name = name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.chars().count() > MAX_NAME_CHARS) {
        return Err(ApiError::param(ErrorCode::FormParamMaxLengthExceeded, "name")
            .why(format!("A name may have {MAX_NAME_CHARS} characters.")));
    }
    let creation = creation(&headers, "POST /v1/instance/secret_keys", &params)?;
    let at = app.moment();
    let new = NewSecretKey {
        name: name.map(str::to_owned),
        role: role(&params)?,
        expires_at: lifetime(&params)?.map(|lifetime| at.wall + lifetime),
    };
    let made = create_once(&app, creation.as_ref(), |nonce| {
        let (app, new) = (&app, new.clone());
        async move {
            let text = secret_keys::text_of(app, CreationSecrets::new(app, &nonce));
            let key = secret_keys::new_key(at, new, &text);
            let changes = secret_keys::insert(app, app.context(), at, &key);
            Ok::<_, Failure<Infallible>>((changes, object(app, &key)))
        }
    });
    let first = made.await?;
    let secret = secret_keys::text_of(&app, first.secrets(&app));
    let mut answer = first.answer;
    tracing::info!(key_id = %answer["id"], "a secret key was handed out");
    answer["secret"] = secret.into();
    Ok(Json(answer).into_response())
}

fn role(params: &Params) -> ApiResult<SecretKeyRole> {
    let Some(word) = params.text("role")? else { return Ok(SecretKeyRole::Full) };
    SecretKeyRole::from_word(&word).ok_or_else(|| {
        let words = SecretKeyRole::ALL.map(SecretKeyRole::as_str).join(", ");
        ApiError::param(ErrorCode::FormParamValueInvalid, "role")
            .why(format!("role has to be one of {words}."))
    })
}

fn lifetime(params: &Params) -> ApiResult<Option<Duration>> {
    let Some(seconds) = params.number("expires_in_seconds")? else { return Ok(None) };
    if !(60..=MAX_LIFETIME_SECONDS).contains(&seconds) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "expires_in_seconds")
            .why(format!("expires_in_seconds has to be from 60 to {MAX_LIFETIME_SECONDS}.")));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

/// Takes a key back, for good and at once on every node. The last good one stays,
/// and so does the one that a development server prints at its start.
#[utoipa::path(
    post, path = "/v1/instance/secret_keys/{secret_key_id}/revoke",
    responses((status = 200, description = "The key as it is now", body = api::SecretKey)),
    extensions(("x-error-codes" = json!(["secret_key_cannot_be_revoked"]))),
)]
pub async fn revoke_secret_key(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let key = secret_keys::revoke(&app, app.context(), id.parse().ok()).await?;
    Ok(Json(object(&app, &key)).into_response())
}
