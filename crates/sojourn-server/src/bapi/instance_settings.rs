//! The settings that concern neither sessions nor tokens: ours.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use sojourn_core::settings::{EnumerationProtection, Settings};
use sojourn_store::Engine as _;
use url::Url;

use super::settings::{ChangeRequest, Fields, change, versioned};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Longest name of an application.
pub const MAX_NAME_CHARS: usize = 128;
/// Most origins that the settings hold.
pub const MAX_ORIGINS: usize = 100;

fn document(settings: &Settings) -> Value {
    json!(settings.instance)
}

fn object(settings: &Settings) -> Value {
    versioned("instance_settings", document(settings), settings)
}

/// The settings in force.
#[utoipa::path(get, path = "/v1/instance/settings", tag = "Settings", responses((status = 200, description = "The settings")))]
pub async fn get_instance_settings(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(Json(object(&settings)).into_response())
}

/// Changes any subset. `?dry_run=true` and `If-Match` as with the session settings.
#[utoipa::path(patch, path = "/v1/instance/settings", tag = "Settings", responses((status = 200, description = "The settings, or the dry run"), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "A value is not accepted")))]
pub async fn update_instance_settings(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = ChangeRequest::of(&headers, query.as_deref())?;
    let patch = InstancePatch::of(&app, params.fields())?;
    let changed = change(&app, &request, |settings| Ok(patch.applied_to(settings))).await?;
    let mut answer = if request.dry_run {
        json!({
            "object": "instance_settings_dry_run",
            "before": document(&changed.before),
            "after": document(&changed.after),
        })
    } else {
        object(&changed.after)
    };
    answer["warnings"] = json!([]);
    Ok(Json(answer).into_response())
}

/// A change of these settings that was read and can be.
#[derive(Debug)]
pub struct InstancePatch {
    application_name: Option<String>,
    verify_at_sign_up: Option<bool>,
    enumeration_protection: Option<EnumerationProtection>,
    /// Given as null: taken away.
    home_url: Option<Option<String>>,
    test_mode: Option<bool>,
    allowed_origins: Option<Vec<String>>,
}

impl InstancePatch {
    /// What it may hold.
    pub const KNOWN: [&str; 6] =
        ["application_name", "auth_email", "auth_attack_protection", "paths", "test_mode", "allowed_origins"];

    /// Reads the change.
    ///
    /// # Errors
    /// An unknown field, or a value that cannot be.
    pub fn of(app: &App, fields: &Map<String, Value>) -> ApiResult<Self> {
        let fields = Fields::new(fields, "", &Self::KNOWN)?;
        let auth_email = fields.object("auth_email")?;
        let verify_at_sign_up = match auth_email {
            Some(object) => {
                Fields::new(object, "auth_email.", &["verify_at_sign_up"])?.flag("verify_at_sign_up")?
            }
            None => None,
        };
        let enumeration_protection = match fields.object("auth_attack_protection")? {
            Some(object) => enumeration_protection(object)?,
            None => None,
        };
        let home_url = match fields.object("paths")? {
            Some(object) => home_url(&Fields::new(object, "paths.", &["home_url"])?)?,
            None => None,
        };
        Ok(Self {
            application_name: application_name(&fields)?,
            verify_at_sign_up,
            enumeration_protection,
            home_url,
            test_mode: test_mode(app, &fields)?,
            allowed_origins: exact_origins(&fields)?,
        })
    }

    /// The settings after it.
    pub fn applied_to(&self, settings: &Settings) -> Settings {
        let mut next = settings.clone();
        let instance = &mut next.instance;
        if let Some(name) = &self.application_name {
            instance.application_name.clone_from(name);
        }
        instance.auth_email.verify_at_sign_up =
            self.verify_at_sign_up.unwrap_or(instance.auth_email.verify_at_sign_up);
        if let Some(protection) = self.enumeration_protection {
            instance.auth_attack_protection.enumeration_protection = protection;
        }
        if let Some(home_url) = &self.home_url {
            instance.paths.home_url.clone_from(home_url);
        }
        instance.test_mode = self.test_mode.unwrap_or(instance.test_mode);
        if let Some(origins) = &self.allowed_origins {
            instance.allowed_origins.clone_from(origins);
        }
        next
    }
}

/// It stands in subjects of mails and in titles: one line of text.
fn application_name(fields: &Fields<'_>) -> ApiResult<Option<String>> {
    let Some(name) = fields.text("application_name")? else { return Ok(None) };
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        let what = format!("one line of 1 to {MAX_NAME_CHARS} characters");
        return Err(fields.refuse(ErrorCode::FormParamFormatInvalid, "application_name", &what));
    }
    Ok(Some(name.to_owned()))
}

fn enumeration_protection(object: &Map<String, Value>) -> ApiResult<Option<EnumerationProtection>> {
    const NAME: &str = "enumeration_protection";
    let fields = Fields::new(object, "auth_attack_protection.", &[NAME])?;
    let Some(word) = fields.text(NAME)? else { return Ok(None) };
    match EnumerationProtection::from_word(word) {
        Some(protection) => Ok(Some(protection)),
        None => Err(fields.refuse(ErrorCode::FormParamValueInvalid, NAME, "off or strict")),
    }
}

fn home_url(fields: &Fields<'_>) -> ApiResult<Option<Option<String>>> {
    if fields.is_null("home_url") {
        return Ok(Some(None));
    }
    let Some(text) = fields.text("home_url")? else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && plain
    });
    match url {
        Some(url) => Ok(Some(Some(url.into()))),
        None => {
            let what = "an absolute http or https address such as https://example.com/, or null";
            Err(fields.refuse(ErrorCode::FormParamFormatInvalid, "home_url", what))
        }
    }
}

/// Test addresses and their code, which production never has.
///
/// # Errors
/// Another type, or switched on in production.
pub fn test_mode(app: &App, fields: &Fields<'_>) -> ApiResult<Option<bool>> {
    let test_mode = fields.flag("test_mode")?;
    if test_mode == Some(true) && !app.is_development() {
        return Err(ApiError::new(ErrorCode::RequestInvalidForEnvironment).why(
            "Test mode would let anybody into a production instance. Use a development instance for tests.",
        ));
    }
    Ok(test_mode)
}

/// Origins as browsers send them: scheme, host, port, nothing else.
///
/// # Errors
/// Another type, or a text that is not exactly an http or https origin.
pub fn exact_origins(fields: &Fields<'_>) -> ApiResult<Option<Vec<String>>> {
    let Some(origins) = fields.texts("allowed_origins")? else { return Ok(None) };
    let is_exact = |text: &String| {
        Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *text
        })
    };
    if let Some(origin) = origins.iter().find(|origin| !is_exact(origin)) {
        let what = format!(
            "a list of origins such as https://app.example.com, without path or slash at the end, which {origin:?} is not"
        );
        return Err(fields.refuse(ErrorCode::FormParamFormatInvalid, "allowed_origins", &what));
    }
    if origins.len() > MAX_ORIGINS {
        let what = format!("a list of at most {MAX_ORIGINS} origins");
        return Err(fields.refuse(ErrorCode::FormParamValueInvalid, "allowed_origins", &what));
    }
    Ok(Some(origins))
}
