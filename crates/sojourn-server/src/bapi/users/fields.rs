//! The fields of a user in requests.

use sojourn_core::{
    email::Email,
    imported_hash,
    password::Password,
    time::Timestamp,
    user::{MAX_EMAIL_ADDRESSES, PasswordHash},
};
use sojourn_service::users::{NewEmail, UserPatch};

use crate::{
    app::App,
    error::chosen_password,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Fields of the vendor's API that this server does not have. Ignoring one silently would lose
/// data, a second factor, or a permission that the application relies on.
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

/// Refuses fields that cannot be stored.
///
/// # Errors
/// `form_param_unknown`, with the name of the field.
pub fn refuse_unknown(params: &Params) -> ApiResult<()> {
    match NOT_OFFERED.iter().find(|name| params.is_given(name)) {
        Some(name) => Err(ApiError::param(ErrorCode::FormParamUnknown, name)
            .why(format!("Users have no {name} here. Leave it out, or keep it in the metadata."))),
        None => Ok(()),
    }
}

/// Names, metadata and other fields that need only the request; null clears a field.
///
/// # Errors
/// A value of another type.
pub fn patch(params: &Params, now: Timestamp) -> ApiResult<UserPatch> {
    let text = |name: &str| params.has(name).then(|| params.line(name)).transpose();
    Ok(UserPatch {
        first_name: text("first_name")?,
        last_name: text("last_name")?,
        external_id: text("external_id")?,
        locale: text("locale")?,
        created_at: instant(params, "created_at", now)?,
        legal_accepted_at: instant(params, "legal_accepted_at", now)?,
        delete_self_enabled: params.flag("delete_self_enabled")?,
        ..metadata(params)?
    })
}

/// The three kinds of metadata in the request.
///
/// # Errors
/// A value that is not an object.
pub fn metadata(params: &Params) -> ApiResult<UserPatch> {
    Ok(UserPatch {
        public_metadata: params.object("public_metadata")?,
        private_metadata: params.object("private_metadata")?,
        unsafe_metadata: params.object("unsafe_metadata")?,
        ..UserPatch::default()
    })
}

/// A time in RFC 3339 format, not after `now`.
///
/// # Errors
/// A value in another format, or in the future.
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

/// The addresses of a new user, without duplicates. `reserved` identifies the account without being
/// verified, as only the first address can; `unverified` identifies nobody, and is ours.
///
/// # Errors
/// No address, a text that is not an address, or a status that its address cannot have.
pub fn addresses(params: &Params) -> ApiResult<Vec<NewEmail>> {
    let (name, status_name) = ("email_address", "email_address_identification_status");
    let (texts, statuses) = (params.texts(name)?, params.texts(status_name)?);
    if !statuses.is_empty() && statuses.len() != texts.len() {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, status_name)
            .why(format!("{status_name} needs one value for each email_address, or none.")));
    }
    let mut emails: Vec<NewEmail> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let email = Email::parse(text).map_err(|_| {
            ApiError::param(ErrorCode::FormParamFormatInvalid, name)
                .why(format!("{text} is not an e-mail address. Correct it."))
        })?;
        let is_verified = match (index, statuses.get(index).map(String::as_str)) {
            (_, None | Some("verified")) => true,
            (0, Some("reserved")) | (1.., Some("unverified")) => false,
            _ => {
                return Err(ApiError::param(ErrorCode::FormParamValueInvalid, status_name).why(
                    "An address is verified; the first may be reserved instead, and the others unverified.",
                ));
            }
        };
        if !emails.iter().any(|known| known.email == email) {
            emails.push(NewEmail { email, is_verified });
        }
    }
    if emails.is_empty() {
        return Err(ApiError::param(ErrorCode::FormParamMissing, name)
            .why("A user needs an e-mail address to sign in with. Give email_address."));
    }
    if emails.len() > MAX_EMAIL_ADDRESSES {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .why(format!("A user may have {MAX_EMAIL_ADDRESSES} addresses.")));
    }
    Ok(emails)
}

/// The imported hash in the request.
///
/// # Errors
/// A hash that cannot be used.
pub fn digest(params: &Params) -> ApiResult<Option<PasswordHash>> {
    let Some(digest) = params.text("password_digest")? else { return Ok(None) };
    Ok(Some(imported_hash::import(&digest, &params.required("password_hasher")?)?))
}

/// The hash of the password in the request, or the imported hash.
///
/// # Errors
/// A password that breaks the rules, or a hash that cannot be used.
pub async fn password(app: &App, params: &Params) -> ApiResult<Option<PasswordHash>> {
    if let Some(digest) = digest(params)? {
        return Ok(Some(digest));
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
