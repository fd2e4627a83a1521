//! Every version of the settings there was, who made it and what it changed,
//! and the way back to one.

use axum::{Json, extract::Path};
use serde::Serialize;
use sojourn_api as api;
use sojourn_core::settings::Settings;
use sojourn_service::settings::VersionWithPredecessor;
use sojourn_store::Engine as _;

use super::{
    page::Page,
    settings_request::{CHANGE_CODES, SettingsRequest},
    settings_schema::Configuration,
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, Params},
};

/// A version as it is listed: `before` is the one that it followed.
fn object(version: &Settings, before: Option<&Settings>) -> api::SettingsVersion {
    api::SettingsVersion {
        object: api::Kind::default(),
        version: version.version,
        author: version.author.clone(),
        restores: version.restores,
        ended_all_sessions: version.ends_all_sessions,
        saved_at: wire::millis(version.saved_at.unwrap_or(version.in_force_from)),
        in_force_from: wire::millis(version.in_force_from),
        changes: before.map(|before| wire::settings::changes(before, version)).unwrap_or_default(),
    }
}

fn with_config(
    version: &Settings,
    before: Option<&Settings>,
) -> api::SettingsVersionWithConfig<Configuration> {
    api::SettingsVersionWithConfig { version: object(version, before), config: version.config().into() }
}

/// The versions of the settings, newest first. One version covers all documents.
#[utoipa::path(
    get, path = "/v1/instance/settings_history",
    params(api::PageQuery),
    responses((status = 200, body = api::Page<api::SettingsVersion>)),
    extensions(("x-error-codes" = json!(["form_param_value_invalid"]))),
)]
pub async fn list_settings_versions(
    app: ApplicationServer,
    params: Params,
) -> ApiResult<Json<api::Page<api::SettingsVersion>>> {
    let page = Page::of(&params)?;
    let history = app.store().settings_history(app.instance_id()).await?;
    let listed = (0..history.len()).rev().skip(page.offset as usize).take(page.limit as usize);
    let before = |index: usize| index.checked_sub(1).and_then(|before| history.get(before));
    let data = listed.map(|index| object(&history[index], before(index))).collect();
    Ok(Json(api::Page { data, total_count: history.len() as u64 }))
}

/// One version, with the whole of its settings.
#[utoipa::path(
    get, path = "/v1/instance/settings_history/{version}",
    params(("version" = u64, Path)),
    responses((status = 200, body = api::SettingsVersionWithConfig<Configuration>)),
)]
pub async fn get_settings_version(
    app: ApplicationServer,
    Path(version): Path<String>,
) -> ApiResult<Json<api::SettingsVersionWithConfig<Configuration>>> {
    let found = find(&app, &version).await?;
    Ok(Json(with_config(&found.version, found.predecessor.as_ref())))
}

/// Makes a new version with the content of an earlier one; the history stays as
/// it was. `?dry_run=true` and `If-Match` as with any change, and what is refused
/// there is refused here: pinned values, and durations out of today's bounds.
#[utoipa::path(
    post, path = "/v1/instance/settings_history/{version}/rollback",
    params(("version" = u64, Path), api::DryRunQuery, api::IfMatch),
    responses((
        status = 200,
        description = "The new version, or the dry run",
        body = api::ChangedOrDryRun<api::SettingsRollback<Configuration>, api::SettingsRollbackDryRun<Configuration>>,
    )),
    extensions(("x-error-codes" = json!(CHANGE_CODES))),
)]
pub async fn rollback_settings(
    app: ApplicationServer,
    Path(version): Path<String>,
    request: SettingsRequest,
) -> ApiResult<Json<impl Serialize>> {
    let earlier = find(&app, &version).await?.version;
    let dry_run = request.change.dry_run;
    let changed = app.roll_back_settings(request.change, &earlier).await?;
    let (before, after) = (&changed.before, &changed.after);
    let warnings = wire::settings::warnings(after.warnings());
    if !dry_run {
        let version = with_config(after, Some(before));
        return Ok(Json(api::ChangedOrDryRun::Changed(api::SettingsRollback { version, warnings })));
    }
    Ok(Json(api::ChangedOrDryRun::DryRun(api::SettingsRollbackDryRun::<Configuration> {
        object: api::Kind::default(),
        version: before.version,
        restores: earlier.version,
        before: before.config().into(),
        after: after.config().into(),
        changes: wire::settings::changes(before, after),
        would_end: wire::settings::would_end(app.would_end(&changed).await?),
        warnings,
    })))
}

async fn find(app: &App, version: &str) -> ApiResult<VersionWithPredecessor> {
    // No version is 0: what is no number is none of them either.
    let found = app.settings_version(version.parse().unwrap_or(0)).await?;
    found.map_err(|newest| {
        ApiError::not_found("version of the settings")
            .why(format!("There are the versions 1 to {newest}, and {version} is none of them."))
    })
}
