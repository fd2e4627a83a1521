//! Conversions of an account.

use sojourn_api as api;
use sojourn_core::{
    time::Timestamp,
    user::{EmailAddress, User},
};

use super::{avatar::avatar, millis, sign_in::code_status};

/// Who reads: the browser never sees private metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The Frontend API.
    Browser,
    /// The Backend API.
    Backend,
}

/// A user object. Compat: clerk/javascript packages/shared/src/types/json.ts UserJSON
pub fn user(user: &User, last_active_at: Option<Timestamp>, now: Timestamp, audience: Audience) -> api::User {
    let lockout = &user.lockout;
    let locked = lockout.is_locked(now);
    let seconds_left = lockout.locked_until.filter(|_| locked).map(|until| until.since(now).as_secs().max(1));
    api::User {
        object: api::Kind::default(),
        id: user.id.to_string(),
        external_id: user.external_id.clone(),
        username: None,
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        locale: user.locale.clone(),
        image_url: avatar(user),
        has_image: false,
        primary_email_address_id: user.primary_email_address_id.map(|id| id.to_string()),
        primary_phone_number_id: None,
        primary_web3_wallet_id: None,
        email_addresses: user.email_addresses.iter().map(|address| email_address(address, now)).collect(),
        phone_numbers: Vec::new(),
        web3_wallets: Vec::new(),
        passkeys: Vec::new(),
        external_accounts: Vec::new(),
        saml_accounts: Vec::new(),
        enterprise_accounts: Vec::new(),
        organization_memberships: Vec::new(),
        password_enabled: user.password_hash.is_some(),
        password_last_updated_at: user.password_updated_at.map(millis),
        totp_enabled: false,
        backup_code_enabled: false,
        two_factor_enabled: false,
        public_metadata: user.public_metadata.clone(),
        unsafe_metadata: user.unsafe_metadata.clone(),
        private_metadata: (audience == Audience::Backend).then(|| user.private_metadata.clone()),
        last_sign_in_at: user.last_sign_in_at.map(millis),
        last_active_at: last_active_at.map(millis),
        mfa_enabled_at: None,
        mfa_disabled_at: None,
        create_organization_enabled: false,
        delete_self_enabled: user.delete_self_enabled,
        legal_accepted_at: user.legal_accepted_at.map(millis),
        banned: user.banned,
        locked,
        lockout_expires_in_seconds: seconds_left,
        verification_attempts_remaining: if locked { 0 } else { lockout.remaining() },
        created_at: millis(user.created_at),
        updated_at: millis(user.updated_at),
    }
}

/// One address of a user.
pub fn email_address(address: &EmailAddress, now: Timestamp) -> api::EmailAddress {
    let code = address.code.as_ref();
    let strategy = address.verified_by.as_deref();
    api::EmailAddress {
        object: api::Kind::default(),
        id: address.id.to_string(),
        email_address: address.email.as_str().to_owned(),
        reserved: false,
        verification: api::Verification {
            object: match strategy {
                Some("admin") => api::VerificationObject::Admin,
                Some("ticket") => api::VerificationObject::Ticket,
                _ => api::VerificationObject::Code,
            },
            status: Some(match (strategy, code) {
                (Some(_), _) => api::VerificationStatus::Verified,
                (None, Some(code)) => code_status(now, code),
                (None, None) => api::VerificationStatus::Unverified,
            }),
            strategy: strategy.unwrap_or("email_code").to_owned(),
            attempts: code.map(|code| code.attempts),
            expire_at: code.map(|code| millis(code.expires_at)),
        },
        linked_to: Vec::new(),
        matches_sso_connection: false,
        created_at: millis(address.created_at),
        updated_at: millis(address.created_at),
    }
}

/// What other people may see of a user.
pub fn public_user_data(user: &User) -> api::PublicUserData {
    let identifier = user.primary_email().map_or("", |address| address.email.as_str());
    api::PublicUserData {
        user_id: user.id.to_string(),
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        image_url: avatar(user),
        has_image: false,
        identifier: identifier.to_owned(),
        username: None,
    }
}

/// What a sign-in shows of the account it is for.
pub fn user_data(user: &User) -> api::UserData {
    api::UserData {
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        image_url: avatar(user),
        has_image: false,
    }
}

/// An answer to a deletion.
pub fn deleted(object: &str, id: &str) -> api::DeletedObject {
    api::DeletedObject { object: object.to_owned(), id: id.to_owned(), deleted: true, external_id: None }
}
