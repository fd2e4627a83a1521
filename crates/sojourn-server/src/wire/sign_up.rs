//! Conversions of a sign-up attempt.

use serde_json::Map;
use sojourn_api as api;
use sojourn_core::{
    sign_in::Strategy,
    sign_up::{SignUp, SignUpStatus},
    time::Timestamp,
};

use super::{millis, sign_in::verification};

/// The sign-up object. `verify_email` is the setting in force.
pub fn sign_up(now: Timestamp, sign_up: &SignUp, verify_email: bool) -> api::SignUp {
    let fields = &sign_up.fields;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    api::SignUp {
        object: api::Kind::default(),
        id: sign_up.id.to_string(),
        status: match sign_up.status(now) {
            SignUpStatus::MissingRequirements => api::SignUpStatus::MissingRequirements,
            SignUpStatus::Abandoned => api::SignUpStatus::Abandoned,
            SignUpStatus::Complete => api::SignUpStatus::Complete,
        },
        required_fields: words(&["email_address", "password"]),
        optional_fields: words(&["first_name", "last_name"]),
        missing_fields: words(&sign_up.missing_fields()),
        unverified_fields: words(&sign_up.unverified_fields(verify_email)),
        verifications: api::SignUpVerifications {
            email_address: fields.email.is_some().then(|| email_verification(now, sign_up)),
            phone_number: None,
            web3_wallet: None,
            external_account: None,
        },
        username: None,
        first_name: fields.first_name.clone(),
        last_name: fields.last_name.clone(),
        email_address: fields.email.as_ref().map(|email| email.as_str().to_owned()),
        phone_number: None,
        web3_wallet: None,
        // Compat: clerk/javascript packages/clerk-js/src/core/resources/SignUp.ts
        password_enabled: fields.password_hash.is_some(),
        has_password: fields.password_hash.is_some(),
        custom_action: false,
        external_id: None,
        external_account: None,
        external_account_strategy: None,
        unsafe_metadata: fields.unsafe_metadata.clone(),
        public_metadata: Map::new(),
        created_session_id: sign_up.created_session_id.map(|id| id.to_string()),
        created_user_id: sign_up.created_user_id.map(|id| id.to_string()),
        abandon_at: millis(sign_up.abandon_at()),
        legal_accepted_at: fields.legal_accepted_at.map(millis),
        locale: fields.locale.clone(),
    }
}

fn email_verification(now: Timestamp, sign_up: &SignUp) -> api::SignUpVerification {
    let mut verification =
        verification(now, Strategy::EmailCode, sign_up.email_verified, sign_up.code.as_ref());
    let next_action = match (&sign_up.code, sign_up.email_verified) {
        (_, true) => "",
        (Some(code), false) if now < code.expires_at => "needs_attempt",
        _ => {
            // Before a code was sent there is no status: with "unverified" the component assumes
            // that a code was sent, and never requests one.
            // Compat: clerk/javascript packages/ui SignUpEmailCodeCard
            verification.status = None;
            "needs_prepare"
        }
    };
    let supported_strategies = vec![Strategy::EmailCode.as_str().to_owned()];
    api::SignUpVerification { verification, next_action: next_action.to_owned(), supported_strategies }
}
