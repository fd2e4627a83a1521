//! All settings as one document, under the vendor's platform paths, so that
//! habits and tools carry over. Contract: platform-beta.yml, tag Config; the
//! secret key stands in for the platform's token.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use sojourn_core::settings::{Change, Claims, registry};
use sojourn_service::settings::Changed;
use sojourn_store::Engine as _;

use super::{
    settings_request::SettingsRequest,
    settings_schema::{Configuration, ConfigurationChanged},
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// The configuration in force, or those of its keys that `keys` names.
#[utoipa::path(get, path = "/v1/platform/applications/{application_id}/instances/{instance}/config", tag = "Settings", params(("application_id" = String, Path), ("instance" = String, Path)), responses((status = 200, description = "The configuration and its config_version", body = Configuration), (status = 404, description = "Another instance")))]
pub async fn get_config(
    State(app): State<App>,
    _: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    names_this(&app, &application, &instance)?;
    let keys = keys(&Params::from_form(query.as_deref().unwrap_or(""))?)?;
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let mut config = only(keys.as_deref(), settings.config());
    config.insert("config_version".to_owned(), settings.version.to_string().into());
    Ok(Json(config).into_response())
}

/// The JSON Schema of the configuration: names, meanings, defaults and bounds.
#[utoipa::path(get, path = "/v1/platform/applications/{application_id}/instances/{instance}/config/schema", tag = "Settings", params(("application_id" = String, Path), ("instance" = String, Path)), responses((status = 200, description = "A JSON Schema"), (status = 404, description = "Another instance")))]
pub async fn get_config_schema(
    State(app): State<App>,
    _: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    names_this(&app, &application, &instance)?;
    let keys = keys(&Params::from_form(query.as_deref().unwrap_or(""))?)?;
    let mut schema = registry::schema("", app.environment());
    if let Value::Object(properties) = schema["properties"].take() {
        schema["properties"] = only(keys.as_deref(), properties).into();
    }
    Ok(Json(schema).into_response())
}

/// Changes what is given and leaves the rest, as one version. Null puts a value
/// back to its default, with `destructive=true`. `dry_run=true` changes nothing
/// and counts whom it would sign out; `If-Match` names the `config_version`.
#[utoipa::path(patch, path = "/v1/platform/applications/{application_id}/instances/{instance}/config", tag = "Settings", params(("application_id" = String, Path), ("instance" = String, Path)), request_body = Configuration, responses((status = 200, description = "Before and after", body = ConfigurationChanged), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "Neither limit would be on, or a value is not accepted")))]
pub async fn update_config(
    State(app): State<App>,
    _: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    names_this(&app, &application, &instance)?;
    let request = SettingsRequest::of(&headers, query.as_deref())?;
    let updated: Vec<String> = params.fields().keys().cloned().collect();
    let keys = keys(&request.query)?.unwrap_or(updated);
    let changed = change(&app, &request, &params, Claims::Merged).await?;
    answer(&app, &request, &keys, &changed).await
}

/// Replaces the whole configuration, as one version; all keys have to be there.
/// Otherwise as PATCH.
#[utoipa::path(put, path = "/v1/platform/applications/{application_id}/instances/{instance}/config", tag = "Settings", params(("application_id" = String, Path), ("instance" = String, Path)), request_body = Configuration, responses((status = 200, description = "Before and after", body = ConfigurationChanged), (status = 400, description = "Keys are missing"), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "Neither limit would be on, or a value is not accepted")))]
pub async fn replace_config(
    State(app): State<App>,
    _: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    names_this(&app, &application, &instance)?;
    let request = SettingsRequest::of(&headers, query.as_deref())?;
    let missing = Change::missing(params.fields());
    if !missing.is_empty() {
        return Err(ApiError::new(ErrorCode::RequestBodyInvalid)
            .why(format!(
                "PUT replaces the whole configuration, and these keys are missing: {}. Add them, or send PATCH to change only some.",
                missing.join(", ")
            ))
            .meta("missing", missing));
    }
    let changed = change(&app, &request, &params, Claims::Replaced).await?;
    let keys: Vec<String> = known().map(str::to_owned).collect();
    answer(&app, &request, &keys, &changed).await
}

async fn change(app: &App, request: &SettingsRequest, params: &Params, claims: Claims) -> ApiResult<Changed> {
    let destructive = request.query.flag("destructive")?.unwrap_or(false);
    let changed = app.change_settings(&request.change, |settings| {
        settings.with(&Change::merge(params.fields(), settings, claims, destructive)?, app.environment())
    });
    Ok(changed.await?)
}

/// The keys of the configuration.
fn known() -> impl Iterator<Item = &'static str> {
    registry::names_in("").into_iter()
}

async fn answer(
    app: &App,
    request: &SettingsRequest,
    keys: &[String],
    changed: &Changed,
) -> ApiResult<Response> {
    let Changed { before, after, .. } = changed;
    // What a dry run names is there to be matched by the change itself.
    let version = if request.change.dry_run { before.version } else { after.version };
    let mut answer = json!({
        "config_version": version.to_string(),
        "dry_run": request.change.dry_run,
        "before": only(Some(keys), before.config()),
        "after": only(Some(keys), after.config()),
        "warnings": after.warnings(),
    });
    if request.change.dry_run {
        answer["would_end"] = json!(app.would_end(changed).await?);
    }
    Ok(Json(answer).into_response())
}

/// There is one instance here, and it is an application of its own.
fn names_this(app: &App, application: &str, instance: &str) -> ApiResult<()> {
    let id = app.instance_id().to_string();
    let application_id = id.replacen("ins_", "app_", 1);
    let environment = if app.is_development() { "development" } else { "production" };
    let named = [id.as_str(), application_id.as_str()].contains(&application)
        && [id.as_str(), environment].contains(&instance);
    match named {
        true => Ok(()),
        false => Err(ApiError::not_found("instance").why(format!(
            "This server holds one instance: application {application_id}, instance {id} or {environment}."
        ))),
    }
}

/// The keys that the query asks for; all where it names none.
fn keys(query: &Params) -> ApiResult<Option<Vec<String>>> {
    let mut keys = Vec::new();
    for text in query.texts("keys")? {
        keys.extend(text.split(',').filter(|key| !key.is_empty()).map(str::to_owned));
    }
    match keys.iter().find(|key| !known().any(|known| known == *key)) {
        Some(unknown) => Err(ApiError::param(ErrorCode::FormParamUnknown, "keys").why(format!(
            "{unknown} is no key of the configuration. Known are: {}.",
            registry::names_in("").join(", ")
        ))),
        None => Ok(Some(keys).filter(|keys| !keys.is_empty())),
    }
}

fn only(keys: Option<&[String]>, mut config: Map<String, Value>) -> Map<String, Value> {
    if let Some(keys) = keys {
        config.retain(|name, _| keys.contains(name));
    }
    config
}
