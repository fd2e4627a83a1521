//! The fields of an account as requests write them.

use serde_json::{Map, Value};
use sojourn_core::{
    email::Email,
    password::Password,
    time::Timestamp,
    user::{PasswordHash, User, merge_metadata},
};
use sojourn_service::passwords;

use crate::{
    app::App,
    error::chosen_password,
    wire::{ApiError, ApiResult, ErrorCode, Params, params::within_metadata_limit},
};

/// What an account has elsewhere and not here. Dropping one silently would
/// lose data, a second factor, or a right that somebody counts on.
const NOT_OFFERED: [&str; 13] = [
    "username",
    "phone_number",
    "web3_wallet",
    "totp_secret",
    "backup_codes",
    "primary_phone_number_id",
    "primary_web3_wallet_id",
    "profile_image_id",
    "phone_number_identification_status",
    "notify_primary_email_address_changed",
    "create_organization_enabled",
    "create_organizations_limit",
    "timezone",
];

/// Refuses what cannot be kept.
///
/// # Errors
/// `form_param_unknown`, which names it.
pub fn refuse_unknown(params: &Params) -> ApiResult<()> {
    match NOT_OFFERED.iter().find(|name| params.is_given(name)) {
        Some(name) => Err(ApiError::param(ErrorCode::FormParamUnknown, name)
            .why(format!("Users have no {name} here. Leave it out, or keep it in the metadata."))),
        None => Ok(()),
    }
}

/// Names, external id, language and times, as far as they were sent; null clears.
///
/// # Errors
/// A value of another type.
pub fn apply_profile(params: &Params, user: &mut User, now: Timestamp) -> ApiResult<()> {
    for (name, field) in [
        ("first_name", &mut user.first_name),
        ("last_name", &mut user.last_name),
        ("external_id", &mut user.external_id),
        ("locale", &mut user.locale),
    ] {
        if params.has(name) {
            *field = params.text(name)?;
        }
    }
    if let Some(at) = instant(params, "created_at", now)? {
        user.created_at = at;
    }
    if let Some(at) = instant(params, "legal_accepted_at", now)? {
        user.legal_accepted_at = Some(at);
    }
    if let Some(enabled) = params.flag("delete_self_enabled")? {
        user.delete_self_enabled = enabled;
    }
    Ok(())
}

/// How metadata is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Each given field is replaced.
    Replace,
    /// Each given field is merged deeply; null deletes a key.
    Merge,
}

/// The three kinds of metadata, as far as they were sent.
///
/// # Errors
/// A value that is no object.
pub fn apply_metadata(params: &Params, user: &mut User, writing: Writing) -> ApiResult<()> {
    let apply = |name: &str, field: &mut Map<String, Value>| {
        match (params.object(name)?, writing) {
            (None, _) => {}
            (Some(value), Writing::Replace) => *field = value,
            (Some(patch), Writing::Merge) => merge_metadata(field, &patch),
        }
        within_metadata_limit(name, field)
    };
    apply("public_metadata", &mut user.public_metadata)?;
    apply("private_metadata", &mut user.private_metadata)?;
    apply("unsafe_metadata", &mut user.unsafe_metadata)
}

/// A point in time as RFC 3339, not after `now`.
///
/// # Errors
/// Anything else.
pub fn instant(params: &Params, name: &str, now: Timestamp) -> ApiResult<Option<Timestamp>> {
    let Some(text) = params.text(name)? else { return Ok(None) };
    let parsed: jiff::Timestamp = text.parse().map_err(|_| {
        ApiError::param(ErrorCode::FormParamFormatInvalid, name)
            .why(format!("{name} has to be a time such as 2026-01-31T12:00:00Z (RFC 3339)."))
    })?;
    let at = Timestamp::from_millis(parsed.as_millisecond());
    if at > now {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .why(format!("{name} must not lie in the future.")));
    }
    Ok(Some(at))
}

/// The addresses of a new account, each once.
///
/// # Errors
/// None, or a text that is no address.
pub fn addresses(params: &Params) -> ApiResult<Vec<Email>> {
    let name = "email_address";
    let mut emails: Vec<Email> = Vec::new();
    for text in params.texts(name)? {
        let email = Email::parse(&text).map_err(|_| {
            ApiError::param(ErrorCode::FormParamFormatInvalid, name)
                .why(format!("{text} is not an e-mail address. Correct it."))
        })?;
        if !emails.contains(&email) {
            emails.push(email);
        }
    }
    if params.texts("email_address_identification_status")?.iter().any(|status| status != "verified") {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "email_address_identification_status")
            .why(
                "Addresses given with the secret key count as verified; reserved ones are not offered here.",
            ));
    }
    if emails.is_empty() {
        return Err(ApiError::param(ErrorCode::FormParamMissing, name)
            .why("A user needs an e-mail address to sign in with. Give email_address."));
    }
    Ok(emails)
}

/// The hash of the password that was sent, or the hash itself.
///
/// # Errors
/// A password that breaks the rules, or a digest that cannot be used.
pub async fn password(app: &App, params: &Params) -> ApiResult<Option<PasswordHash>> {
    if let Some(digest) = params.text("password_digest")? {
        let hasher = params.required("password_hasher")?;
        return Ok(Some(passwords::imported(&digest, &hasher)?));
    }
    if !params.is_given("password") {
        return Ok(None);
    }
    let password = match params.flag("skip_password_checks")?.unwrap_or(false) {
        true => Password::present(&params.required("password")?),
        false => chosen_password(params, "password")?,
    };
    Ok(Some(app.passwords().hash(password).await?))
}
