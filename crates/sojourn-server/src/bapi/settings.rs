//! The settings as three documents: how long sessions live, the session token, and the rest. Read
//! them, change any subset, and see first what a change would do.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use sojourn_core::{
    id::UserId,
    settings::{Change, Refusal, RefusalReason, Settings, registry, registry::value_at},
    template::{Scope, render},
};
use sojourn_service::settings::Changed;
use sojourn_store::Engine as _;

use super::{
    settings_request::{SettingsRequest, settings_error},
    settings_schema::{
        InstanceSettingsAnswer, InstanceSettingsChange, SessionSettingsAnswer, SessionSettingsChange,
        SessionTokenAnswer, SessionTokenChange,
    },
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, Params},
};

/// One of the three: a table of the configuration, or what is in none of the others.
struct Document {
    /// The word in its field `object`.
    object: &'static str,
    table: &'static str,
}

const SESSION: Document = Document { object: "session_settings", table: "session_settings" };
const TOKEN: Document = Document { object: "session_token_settings", table: "session" };
const REST: Document = Document { object: "instance_settings", table: "" };

/// Claims of one's own beyond this leave too little of the 4 KB of a cookie.
const ADVISED_BYTES: usize = 1200;

/// The session settings in force.
#[utoipa::path(
    get,
    path = "/v1/instance/session_settings",
    tag = "Settings",
    responses((status = 200, description = "The session settings", body = SessionSettingsAnswer)),
)]
pub async fn get_session_settings(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    get(&app, &SESSION).await
}

/// Changes any subset of the session settings, at once for all sessions. `?dry_run=true` changes
/// nothing and counts the sessions that the change would end; `If-Match` names the version to
/// change.
#[utoipa::path(
    patch,
    path = "/v1/instance/session_settings",
    tag = "Settings",
    request_body = SessionSettingsChange,
    responses(
        (status = 200, description = "The settings, or the dry run", body = SessionSettingsAnswer),
        (status = 409, description = "Another version is in force, or a value is pinned"),
        (status = 422, description = "Neither limit would be on, or a value is not accepted"),
    ),
)]
pub async fn update_session_settings(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = SettingsRequest::of(&headers, query.as_deref())?;
    let changed = change(&app, &SESSION, &request, params.fields()).await?;
    let mut answer = rendered(&SESSION, &request, &changed);
    if request.change.dry_run {
        answer["would_end"] = json!(app.would_end(&changed).await?);
    }
    Ok(Json(answer).into_response())
}

/// The session token's settings in force, and whose claims were too large for a token: counted by
/// the process that answers, since it was started.
#[utoipa::path(
    get,
    path = "/v1/instance/session_token",
    tag = "Settings",
    responses((status = 200, description = "The session token's settings", body = SessionTokenAnswer)),
)]
pub async fn get_session_token(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let cut = app.cut_claims().report();
    let mut answer = TOKEN.versioned(&settings);
    answer["claims_cut"] = json!({"since": cut.since, "tokens": cut.tokens, "user_ids": cut.users});
    Ok(Json(answer).into_response())
}

/// Changes any subset; `claims` is replaced whole. `?dry_run=true&user_id=…`
/// changes nothing and renders the claims for that user.
#[utoipa::path(
    patch,
    path = "/v1/instance/session_token",
    tag = "Settings",
    request_body = SessionTokenChange,
    responses(
        (status = 200, description = "The settings, or the dry run", body = SessionTokenAnswer),
        (status = 400, description = "A reserved claim"),
        (status = 409, description = "Another version is in force, or a value is pinned"),
        (status = 422, description = "A value is not accepted"),
    ),
)]
pub async fn update_session_token(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = SettingsRequest::of(&headers, query.as_deref())?;
    let changed = change(&app, &TOKEN, &request, params.fields()).await?;
    let mut answer = rendered(&TOKEN, &request, &changed);
    if let Some(user_id) = request.query.text("user_id")?.filter(|_| request.change.dry_run) {
        let claims = rendered_claims(&app, &changed.after, &user_id).await?;
        let bytes = claims.to_string().len();
        if let Some(warnings) = answer["warnings"].as_array_mut().filter(|_| bytes > ADVISED_BYTES) {
            warnings.push(json!({
                "code": "claims_too_large",
                "message": format!("the claims of this user have {bytes} bytes; browsers keep 4096 for the whole cookie, so keep them below {ADVISED_BYTES}"),
            }));
        }
        answer["rendered"] = json!({"user_id": user_id, "claims": claims, "bytes": bytes});
    }
    Ok(Json(answer).into_response())
}

