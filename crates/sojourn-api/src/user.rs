//! Accounts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Kind, UnixMillis, Verification, named};

/// An account. The Python SDK insists on every field that is not left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct User {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub external_id: Option<String>,
    /// Null: usernames are not offered.
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub locale: Option<String>,
    /// A `data:` address: the initials as a picture.
    pub image_url: String,
    pub has_image: bool,
    pub primary_email_address_id: Option<String>,
    pub primary_phone_number_id: Option<String>,
    pub primary_web3_wallet_id: Option<String>,
    pub email_addresses: Vec<EmailAddress>,
    pub phone_numbers: Vec<Value>,
    pub web3_wallets: Vec<Value>,
    pub passkeys: Vec<Value>,
    pub external_accounts: Vec<Value>,
    pub saml_accounts: Vec<Value>,
    pub enterprise_accounts: Vec<Value>,
    pub organization_memberships: Vec<Value>,
    pub password_enabled: bool,
    pub password_last_updated_at: Option<UnixMillis>,
    pub totp_enabled: bool,
    pub backup_code_enabled: bool,
    pub two_factor_enabled: bool,
    pub public_metadata: Map<String, Value>,
    pub unsafe_metadata: Map<String, Value>,
    /// For application servers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub private_metadata: Option<Map<String, Value>>,
    pub last_sign_in_at: Option<UnixMillis>,
    /// The newest activity of the user's sessions that are kept, up to a minute old; the last sign-in
    /// where none is kept. In answers to browsers that of the session by which they ask.
    pub last_active_at: Option<UnixMillis>,
    pub mfa_enabled_at: Option<UnixMillis>,
    pub mfa_disabled_at: Option<UnixMillis>,
    pub create_organization_enabled: bool,
    pub delete_self_enabled: bool,
    pub legal_accepted_at: Option<UnixMillis>,
    pub banned: bool,
    pub locked: bool,
    pub lockout_expires_in_seconds: Option<u64>,
    pub verification_attempts_remaining: u32,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmailAddress {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub email_address: String,
    pub reserved: bool,
    pub verification: Verification,
    pub linked_to: Vec<Value>,
    pub matches_sso_connection: bool,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

/// What other people may see of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicUserData {
    pub user_id: String,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub image_url: String,
    pub has_image: bool,
    pub identifier: String,
    pub username: Option<String>,
}

/// What a completed sign-in shows of its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserData {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub image_url: String,
    pub has_image: bool,
}

/// There are none: signing in by an enterprise is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnterpriseConnection {}

/// Whether a password is the user's; the answer says only yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordVerified {
    pub verified: bool,
}

named! {
    User = "user"
    EmailAddress = "email_address"
}
