//! Conversions of a sign-in attempt.

use sojourn_api as api;
use sojourn_core::{
    email::Email,
    factor::SentCode,
    id::EmailAddressId,
    sign_in::{SignIn, SignInStatus, Strategy},
    time::Timestamp,
    user::User,
};

use super::{millis, user::user_data};

/// The sign-in object; `user` is the account of the attempt, if known.
pub fn sign_in(now: Timestamp, sign_in: &SignIn, user: Option<&User>) -> api::SignIn {
    let factor = sign_in.first_factor.as_ref();
    api::SignIn {
        object: api::Kind::default(),
        id: sign_in.id.to_string(),
        status: match sign_in.status {
            SignInStatus::NeedsIdentifier => api::SignInStatus::NeedsIdentifier,
            SignInStatus::NeedsFirstFactor => api::SignInStatus::NeedsFirstFactor,
            SignInStatus::NeedsNewPassword => api::SignInStatus::NeedsNewPassword,
            SignInStatus::Complete => api::SignInStatus::Complete,
        },
        supported_identifiers: vec!["email_address".to_owned()],
        identifier: sign_in.identifier.as_ref().map(|email| email.as_str().to_owned()),
        // A client that only knows the address must not learn the owner's name (AUT-14).
        user_data: user.filter(|_| sign_in.status == SignInStatus::Complete).map(user_data),
        supported_first_factors: match (sign_in.hidden_address, user) {
            (Some(id), _) if sign_in.status != SignInStatus::Complete => Some(hidden_factors(sign_in, id)),
            (_, user) => user.map(|user| first_factors(sign_in, user)),
        },
        supported_second_factors: None,
        first_factor_verification: factor
            .map(|factor| verification(now, factor.strategy, factor.verified, factor.code.as_ref())),
        second_factor_verification: None,
        created_session_id: sign_in.created_session_id.map(|id| id.to_string()),
        abandon_at: millis(sign_in.abandon_at()),
        client_trust_state: None,
    }
}

/// The available factors of an account. The address that was typed comes first: the components
/// select the one that equals `identifier`.
fn first_factors(sign_in: &SignIn, user: &User) -> Vec<api::SignInFactor> {
    let mut factors = Vec::new();
    if user.password_hash.is_some() {
        factors.push(factor(Strategy::Password));
    }
    let typed =
        user.identifying_emails().filter(|address| Some(&address.email) == sign_in.identifier.as_ref());
    for address in typed {
        let primary = user.primary_email_address_id == Some(address.id);
        factors.extend(codes(Some(&address.email), address.id, primary));
    }
    if sign_in.status == SignInStatus::Complete && factors.is_empty() {
        factors.push(factor(Strategy::Ticket));
    }
    factors
}

/// The factors for every address, whether or not an account exists and whatever it has (AUT-13).
fn hidden_factors(sign_in: &SignIn, id: EmailAddressId) -> Vec<api::SignInFactor> {
    let mut factors = vec![factor(Strategy::Password)];
    factors.extend(codes(sign_in.identifier.as_ref(), id, true));
    factors
}

fn factor(strategy: Strategy) -> api::SignInFactor {
    api::SignInFactor {
        strategy: strategy.as_str().to_owned(),
        email_address_id: None,
        safe_identifier: None,
        primary: None,
    }
}

/// The factors by code. Without the reset strategy the link "Forgot password" has no target.
fn codes(
    email: Option<&Email>,
    id: EmailAddressId,
    primary: bool,
) -> impl Iterator<Item = api::SignInFactor> {
    [Strategy::EmailCode, Strategy::ResetPasswordEmailCode].into_iter().map(move |strategy| {
        api::SignInFactor {
            email_address_id: Some(id.to_string()),
            safe_identifier: email.map(|email| email.as_str().to_owned()),
            primary: Some(primary),
            ..factor(strategy)
        }
    })
}

/// The verification of a factor. It has no `error`: with any value except null the browser reports
/// a failed OAuth sign-in.
pub fn verification(
    now: Timestamp,
    strategy: Strategy,
    verified: bool,
    code: Option<&SentCode>,
) -> api::Verification {
    api::Verification {
        object: match strategy {
            Strategy::Password => api::VerificationObject::Password,
            Strategy::EmailCode | Strategy::ResetPasswordEmailCode => api::VerificationObject::Code,
            Strategy::Ticket => api::VerificationObject::Ticket,
        },
        status: Some(match code {
            _ if verified => api::VerificationStatus::Verified,
            Some(code) => code_status(now, code),
            None => api::VerificationStatus::Unverified,
        }),
        strategy: strategy.as_str().to_owned(),
        attempts: Some(code.map_or(u32::from(verified), |code| code.attempts)),
        expire_at: code.map(|code| millis(code.expires_at)),
    }
}

/// The status of a code that was not answered correctly.
pub fn code_status(now: Timestamp, code: &SentCode) -> api::VerificationStatus {
    match code.status(now) {
        "failed" => api::VerificationStatus::Failed,
        "expired" => api::VerificationStatus::Expired,
        _ => api::VerificationStatus::Unverified,
    }
}
