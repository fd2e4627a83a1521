//! The settings as three documents: how long sessions live, the session token, and the rest. Read
//! them, change any subset, and see first what a change would do.

use axum::Json;
use serde::Serialize;
use serde_json::{Map, Value};
use sojourn_api as api;
use sojourn_core::{
    id::UserId,
    settings::{Change, Refusal, RefusalReason, Settings, Warning, registry, registry::value_at},
    template::{Scope, render},
};
use sojourn_service::settings::Changed;
use sojourn_store::Engine as _;

use super::{
    settings_request::{CHANGE_CODES, SettingsRequest, settings_error},
    settings_schema::{
        InstanceSettings, InstanceSettingsChange, SessionSettings, SessionSettingsChange,
        SessionTokenSettings, SessionTokenSettingsChange, TABLES,
    },
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, Params},
};

/// One of the three: a table of the configuration, or what is in none of the others.
trait Document: From<Map<String, Value>> {
    /// The word in its field `object`.
    const OBJECT: &'static str;
    const TABLE: &'static str;

    fn has(path: &str) -> bool {
        registry::is_below(path, Self::TABLE)
            && (!Self::TABLE.is_empty() || !TABLES.iter().any(|table| registry::is_below(path, table)))
    }

    fn of(settings: &Settings) -> Self {
        let mut config = settings.config();
        if Self::TABLE.is_empty() {
            config.retain(|name, _| !TABLES.contains(&name.as_str()));
            return config.into();
        }
        value_at(&config, Self::TABLE).as_object().cloned().unwrap_or_default().into()
    }
}

impl Document for SessionSettings {
    const OBJECT: &'static str = "session_settings";
    const TABLE: &'static str = TABLES[0];
}

impl Document for SessionTokenSettings {
    const OBJECT: &'static str = "session_token_settings";
    const TABLE: &'static str = TABLES[1];
}

impl Document for InstanceSettings {
    const OBJECT: &'static str = "instance_settings";
    const TABLE: &'static str = "";
}

/// Claims of one's own beyond this leave too little of the 4 KB of a cookie.
const ADVISED_BYTES: usize = 1200;

/// The session settings in force.
#[utoipa::path(
    get, path = "/v1/instance/session_settings",
    responses((status = 200, body = api::VersionedSettings<SessionSettings>)),
)]
pub async fn get_session_settings(
    app: ApplicationServer,
) -> ApiResult<Json<api::VersionedSettings<SessionSettings>>> {
    in_force(&app).await.map(Json)
}

/// Changes any subset of the session settings, at once for all sessions. `?dry_run=true` changes
/// nothing and counts the sessions that the change would end; `If-Match` names the version to
/// change.
#[utoipa::path(
    patch, path = "/v1/instance/session_settings",
    params(api::DryRunQuery, api::IfMatch),
    request_body = SessionSettingsChange,
    responses((
        status = 200,
        description = "The settings, or the dry run",
        body = api::ChangedOrDryRun<api::ChangedSettings<SessionSettings>, api::SessionSettingsDryRun<SessionSettings>>,
    )),
    extensions(("x-error-codes" = json!(CHANGE_CODES))),
)]
pub async fn update_session_settings(
    app: ApplicationServer,
    request: SettingsRequest,
    params: Params,
) -> ApiResult<Json<impl Serialize>> {
    let changed = change::<SessionSettings>(&app, &request, params.fields()).await?;
    Ok(Json(match request.change.dry_run {
        true => api::ChangedOrDryRun::DryRun(api::SessionSettingsDryRun {
            settings: dry_run::<SessionSettings>(&changed),
            would_end: wire::settings::would_end(app.would_end(&changed).await?),
        }),
        false => api::ChangedOrDryRun::Changed(after::<SessionSettings>(&changed)),
    }))
}

/// The session token's settings in force, and whose claims were too large for a token: counted by
/// the process that answers, since it was started.
#[utoipa::path(
    get, path = "/v1/instance/session_token",
    responses((status = 200, body = api::SessionTokenInForce<SessionTokenSettings>)),
)]
pub async fn get_session_token(
    app: ApplicationServer,
) -> ApiResult<Json<api::SessionTokenInForce<SessionTokenSettings>>> {
    let settings = in_force(&app).await?;
    let cut = app.cut_claims().report();
    let claims_cut = api::ClaimsCut {
        since: wire::millis(cut.since),
        tokens: cut.tokens,
        user_ids: cut.users.iter().map(ToString::to_string).collect(),
    };
    Ok(Json(api::SessionTokenInForce { settings, claims_cut }))
}

