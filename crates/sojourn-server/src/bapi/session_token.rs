//! What session tokens say and how long they are good; not to be confused with
//! how long sessions live.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use sojourn_core::{
    id::UserId,
    settings::{Settings, TokenSettingsPatch, TokenSettingsRefusal},
    template::{Scope, TemplateError, render},
};
use sojourn_store::Engine as _;

use super::settings::{ChangeRequest, Fields, change, refuse, versioned, warnings};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

const WARNINGS: [&str; 3] = ["inactivity_below_token_lifetime", "token_outlives_revocation", "aud_claim"];
/// Claims of one's own beyond this leave too little of the 4 KB of a cookie.
const ADVISED_BYTES: usize = 1200;

fn document(settings: &Settings) -> Value {
    json!(settings.token)
}

fn object(settings: &Settings) -> Value {
    versioned("session_token_settings", document(settings), settings)
}

/// The session token's settings in force.
#[utoipa::path(get, path = "/v1/instance/session_token", tag = "Settings", responses((status = 200, description = "The session token's settings")))]
pub async fn get_session_token(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    Ok(Json(object(&settings)).into_response())
}

/// Changes any subset; `claims` is replaced whole. `?dry_run=true&user_id=…`
/// changes nothing and renders the claims for that user.
#[utoipa::path(patch, path = "/v1/instance/session_token", tag = "Settings", responses((status = 200, description = "The settings, or the dry run"), (status = 400, description = "A reserved claim"), (status = 409, description = "Another version is in force, or a value is pinned"), (status = 422, description = "A value is not accepted")))]
pub async fn update_session_token(
    State(app): State<App>,
    _: ApplicationServer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    let request = ChangeRequest::of(&headers, query.as_deref())?;
    let patch = TokenPatch::of(params.fields(), "")?;
    let changed = change(&app, &request, |settings| patch.applied_to(&app, settings)).await?;
    let mut noted = warnings(&changed.after, &WARNINGS);
    if !request.dry_run {
        let mut answer = object(&changed.after);
        answer["warnings"] = noted.into();
        return Ok(Json(answer).into_response());
    }
    let mut answer = json!({
        "object": "session_token_settings_dry_run",
        "before": document(&changed.before),
        "after": document(&changed.after),
    });
    if let Some(id) = request.query.text("user_id")? {
        let rendered = rendered(&app, &changed.after, &id).await?;
        let bytes = rendered.len();
        if bytes > ADVISED_BYTES {
            noted.push(json!({
                "code": "claims_too_large",
                "message": format!("the claims of this user have {bytes} bytes; browsers keep 4096 for the whole cookie, so keep them below {ADVISED_BYTES}"),
            }));
        }
        answer["rendered"] = json!({
            "user_id": id,
            "claims": serde_json::from_slice::<Value>(&rendered).map_err(ApiError::internal)?,
            "bytes": bytes,
        });
    }
    answer["warnings"] = noted.into();
    Ok(Json(answer).into_response())
}

async fn rendered(app: &App, settings: &Settings, user_id: &str) -> ApiResult<Vec<u8>> {
    let missing = || ApiError::not_found("user");
    let id: UserId = user_id.parse().map_err(|_| missing())?;
    let user = app.store().user(app.instance_id(), id).await?.ok_or_else(missing)?;
    let claims: Map<String, Value> = render(&settings.token.claims, &Scope::of_user(&user));
    serde_json::to_vec(&claims).map_err(ApiError::internal)
}

/// A change of the session token's settings that was read, and where it stood.
#[derive(Debug)]
pub struct TokenPatch {
    patch: TokenSettingsPatch,
    place: String,
}

impl TokenPatch {
    /// Reads the change from the object at `place`.
    ///
    /// # Errors
    /// An unknown field, or one of another type.
    pub fn of(fields: &Map<String, Value>, place: &str) -> ApiResult<Self> {
        let fields = Fields::new(fields, place, &["claims", "lifetime", "allowed_clock_skew"])?;
        let seconds = |name: &str| {
            // What does not fit is out of bounds, whichever they are.
            Ok::<_, ApiError>(fields.seconds(name)?.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)))
        };
        let claims = match fields.is_null("claims") {
            true => Some(Map::new()),
            false => fields.object("claims")?.cloned(),
        };
        let patch = TokenSettingsPatch {
            claims,
            lifetime: seconds("lifetime")?,
            allowed_clock_skew: seconds("allowed_clock_skew")?,
        };
        Ok(Self { patch, place: place.to_owned() })
    }

    /// The settings after it.
    ///
    /// # Errors
    /// A value out of bounds, a reserved claim, or claims that are no template.
    pub fn applied_to(&self, app: &App, settings: &Settings) -> ApiResult<Settings> {
        let refuse = |why| refusal(&self.place, why);
        let token = settings.token.change(&self.patch, app.is_development()).map_err(refuse)?;
        Ok(Settings { token, ..settings.clone() })
    }
}

fn refusal(place: &str, refusal: TokenSettingsRefusal) -> ApiError {
    let invalid = ErrorCode::FormParamValueInvalid;
    let claims = format!("{place}claims");
    match refusal {
        TokenSettingsRefusal::Lifetime { least, most } => {
            let what = format!("from {least} to {most} seconds on this instance");
            refuse(invalid, place, "lifetime", &what)
        }
        TokenSettingsRefusal::ClockSkew => {
            refuse(invalid, place, "allowed_clock_skew", "from 0 to 300 seconds")
        }
        TokenSettingsRefusal::Claims(TemplateError::Reserved(name)) => {
            ApiError::new(ErrorCode::ReservedClaim)
                .why(format!("The token sets {name} itself. Give the claim another name."))
                .meta("name", name)
                .meta("param_name", claims)
        }
        TokenSettingsRefusal::Claims(error @ TemplateError::TooLarge(_)) => {
            ApiError::param(ErrorCode::FormParamExceedsAllowedSize, &claims)
                .why(format!("The claims cannot be used: {error}."))
        }
        TokenSettingsRefusal::Claims(error) => ApiError::param(ErrorCode::FormParamFormatInvalid, &claims)
            .why(format!("The claims cannot be used: {error}.")),
    }
}
