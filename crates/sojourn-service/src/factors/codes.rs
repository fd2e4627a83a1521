//! Codes: made, hashed, and sent by mail.

use aws_lc_rs::hmac;
use sojourn_core::{
    email::Email, factor::CodeHash, id::Randomness as _, settings::Settings, time::Timestamp,
};
use sojourn_store::Write;

use super::AuthError;
use crate::{
    instance::Service,
    mail::{CodePurpose, Notice},
};

/// The code of every test address (AUT-09).
/// Compat: clerk-docs guides/development/testing/test-emails-and-phones
const TEST_CODE: &str = "424242";

/// Six digits; always the same for test addresses where there are any.
pub(crate) fn new_code(service: &Service, settings: &Settings, to: &Email) -> String {
    if is_test(service, settings, to) {
        return TEST_CODE.to_owned();
    }
    // 2^64 is so far above a million that the remainder favours no code.
    let mut bytes = [0; 8];
    service.random().fill(&mut bytes);
    format!("{:06}", u64::from_le_bytes(bytes) % 1_000_000)
}

/// The keyed hash of a code, bound to the attempt it belongs to.
pub(crate) fn hash_code(service: &Service, attempt: &str, code: &str) -> CodeHash {
    let key = hmac::Key::new(hmac::HMAC_SHA256, service.code_key());
    let tag = hmac::sign(&key, format!("{attempt} {}", code.trim()).as_bytes());
    CodeHash(hex::encode(tag))
}

/// The mail with a code; none for test addresses.
pub(crate) fn mail_code(
    service: &Service,
    settings: &Settings,
    to: &Email,
    purpose: CodePurpose,
    code: &str,
    now: Timestamp,
) -> Result<Option<Write>, AuthError> {
    if !gets_mail(service, settings, to)? {
        return Ok(None);
    }
    let name = &settings.instance.application_name;
    service
        .mailer()
        .code(now, name, to, purpose, code, &mut service.random())
        .map(Some)
        .map_err(AuthError::Mail)
}

/// The mail that says why there is no code; none for test addresses.
pub(crate) fn mail_notice(
    service: &Service,
    settings: &Settings,
    to: &Email,
    notice: Notice,
    now: Timestamp,
) -> Result<Option<Write>, AuthError> {
    if !gets_mail(service, settings, to)? {
        return Ok(None);
    }
    let name = &settings.instance.application_name;
    service.mailer().notice(now, name, to, notice, &mut service.random()).map(Some).map_err(AuthError::Mail)
}

/// Whether a mail to this address is written, which counts as one (AUT-08).
///
/// # Errors
/// [`AuthError::RateLimited`].
pub(crate) fn gets_mail(service: &Service, settings: &Settings, to: &Email) -> Result<bool, AuthError> {
    if is_test(service, settings, to) {
        return Ok(false);
    }
    service.rate_limits().mail(to).map_err(AuthError::RateLimited)?;
    Ok(true)
}

fn is_test(service: &Service, settings: &Settings, to: &Email) -> bool {
    service.has_development_tools() && settings.instance.test_mode && to.is_test()
}
