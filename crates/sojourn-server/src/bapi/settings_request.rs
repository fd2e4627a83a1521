//! What every change of the settings has in common over HTTP: the version that is meant, dry runs,
//! authors, and the codes of what is refused.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use sojourn_core::{
    audit::AuditContext,
    settings::{Reason, Refusal, RefusalReason},
    template::TemplateError,
};
use sojourn_service::settings::{Author, ChangeRequest, SettingsError};

use crate::{
    auth::secret_key::cli_user,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// What a change of the settings may be refused with.
pub const CHANGE_CODES: [&str; 11] = [
    "form_param_exceeds_allowed_size",
    "form_param_format_invalid",
    "form_param_nil",
    "form_param_type_invalid",
    "form_param_unknown",
    "form_param_value_invalid",
    "malformed_request_parameters",
    "request_invalid_for_environment",
    "jwt_template_reserved_claim",
    "session_lifetime_required",
    "setting_pinned",
];

/// What a change of the settings is asked with.
#[derive(Clone, Debug)]
pub struct SettingsRequest {
    pub change: ChangeRequest,
    /// The query, for what else it says.
    pub query: Params,
}

impl SettingsRequest {
    /// Reads the header and the query.
    ///
    /// # Errors
    /// An `If-Match` that is no version.
    pub fn of(context: &AuditContext, headers: &HeaderMap, query: Option<&str>) -> ApiResult<Self> {
        let query = Params::from_form(query.unwrap_or(""))?;
        let dry_run = query.flag("dry_run")?.unwrap_or(false);
        let expected = match headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or("")) {
            None | Some("*") => None,
            Some(text) => {
                Some(text.trim().trim_start_matches("W/").trim_matches('"').parse().map_err(|_| {
                    ApiError::new(ErrorCode::MalformedRequestParameters).why(
                        "If-Match has to be the version that the settings showed, such as 3, or be left out.",
                    )
                })?)
            }
        };
        let author = Author::Named(author(headers));
        Ok(Self {
            change: ChangeRequest { expected, dry_run, ..ChangeRequest::by(author, context.clone()) },
            query,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SettingsRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        // The extractor of the secret key comes first, and leaves it here.
        let context = parts.extensions.get::<Arc<AuditContext>>();
        let context = context.ok_or_else(|| ApiError::new(ErrorCode::AuthenticationInvalid))?;
        Self::of(context, &parts.headers, parts.uri.query())
    }
}

/// Who changes the settings, for the history. Only a label: the secret key is
/// what allows it, and whoever has that may call themselves anything, but not
/// `system`, a file or a variable.
fn author(headers: &HeaderMap) -> String {
    cli_user(headers).map_or_else(|| "backend".to_owned(), |name| format!("cli:{name}"))
}

/// The answer to a change that is not put into force; paths are told relative to `table`, which
/// the request's address named.
pub fn settings_error(error: SettingsError, table: &str) -> ApiError {
    let text = error.to_string();
    match error {
        SettingsError::Refused(refusal) => refused(refusal, table),
        SettingsError::Pinned(pin) => ApiError::new(ErrorCode::SettingPinned)
            .why(text)
            .meta("param_name", pin.setting.path)
            .meta("pinned_in", pin.origin),
        SettingsError::OtherVersion { in_force, .. } => {
            ApiError::new(ErrorCode::Conflict).why(text).meta("version", in_force)
        }
        SettingsError::Commit(error) => error.into(),
    }
}

fn refused(mut refusal: Refusal, table: &str) -> ApiError {
    if let Some(inside) = refusal.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')) {
        refusal.path = inside.to_owned();
    }
    let (code, bounds) = code(&refusal.why);
    let error = match &refusal.why {
        RefusalReason::NeitherLimit => ApiError::new(code),
        RefusalReason::Value { mismatch, .. } => match &mismatch.reason {
            Reason::Claims(TemplateError::Reserved(name)) => {
                ApiError::new(code).meta("name", name.as_str()).meta("param_name", refusal.path.as_str())
            }
            _ => ApiError::param(code, &refusal.path),
        },
        _ => ApiError::param(code, &refusal.path),
    };
    let error = error.why(refusal.to_string());
    match bounds {
        Some((least, most)) => error.meta("least", least).meta("most", most),
        None => error,
    }
}

fn code(why: &RefusalReason) -> (ErrorCode, Option<(u64, u64)>) {
    let code = match why {
        RefusalReason::Unknown(_) => ErrorCode::FormParamUnknown,
        RefusalReason::NotATable { is_null: true } | RefusalReason::TakesAway => ErrorCode::FormParamNil,
        RefusalReason::NotATable { is_null: false } => ErrorCode::FormParamTypeInvalid,
        RefusalReason::NeitherLimit => ErrorCode::SessionLifetimeRequired,
        RefusalReason::Value { mismatch, .. } => {
            let code = match &mismatch.reason {
                Reason::Null => ErrorCode::FormParamNil,
                Reason::Type => ErrorCode::FormParamTypeInvalid,
                Reason::Format => ErrorCode::FormParamFormatInvalid,
                Reason::Value => ErrorCode::FormParamValueInvalid,
                Reason::Production => ErrorCode::RequestInvalidForEnvironment,
                Reason::Claims(TemplateError::Reserved(_)) => ErrorCode::ReservedClaim,
                Reason::Claims(TemplateError::TooLarge(_)) => ErrorCode::FormParamExceedsAllowedSize,
                Reason::Claims(_) => ErrorCode::FormParamFormatInvalid,
            };
            return (code, mismatch.bounds);
        }
    };
    (code, None)
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        settings_error(error, "")
    }
}
