//! The keys that sign tokens, and their rotation (JWT-07).

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::signing_key::{KEEP_AFTER_USE, PUBLISH_BEFORE_USE, Rotation, SigningKeyStatus};
use sojourn_service::{keys::KeyOfRing, signing_keys};

use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, Params, millis},
};

fn object((key, status): &(KeyOfRing, SigningKeyStatus)) -> api::SigningKey {
    api::SigningKey {
        object: api::Kind::default(),
        id: key.signer.key_id().to_owned(),
        status: status.as_str().to_owned(),
        created_at: millis(key.times.created_at),
        signs_from: millis(key.times.signs_from),
        published_until: key.times.published_until.map(millis),
        public_key: key.signer.public_key_pem(),
    }
}

async fn page(app: &App) -> ApiResult<Response> {
    signing_keys::reload(app).await?.map_err(ApiError::from)?;
    let keys = app.keyring().with_status(app.moment().wall);
    let data: Vec<_> = keys.iter().rev().map(object).collect();
    let total_count = data.len() as u64;
    Ok(Json(api::Page { data, total_count }).into_response())
}

/// All signing keys, newest first, withdrawn ones included.
#[utoipa::path(
    get,
    path = "/v1/instance/signing_keys",
    tag = "Signing keys",
    responses((status = 200, description = "The keys", body = api::Page<api::SigningKey>)),
)]
pub async fn list_signing_keys(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    page(&app).await
}

/// Makes a new key. Without `emergency` no token is refused: the key is published at once, signs
/// after `wait_seconds`, and the old one stays published for `keep_seconds` after that.
#[utoipa::path(
    post,
    path = "/v1/instance/signing_keys/rotate",
    tag = "Signing keys",
    request_body = api::RotateSigningKey,
    responses((status = 200, description = "All keys", body = api::Page<api::SigningKey>)),
    extensions(("x-error-codes" = json!([
        "form_param_type_invalid", "form_param_unknown", "form_param_value_invalid",
        "malformed_request_parameters", "signing_key_rotation_under_way",
    ]))),
)]
pub async fn rotate_signing_key(app: ApplicationServer, params: Params) -> ApiResult<Response> {
    params.only(&["emergency", "wait_seconds", "keep_seconds"])?;
    let duration = |name: &str, otherwise: Duration| {
        let Some(seconds) = params.number(name)? else { return Ok(otherwise) };
        Ok::<_, ApiError>(Duration::from_secs(seconds))
    };
    let (wait, keep) =
        (duration("wait_seconds", PUBLISH_BEFORE_USE)?, duration("keep_seconds", KEEP_AFTER_USE)?);
    let rotation = match params.flag("emergency")?.unwrap_or(false) {
        true => Rotation::Emergency,
        false => Rotation::Planned { wait, keep },
    };
    signing_keys::rotate(&app, app.context(), rotation).await?;
    page(&app).await
}
