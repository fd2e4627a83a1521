//! All settings as one document, under the vendor's platform paths, so that
//! habits and tools carry over. Contract: platform-beta.yml, tag Config; the
//! secret key stands in for the platform's token.

use axum::{Json, extract::Path};
use serde_json::{Map, Value};
use sojourn_api as api;
use sojourn_core::settings::{Change, Claims, registry};
use sojourn_service::settings::Changed;
use sojourn_store::Engine as _;

use super::{
    settings_request::{CHANGE_CODES, SettingsRequest},
    settings_schema::{ConfigurationChange, ConfigurationPart, NewConfiguration},
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

type ConfigurationChanged = api::ConfigurationChanged<ConfigurationPart>;

/// The configuration in force, or those of its keys that `keys` names.
#[utoipa::path(
    get, path = "/v1/platform/applications/{application_id}/instances/{instance}/config",
    params(api::ConfigurationQuery),
    responses((status = 200, body = api::ConfigurationInForce<ConfigurationPart>)),
    extensions(("x-error-codes" = json!(["form_param_unknown"]))),
)]
pub async fn get_config(
    app: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    query: Params,
) -> ApiResult<Json<api::ConfigurationInForce<ConfigurationPart>>> {
    names_this(&app, &application, &instance)?;
    let keys = keys(&query)?;
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let config = only(keys.as_deref(), settings.config()).into();
    Ok(Json(api::ConfigurationInForce { config_version: settings.version.to_string(), config }))
}

/// The JSON Schema of the configuration: names, meanings, defaults and bounds.
#[utoipa::path(
    get, path = "/v1/platform/applications/{application_id}/instances/{instance}/config/schema",
    params(api::ConfigurationQuery),
    responses((status = 200, description = "A JSON Schema", body = api::JsonSchema)),
    extensions(("x-error-codes" = json!(["form_param_unknown"]))),
)]
pub async fn get_config_schema(
    app: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    query: Params,
) -> ApiResult<Json<Value>> {
    names_this(&app, &application, &instance)?;
    let keys = keys(&query)?;
    let mut schema = registry::schema("", app.environment());
    if let Value::Object(properties) = schema["properties"].take() {
        schema["properties"] = only(keys.as_deref(), properties).into();
    }
    Ok(Json(schema))
}

/// Changes what is given and leaves the rest, as one version. Null puts a value
/// back to its default, with `destructive=true`. `dry_run=true` changes nothing
/// and counts whom it would sign out; `If-Match` names the `config_version`.
#[utoipa::path(
    patch, path = "/v1/platform/applications/{application_id}/instances/{instance}/config",
    params(api::ChangeConfigurationQuery, api::IfMatch),
    request_body = ConfigurationChange,
    responses((status = 200, body = api::ConfigurationChanged<ConfigurationPart>)),
    extensions(("x-error-codes" = json!(CHANGE_CODES))),
)]
pub async fn update_config(
    app: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    request: SettingsRequest,
    params: Params,
) -> ApiResult<Json<ConfigurationChanged>> {
    names_this(&app, &application, &instance)?;
    let updated: Vec<String> = params.fields().keys().cloned().collect();
    let keys = keys(&request.query)?.unwrap_or(updated);
    let changed = change(&app, &request, &params, Claims::Merged).await?;
    answer(&app, &request, &keys, &changed).await
}

/// Replaces the whole configuration, as one version; all keys have to be there.
/// Otherwise as PATCH.
#[utoipa::path(
    put, path = "/v1/platform/applications/{application_id}/instances/{instance}/config",
    params(api::ChangeConfigurationQuery, api::IfMatch),
    request_body = NewConfiguration,
    responses((status = 200, body = api::ConfigurationChanged<ConfigurationPart>)),
    extensions(("x-error-codes" = json!(CHANGE_CODES))),
)]
pub async fn replace_config(
    app: ApplicationServer,
    Path((application, instance)): Path<(String, String)>,
    request: SettingsRequest,
    params: Params,
) -> ApiResult<Json<ConfigurationChanged>> {
    names_this(&app, &application, &instance)?;
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
) -> ApiResult<Json<ConfigurationChanged>> {
    let Changed { before, after, .. } = changed;
    let dry_run = request.change.dry_run;
    // What a dry run names is there to be matched by the change itself.
    let version = if dry_run { before.version } else { after.version };
    let would_end = match dry_run {
        true => Some(wire::settings::would_end(app.would_end(changed).await?)),
        false => None,
    };
    Ok(Json(api::ConfigurationChanged {
        config_version: version.to_string(),
        dry_run,
        before: only(Some(keys), before.config()).into(),
        after: only(Some(keys), after.config()).into(),
        warnings: wire::settings::warnings(after.warnings()),
        would_end,
    }))
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
