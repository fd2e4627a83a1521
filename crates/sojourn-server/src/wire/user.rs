//! An account on the wire. Every field that the Python SDK insists on is
//! there, null where we have nothing.
//! Compat: clerk-backend-api (Python) models/user.py

use serde_json::{Map, Value, json};
use sojourn_core::{
    time::Timestamp,
    user::{EmailAddress, User},
};

use super::avatar::avatar;

/// Who reads: the browser never sees private metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The Frontend API.
    Browser,
    /// The Backend API.
    Backend,
}

/// A user object. Compat: clerk/javascript packages/shared/src/types/json.ts UserJSON
pub fn user(user: &User, now: Timestamp, audience: Audience) -> Value {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millis);
    let lockout = &user.lockout;
    let locked = lockout.is_locked(now);
    let seconds_left = lockout.locked_until.filter(|_| locked).map(|until| until.since(now).as_secs().max(1));
    let mut object = json!({
        "id": user.id,
        "object": "user",
        "external_id": user.external_id,
        "username": null,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "locale": user.locale,
        "image_url": avatar(user),
        "has_image": false,
        "profile_image_id": "",
        "primary_email_address_id": user.primary_email_address_id,
        "primary_phone_number_id": null,
        "primary_web3_wallet_id": null,
        "email_addresses": user.email_addresses.iter().map(|address| email_address(address, now)).collect::<Vec<_>>(),
        "phone_numbers": [],
        "web3_wallets": [],
        "passkeys": [],
        "external_accounts": [],
        "saml_accounts": [],
        "enterprise_accounts": [],
        "organization_memberships": [],
        "password_enabled": user.password_hash.is_some(),
        "password_last_updated_at": millis(user.password_updated_at),
        "totp_enabled": false,
        "backup_code_enabled": false,
        "two_factor_enabled": false,
        "public_metadata": user.public_metadata,
        "unsafe_metadata": user.unsafe_metadata,
        "last_sign_in_at": millis(user.last_sign_in_at),
        "last_active_at": millis(user.last_sign_in_at),
        "mfa_enabled_at": null,
        "mfa_disabled_at": null,
        "create_organization_enabled": false,
        "create_organizations_limit": null,
        "delete_self_enabled": user.delete_self_enabled,
        "legal_accepted_at": millis(user.legal_accepted_at),
        "banned": user.banned,
        "locked": locked,
        "lockout_expires_in_seconds": seconds_left,
        "verification_attempts_remaining": if locked { 0 } else { lockout.remaining() },
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    });
    if audience == Audience::Backend {
        object["private_metadata"] = Value::Object(user.private_metadata.clone());
    }
    object
}

/// One address of a user.
pub fn email_address(address: &EmailAddress, now: Timestamp) -> Value {
    let code = address.code.as_ref();
    let strategy = address.verified_by.as_deref();
    let (object, status) = match strategy {
        Some("admin") => ("verification_admin", "verified"),
        Some("ticket") => ("verification_ticket", "verified"),
        Some(_) => ("verification_otp", "verified"),
        None => ("verification_otp", code.map_or("unverified", |code| code.status(now))),
    };
    json!({
        "id": address.id,
        "object": "email_address",
        "email_address": address.email.as_str(),
        "reserved": false,
        "verification": {
            "object": object,
            "status": status,
            "strategy": strategy.unwrap_or("email_code"),
            "attempts": code.map(|code| code.attempts),
            "expire_at": code.map(|code| code.expires_at),
        },
        "linked_to": [],
        "matches_sso_connection": false,
        "created_at": address.created_at,
        "updated_at": address.created_at,
    })
}

/// What other people may see of a user.
pub fn public_user_data(user: &User) -> Value {
    json!({
        "user_id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "image_url": avatar(user),
        "has_image": false,
        "identifier": user.primary_email().map_or("", |address| address.email.as_str()),
        "username": null,
    })
}

/// What a sign-in shows of the account it is for.
pub fn user_data(user: &User) -> Value {
    json!({
        "first_name": user.first_name,
        "last_name": user.last_name,
        "image_url": avatar(user),
        "has_image": false,
    })
}

/// An answer to a deletion.
pub fn deleted(object: &str, id: &str) -> Value {
    let mut answer = Map::new();
    answer.insert("object".to_owned(), object.into());
    answer.insert("id".to_owned(), id.into());
    answer.insert("deleted".to_owned(), true.into());
    Value::Object(answer)
}
