//! The instance as the vendor's SDKs know it.

use axum::{
    Extension, Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_api as api;
use sojourn_core::settings::{Change, registry};
use sojourn_store::Engine as _;

use super::settings_request::SettingsRequest;
use crate::{
    auth::{ApplicationServer, Connection, forwarded},
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// The fields of the vendor's request that are settings here.
const SETTINGS: [&str; 3] = ["test_mode", "allowed_origins", "support_email"];

/// The others: the one value that says what is so, and why there is no other.
fn fixed() -> [(&'static str, Value, &'static str); 6] {
    [
        ("hibp", json!(false), "passwords are not compared with lists of leaked ones"),
        ("clerk_js_version", json!(null), "the server serves the version of clerk-js that it was built with"),
        ("development_origin", json!(null), "a development instance answers to every origin on this machine"),
        ("cookieless_dev", json!(false), "browsers are known by their cookies in development, too"),
        (
            "url_based_session_syncing",
            json!(false),
            "browsers are known by their cookies in development, too",
        ),
        (
            "preferred_sign_in_strategy_when_password_required",
            json!("password"),
            "the sign-in page asks for the password first",
        ),
    ]
}

/// The instance.
#[utoipa::path(
    get, path = "/v1/instance",
    responses((status = 200, description = "The instance", body = api::Instance)),
)]
pub async fn get_instance(app: ApplicationServer) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(Json(api::Instance {
        object: api::Kind::default(),
        id: app.instance_id().to_string(),
        environment_type: match app.is_development() {
            true => api::EnvironmentType::Development,
            false => api::EnvironmentType::Production,
        },
        allowed_origins: settings.instance.allowed_origins.clone(),
        workspace_id: None,
    })
    .into_response())
}

/// This request as the server received it, so that an operator sees what the proxies in front of it
/// do to the client's address, to scheme and host. `sojourn doctor` asks for it by the public address.
#[utoipa::path(
    get, path = "/v1/instance/received_request",
    responses((status = 200, description = "The request", body = api::ReceivedRequest)),
)]
pub async fn get_received_request(
    _app: ApplicationServer,
    Extension(connection): Extension<Connection>,
) -> Json<api::ReceivedRequest> {
    Json(api::ReceivedRequest {
        object: api::Kind::default(),
        client_address: connection.client.map(|address| address.to_string()),
        forwarding_headers: match connection.headers {
            forwarded::Headers::Absent => api::ForwardingHeaders::Absent,
            forwarded::Headers::Believed => api::ForwardingHeaders::Believed,
            forwarded::Headers::Ignored => api::ForwardingHeaders::Ignored,
        },
        forwarded_scheme: connection.scheme,
        forwarded_host: connection.host,
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Changes test mode, allowed origins and the address for support. A field that can have only one
/// value here is refused with any other.
#[utoipa::path(
    patch, path = "/v1/instance",
    request_body = api::UpdateInstance,
    responses((status = 204, description = "It is changed")),
    extensions(("x-error-codes" = json!([
        "form_param_unknown", "form_param_value_invalid", "request_invalid_for_environment", "setting_pinned",
    ]))),
)]
pub async fn update_instance(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<StatusCode> {
    let mut change = Change::default();
    for (name, value) in params.fields() {
        // SDKs send null for what they leave alone.
        if value.is_null() {
            continue;
        }
        match registry::find(name).filter(|setting| SETTINGS.contains(&setting.path)) {
            Some(setting) => change = change.and(setting, value.clone()),
            None => agree(name, value)?,
        }
    }
    app.set_settings(&SettingsRequest::of(app.context(), &headers, None)?.change, &change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a field that would have no effect, unless it says what is so anyway.
fn agree(name: &str, value: &Value) -> ApiResult<()> {
    match fixed().into_iter().find(|(fixed, ..)| *fixed == name) {
        Some((_, so, _)) if so == *value || *value == "" => Ok(()),
        Some((_, so, why)) => Err(ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .why(format!("{name} cannot be changed: {why}. Leave it out, or send {so}."))),
        None => {
            let known = SETTINGS.into_iter().chain(fixed().into_iter().map(|(name, ..)| name));
            let known: Vec<&str> = known.collect();
            Err(ApiError::param(ErrorCode::FormParamUnknown, name)
                .why(format!("{name} is no setting. Known here: {}.", known.join(", "))))
        }
    }
}
