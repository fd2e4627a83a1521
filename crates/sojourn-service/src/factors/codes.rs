//! Codes: generate, hash, and send by mail.

use aws_lc_rs::hmac;
use sojourn_core::{email::Email, factor::CodeHash, id::Randomness as _, settings::Settings};
use sojourn_store::Write;

use super::AuthError;
use crate::{
    browser::RequestContext,
    instance::Service,
    mail::{CodePurpose, Message, Notice, Occasion},
};

/// The code of every test address (AUT-09).
/// Compat: clerk-docs guides/development/testing/test-emails-and-phones
const TEST_CODE: &str = "424242";

/// Six digits. In test mode, test addresses always get the same code.
pub(crate) fn new_code(service: &Service, settings: &Settings, to: &Email) -> String {
    if is_test(service, settings, to) {
        return TEST_CODE.to_owned();
    }
    // 2^64 is so much larger than a million that the bias of the remainder is negligible.
    let mut bytes = [0; 8];
    service.random().fill(&mut bytes);
    format!("{:06}", u64::from_le_bytes(bytes) % 1_000_000)
}

/// The keyed hash of a code, bound to its attempt.
pub(crate) fn hash_code(service: &Service, attempt: &str, code: &str) -> CodeHash {
    let key = hmac::Key::new(hmac::HMAC_SHA256, service.code_key());
    let tag = hmac::sign(&key, format!("{attempt} {}", code.trim()).as_bytes());
    CodeHash(hex::encode(tag))
}

/// The mail with a code; nothing for test addresses. `locale` is the account's language.
pub(crate) fn mail_code(
    service: &Service,
    request: &RequestContext,
    to: &Email,
    locale: Option<&str>,
    purpose: CodePurpose,
    code: &str,
) -> Result<Vec<Write>, AuthError> {
    mail(service, request, to, locale, Message::Code(purpose, code))
}

/// The mail that explains why there is no code; `None` for test addresses.
pub(crate) fn mail_notice(
    service: &Service,
    request: &RequestContext,
    to: &Email,
    locale: Option<&str>,
    notice: Notice,
) -> Result<Vec<Write>, AuthError> {
    mail(service, request, to, locale, Message::Notice(notice))
}

fn mail(
    service: &Service,
    request: &RequestContext,
    to: &Email,
    locale: Option<&str>,
    message: Message<'_>,
) -> Result<Vec<Write>, AuthError> {
    if !gets_mail(service, &request.settings, to)? {
        return Ok(Vec::new());
    }
    let occasion = Occasion::of(request, to, locale);
    service.mailer().write(&occasion, message, &mut service.random()).map_err(AuthError::Mail)
}

/// Whether this address gets a mail. If so, the mail counts towards the rate limit (AUT-08).
///
/// # Errors
/// [`AuthError::RateLimited`], or there is nowhere to send it to.
pub(crate) fn gets_mail(service: &Service, settings: &Settings, to: &Email) -> Result<bool, AuthError> {
    if is_test(service, settings, to) {
        return Ok(false);
    }
    service.mailer().is_ready().map_err(AuthError::Mail)?;
    service.rate_limits().mail(to).map_err(AuthError::RateLimited)?;
    Ok(true)
}

fn is_test(service: &Service, settings: &Settings, to: &Email) -> bool {
    service.has_development_tools() && settings.instance.test_mode && to.is_test()
}