/// The settings in force that concern neither sessions nor tokens.
#[utoipa::path(
    get,
    path = "/v1/instance/settings",
    tag = "Settings",
    responses((status = 200, description = "The settings", body = InstanceSettingsAnswer)),
)]
pub async fn get_instance_settings(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    get(&app, &REST).await
}

/// Changes any subset. `?dry_run=true` and `If-Match` as with the session settings.
#[utoipa::path(
    patch,
    path = "/v1/instance/settings",
    tag = "Settings",
    request_body = InstanceSettingsChange,
    responses(
        (status = 200, description = "The settings, or the dry run", body = InstanceSettingsAnswer),
        (status = 409, description = "Another version is in force, or a value is pinned"),
        (status = 422, description = "A value is not accepted"),
    ),
)]
pub async fn update_instance_settings(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = SettingsRequest::of(&headers, query.as_deref())?;
    let changed = change(&app, &REST, &request, params.fields()).await?;
    Ok(Json(rendered(&REST, &request, &changed)).into_response())
}

impl Document {
    fn has(&self, path: &str) -> bool {
        let is_in = |document: &Self| registry::is_below(path, document.table);
        is_in(self) && (!self.table.is_empty() || !(is_in(&SESSION) || is_in(&TOKEN)))
    }

    fn of(&self, settings: &Settings) -> Value {
        let config = settings.config();
        if !self.table.is_empty() {
            return value_at(&config, self.table).clone();
        }
        let rest = config.into_iter().filter(|(name, _)| *name != SESSION.table && *name != TOKEN.table);
        rest.collect::<Map<_, _>>().into()
    }

    /// As it is answered: with the version it belongs to.
    fn versioned(&self, settings: &Settings) -> Value {
        let mut document = self.of(settings);
        document["object"] = self.object.into();
        document["version"] = settings.version.into();
        document["updated_at"] = settings.in_force_from.as_millis().into();
        document
    }
}

async fn get(app: &App, document: &Document) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(Json(document.versioned(&settings)).into_response())
}

async fn change(
    app: &App,
    document: &Document,
    request: &SettingsRequest,
    fields: &Map<String, Value>,
) -> ApiResult<Changed> {
    let error = |error| settings_error(error, document.table);
    let of_others = [SESSION.table, TOKEN.table].into_iter().filter(|_| document.table.is_empty());
    if let Some(other) = of_others.into_iter().find(|table| fields.contains_key(*table)) {
        let known =
            registry::names_in("").into_iter().filter(|name| ![SESSION.table, TOKEN.table].contains(name));
        let why = RefusalReason::Unknown(known.collect());
        return Err(error(Refusal { path: other.to_owned(), why }.into()));
    }
    let change = Change::read(document.table, fields).map_err(|refusal| error(refusal.into()))?;
    app.set_settings(&request.change, &change).await.map_err(error)
}

/// The settings after a change, or the dry run, with what is to be said about them.
fn rendered(document: &Document, request: &SettingsRequest, changed: &Changed) -> Value {
    let mut answer = match request.change.dry_run {
        true => json!({
            "object": format!("{}_dry_run", document.object),
            "before": document.of(&changed.before),
            "after": document.of(&changed.after),
        }),
        false => document.versioned(&changed.after),
    };
    let warnings = changed.after.warnings();
    let about = |one: &&sojourn_core::settings::Warning| {
        registry::SETTINGS.iter().any(|setting| document.has(setting.path) && one.is_about(setting.path))
    };
    answer["warnings"] = json!(warnings.iter().filter(about).collect::<Vec<_>>());
    answer
}

async fn rendered_claims(app: &App, settings: &Settings, user_id: &str) -> ApiResult<Value> {
    let missing = || ApiError::not_found("user");
    let id: UserId = user_id.parse().map_err(|_| missing())?;
    let user = app.store().user(app.instance_id(), id).await?.ok_or_else(missing)?;
    Ok(Value::Object(render(&settings.token.claims, &Scope::of_user(&user))))
}
