//! An attempt to sign in on the wire.

use serde_json::{Value, json};
use sojourn_core::{
    email::Email,
    factor::SentCode,
    id::EmailAddressId,
    sign_in::{SignIn, SignInStatus, Strategy},
    time::Timestamp,
    user::User,
};

use super::user::user_data;

/// The sign-in object; `user` is the account it is for, if it is known.
pub fn sign_in(now: Timestamp, sign_in: &SignIn, user: Option<&User>) -> Value {
    let factor = sign_in.first_factor.as_ref();
    json!({
        "object": "sign_in_attempt",
        "id": sign_in.id,
        "status": sign_in.status.as_str(),
        "supported_identifiers": ["email_address"],
        "identifier": sign_in.identifier.as_ref().map(Email::as_str),
        // Who knows an address shall not learn whose it is (AUT-14).
        "user_data": user.filter(|_| sign_in.status == SignInStatus::Complete).map(user_data),
        "supported_first_factors": match (sign_in.hidden_address, user) {
            (Some(id), _) if sign_in.status != SignInStatus::Complete => Some(hidden_factors(sign_in, id)),
            (_, user) => user.map(|user| first_factors(sign_in, user)),
        },
        "supported_second_factors": null,
        "first_factor_verification": factor.map(|factor| {
            verification(now, factor.strategy.as_str(), factor.verified, factor.code.as_ref())
        }),
        "second_factor_verification": null,
        "created_session_id": sign_in.created_session_id,
        "abandon_at": sign_in.abandon_at(),
        "client_trust_state": null,
        "protect_check": null,
    })
}

/// The ways in for an account. The address typed comes first: it is selected
/// by being equal to `identifier`.
fn first_factors(sign_in: &SignIn, user: &User) -> Value {
    let mut factors = Vec::new();
    if user.password_hash.is_some() {
        factors.push(json!({"strategy": Strategy::Password.as_str()}));
    }
    let typed =
        user.identifying_emails().filter(|address| Some(&address.email) == sign_in.identifier.as_ref());
    for address in typed {
        let primary = user.primary_email_address_id == Some(address.id);
        factors.extend(codes(Some(&address.email), address.id, primary));
    }
    if sign_in.status == SignInStatus::Complete && factors.is_empty() {
        factors.push(json!({"strategy": Strategy::Ticket.as_str()}));
    }
    factors.into()
}

/// What any address is offered, whether or not there is an account, and
/// whatever it has (AUT-13).
fn hidden_factors(sign_in: &SignIn, id: EmailAddressId) -> Value {
    let mut factors = vec![json!({"strategy": Strategy::Password.as_str()})];
    factors.extend(codes(sign_in.identifier.as_ref(), id, true));
    factors.into()
}

/// Without the reset strategy "Forgot password" leads nowhere.
fn codes(email: Option<&Email>, id: EmailAddressId, primary: bool) -> impl Iterator<Item = Value> {
    [Strategy::EmailCode, Strategy::ResetPasswordEmailCode].into_iter().map(move |strategy| {
        json!({
            "strategy": strategy.as_str(),
            "email_address_id": id,
            "safe_identifier": email.map(Email::as_str),
            "primary": primary,
        })
    })
}

/// A verification object. Its `error` stays null: anything else makes the
/// browser think that an OAuth sign-in failed.
pub fn verification(now: Timestamp, strategy: &str, verified: bool, code: Option<&SentCode>) -> Value {
    let status = match code {
        _ if verified => "verified",
        Some(code) => code.status(now),
        None => "unverified",
    };
    json!({
        "object": "verification",
        "status": status,
        "strategy": strategy,
        "attempts": code.map_or(u32::from(verified), |code| code.attempts),
        "expire_at": code.map(|code| code.expires_at),
        "error": null,
    })
}
