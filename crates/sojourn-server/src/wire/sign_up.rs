//! An attempt to sign up on the wire.

use serde_json::{Value, json};
use sojourn_core::{sign_up::SignUp, time::Timestamp};

use super::sign_in::verification;

/// The sign-up object. `verify_email` is the setting in force.
pub fn sign_up(now: Timestamp, sign_up: &SignUp, verify_email: bool) -> Value {
    let fields = &sign_up.fields;
    json!({
        "object": "sign_up_attempt",
        "id": sign_up.id,
        "status": sign_up.status(now).as_str(),
        "required_fields": ["email_address", "password"],
        "optional_fields": ["first_name", "last_name"],
        "missing_fields": sign_up.missing_fields(),
        "unverified_fields": sign_up.unverified_fields(verify_email),
        "verifications": {
            "email_address": fields.email.is_some().then(|| email_verification(now, sign_up)),
            "phone_number": null,
            "web3_wallet": null,
            "external_account": null,
        },
        "username": null,
        "first_name": fields.first_name,
        "last_name": fields.last_name,
        "email_address": fields.email.as_ref().map(sojourn_core::email::Email::as_str),
        "phone_number": null,
        "web3_wallet": null,
        // The spec says the first, the code reads the second.
        // Compat: clerk/javascript packages/clerk-js/src/core/resources/SignUp.ts
        "password_enabled": fields.password_hash.is_some(),
        "has_password": fields.password_hash.is_some(),
        "custom_action": false,
        "external_id": null,
        "external_account": null,
        "external_account_strategy": null,
        "unsafe_metadata": fields.unsafe_metadata,
        "public_metadata": {},
        "created_session_id": sign_up.created_session_id,
        "created_user_id": sign_up.created_user_id,
        "abandon_at": sign_up.abandon_at(),
        "legal_accepted_at": fields.legal_accepted_at,
        "locale": fields.locale,
        "protect_check": null,
    })
}

fn email_verification(now: Timestamp, sign_up: &SignUp) -> Value {
    let mut object = verification(now, "email_code", sign_up.email_verified, sign_up.code.as_ref());
    object["next_action"] = match (&sign_up.code, sign_up.email_verified) {
        (_, true) => "",
        (Some(code), false) if now < code.expires_at => "needs_attempt",
        _ => {
            // Before a code was sent there is no status: "unverified" means to
            // browsers that one is on its way, and they would never ask for it.
            // Compat: clerk/javascript packages/ui SignUpEmailCodeCard
            object["status"] = Value::Null;
            "needs_prepare"
        }
    }
    .into();
    object["supported_strategies"] = json!(["email_code"]);
    object
}