/// Changes any subset; `claims` is replaced whole. `?dry_run=true&user_id=…`
/// changes nothing and renders the claims for that user.
#[utoipa::path(
    patch, path = "/v1/instance/session_token",
    params(api::SessionTokenQuery, api::IfMatch),
    request_body = SessionTokenSettingsChange,
    responses((
        status = 200,
        description = "The settings, or the dry run",
        body = api::ChangedOrDryRun<api::ChangedSettings<SessionTokenSettings>, api::SessionTokenDryRun<SessionTokenSettings>>,
    )),
    extensions(("x-error-codes" = json!([CHANGE_CODES.as_slice(), &["resource_not_found"]].concat()))),
)]
pub async fn update_session_token(
    app: ApplicationServer,
    request: SettingsRequest,
    params: Params,
) -> ApiResult<Json<impl Serialize>> {
    let changed = change::<SessionTokenSettings>(&app, &request, params.fields()).await?;
    if !request.change.dry_run {
        return Ok(Json(api::ChangedOrDryRun::Changed(after::<SessionTokenSettings>(&changed))));
    }
    let mut settings = dry_run::<SessionTokenSettings>(&changed);
    let rendered = match request.query.text("user_id")? {
        Some(user_id) => Some(rendered_claims(&app, &changed.after, user_id).await?),
        None => None,
    };
    if let Some(rendered) = rendered.as_ref().filter(|rendered| rendered.bytes > ADVISED_BYTES as u64) {
        settings.warnings.push(api::SettingsWarning {
            code: "claims_too_large".to_owned(),
            message: format!(
                "the claims of this user have {} bytes; browsers keep 4096 for the whole cookie, so keep them below {ADVISED_BYTES}",
                rendered.bytes
            ),
        });
    }
    Ok(Json(api::ChangedOrDryRun::DryRun(api::SessionTokenDryRun { settings, rendered })))
}

/// The settings in force that concern neither sessions nor tokens.
#[utoipa::path(
    get, path = "/v1/instance/settings",
    responses((status = 200, description = "The settings", body = api::VersionedSettings<InstanceSettings>)),
)]
pub async fn get_instance_settings(
    app: ApplicationServer,
) -> ApiResult<Json<api::VersionedSettings<InstanceSettings>>> {
    in_force(&app).await.map(Json)
}

/// Changes any subset. `?dry_run=true` and `If-Match` as with the session settings.
#[utoipa::path(
    patch, path = "/v1/instance/settings",
    params(api::DryRunQuery, api::IfMatch),
    request_body = InstanceSettingsChange,
    responses((
        status = 200,
        description = "The settings, or the dry run",
        body = api::ChangedOrDryRun<api::ChangedSettings<InstanceSettings>, api::SettingsDryRun<InstanceSettings>>,
    )),
    extensions(("x-error-codes" = json!(CHANGE_CODES))),
)]
pub async fn update_instance_settings(
    app: ApplicationServer,
    request: SettingsRequest,
    params: Params,
) -> ApiResult<Json<impl Serialize>> {
    let changed = change::<InstanceSettings>(&app, &request, params.fields()).await?;
    Ok(Json(match request.change.dry_run {
        true => api::ChangedOrDryRun::DryRun(dry_run::<InstanceSettings>(&changed)),
        false => api::ChangedOrDryRun::Changed(after::<InstanceSettings>(&changed)),
    }))
}

async fn in_force<D: Document>(app: &App) -> ApiResult<api::VersionedSettings<D>> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(versioned(&settings))
}

fn versioned<D: Document>(settings: &Settings) -> api::VersionedSettings<D> {
    api::VersionedSettings {
        object: D::OBJECT.to_owned(),
        version: settings.version,
        updated_at: wire::millis(settings.in_force_from),
        settings: D::of(settings),
    }
}

async fn change<D: Document>(
    app: &App,
    request: &SettingsRequest,
    fields: &Map<String, Value>,
) -> ApiResult<Changed> {
    let error = |error| settings_error(error, D::TABLE);
    let of_others = TABLES.into_iter().filter(|_| D::TABLE.is_empty());
    if let Some(other) = of_others.into_iter().find(|table| fields.contains_key(*table)) {
        let known = registry::names_in("").into_iter().filter(|name| !TABLES.contains(name));
        let why = RefusalReason::Unknown(known.collect());
        return Err(error(Refusal { path: other.to_owned(), why }.into()));
    }
    let change = Change::read(D::TABLE, fields).map_err(|refusal| error(refusal.into()))?;
    app.set_settings(&request.change, &change).await.map_err(error)
}

fn after<D: Document>(changed: &Changed) -> api::ChangedSettings<D> {
    api::ChangedSettings { settings: versioned(&changed.after), warnings: warnings::<D>(changed) }
}

fn dry_run<D: Document>(changed: &Changed) -> api::SettingsDryRun<D> {
    api::SettingsDryRun {
        object: format!("{}_dry_run", D::OBJECT),
        before: D::of(&changed.before),
        after: D::of(&changed.after),
        warnings: warnings::<D>(changed),
    }
}

/// What is to be said about the settings of this document.
fn warnings<D: Document>(changed: &Changed) -> Vec<api::SettingsWarning> {
    let is_about = |warning: &Warning| {
        registry::SETTINGS.iter().any(|setting| D::has(setting.path) && warning.is_about(setting.path))
    };
    wire::settings::warnings(changed.after.warnings().into_iter().filter(is_about))
}

async fn rendered_claims(app: &App, settings: &Settings, user_id: String) -> ApiResult<api::RenderedClaims> {
    let missing = || ApiError::not_found("user");
    let id: UserId = user_id.parse().map_err(|_| missing())?;
    let user = app.store().user(app.instance_id(), id).await?.ok_or_else(missing)?;
    let claims = render(&settings.token.claims, &Scope::of_user(&user));
    let bytes = serde_json::to_string(&claims).map_or(0, |text| text.len() as u64);
    Ok(api::RenderedClaims { user_id, claims, bytes })
}
