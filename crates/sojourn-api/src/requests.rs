//! What requests carry: bodies, and the parameters of queries. Browsers send forms, application
//! servers JSON; both are read with the same names.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::UnixMillis;

/// Whom to sign in, and perhaps the proof at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSignIn {
    /// An e-mail address.
    pub identifier: Option<String>,
    /// `password`, `email_code`, `reset_password_email_code` or `ticket`.
    pub strategy: Option<String>,
    pub password: Option<String>,
    pub ticket: Option<String>,
    /// Not offered: signing in at another provider.
    pub transfer: Option<bool>,
    /// Ignored, as are other fields that the vendor's SDKs send.
    pub locale: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrepareFirstFactor {
    /// `email_code` or `reset_password_email_code`.
    pub strategy: String,
    pub email_address_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptFirstFactor {
    /// `password`, `email_code`, `reset_password_email_code` or `ticket`.
    pub strategy: String,
    pub password: Option<String>,
    pub code: Option<String>,
    pub ticket: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResetPassword {
    pub password: String,
    pub sign_out_of_other_sessions: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignUpFields {
    pub email_address: Option<String>,
    pub password: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub unsafe_metadata: Option<Map<String, Value>>,
    pub legal_accepted: Option<bool>,
    pub locale: Option<String>,
    /// `ticket` together with `ticket`.
    pub strategy: Option<String>,
    pub ticket: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrepareVerification {
    /// `email_code`.
    pub strategy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptVerification {
    /// `email_code`.
    pub strategy: Option<String>,
    pub code: String,
}

/// What the tab says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshToken {
    /// `hidden`: the refresh does not count as activity where the settings say so.
    pub tab_state: Option<String>,
    /// Empty: organizations are not offered.
    pub organization_id: Option<String>,
}

/// What the tab says; the one in front is the one whose session counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TouchSession {
    /// Empty: organizations are not offered.
    pub active_organization_id: Option<String>,
    /// `focus` or `select_session`.
    pub intent: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateMe {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub primary_email_address_id: Option<String>,
    pub unsafe_metadata: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateMyMetadata {
    pub unsafe_metadata: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateEmailAddress {
    pub email_address: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangePassword {
    pub new_password: String,
    /// Needed where the account has a password.
    pub current_password: Option<String>,
    pub sign_out_of_other_sessions: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovePassword {
    pub current_password: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateUser {
    /// Verified, unless their status says otherwise: the application vouches for them.
    pub email_address: Vec<String>,
    /// One for each address: `verified`; for the first also `reserved`, which identifies the account
    /// until it is verified; for the others also `unverified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address_identification_status: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_digest: Option<String>,
    /// Goes with `password_digest`: `argon2i`, `argon2id`, `aspnet_identity_v3`, `bcrypt`,
    /// `bcrypt_peppered`, `bcrypt_sha256_django`, `better_auth`, `ldap_ssha`, `md5`, `md5_phpass`,
    /// `md5_salted`, `pbkdf2_sha1`, `pbkdf2_sha256`, `pbkdf2_sha256_django`, `pbkdf2_sha512`,
    /// `pbkdf2_sha512_hex`, `phpass`, `scrypt_firebase`, `scrypt_werkzeug`, `sha256`,
    /// `sha256_salted`, `sha512_symfony` or `wordpress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hasher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_password_checks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_password_requirement: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsafe_metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Whether users may delete their own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_self_enabled: Option<bool>,
    /// RFC 3339, not in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339, not in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_accepted_at: Option<String>,
}

/// What is given is changed; null clears.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpdateUser {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub external_id: Option<String>,
    pub locale: Option<String>,
    pub primary_email_address_id: Option<String>,
    pub password: Option<String>,
    pub password_digest: Option<String>,
    pub password_hasher: Option<String>,
    pub skip_password_checks: Option<bool>,
    pub sign_out_of_other_sessions: Option<bool>,
    pub delete_self_enabled: Option<bool>,
    pub public_metadata: Option<Map<String, Value>>,
    pub private_metadata: Option<Map<String, Value>>,
    pub unsafe_metadata: Option<Map<String, Value>>,
    /// RFC 3339, not in the future.
    pub created_at: Option<String>,
    /// RFC 3339, not in the future.
    pub legal_accepted_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserMetadata {
    pub public_metadata: Option<Map<String, Value>>,
    pub private_metadata: Option<Map<String, Value>>,
    pub unsafe_metadata: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyPassword {
    pub password: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemoveUserPassword {
    pub sign_out_of_other_sessions: Option<bool>,
}

/// Which session of the client a request about the account means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// The client's active session by default.
    #[serde(rename = "_clerk_session_id")]
    pub session_id: Option<String>,
}

/// As [`SessionQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EnterpriseConnectionsQuery {
    #[serde(rename = "_clerk_session_id")]
    pub session_id: Option<String>,
    /// Ignored: there are no connections.
    pub with_organization_account_linking: Option<bool>,
}

/// Where a navigation goes on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RedirectQuery {
    /// Absolute, on an origin that the instance allows.
    pub redirect_url: String,
}

/// How an application's server sends a browser to be recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HandshakeQuery {
    /// Absolute, on an origin that the instance allows.
    pub redirect_url: String,
    /// The token that the browser came with; it may say which of several sessions is meant.
    #[serde(rename = "__session")]
    pub session_token: Option<String>,
    /// `nonce`, whatever is asked for.
    pub format: Option<String>,
    /// Ignored: cookies are always set with the suffix and without.
    pub suffixed_cookies: Option<bool>,
    /// Ignored.
    #[serde(rename = "__clerk_hs_reason")]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HandshakeNonceQuery {
    /// The value of `__clerk_handshake_nonce`.
    pub nonce: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListSessionsQuery {
    pub client_id: Option<String>,
    pub user_id: Option<String>,
    /// `active`, `pending`, `ended`, `removed`, `replaced`, `revoked`, `expired` or `abandoned`.
    pub status: Option<String>,
    /// Whether the answer is a page instead of a bare list.
    pub paginated: Option<bool>,
    /// Whether each session has the record of its `end`.
    pub include_end: Option<bool>,
    /// 1 to 500, 10 by default.
    pub limit: Option<u32>,
    pub offset: Option<u32>,
}

/// Each filter narrows the list; several values of one are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListUsersQuery {
    pub user_id: Option<Vec<String>>,
    pub email_address: Option<Vec<String>>,
    pub external_id: Option<Vec<String>>,
    /// A part of a name, an address or an id.
    pub query: Option<String>,
    /// A part of an address.
    pub email_address_query: Option<String>,
    /// A part of a name.
    pub name_query: Option<String>,
    pub banned: Option<bool>,
    pub created_at_after: Option<UnixMillis>,
    pub created_at_before: Option<UnixMillis>,
    pub last_active_at_after: Option<UnixMillis>,
    pub last_active_at_before: Option<UnixMillis>,
    /// At that time or later.
    pub last_active_at_since: Option<UnixMillis>,
    pub last_sign_in_at_after: Option<UnixMillis>,
    pub last_sign_in_at_before: Option<UnixMillis>,
    /// Nobody has one, nor any of those below: whoever names one finds nobody.
    pub phone_number: Option<Vec<String>>,
    pub phone_number_query: Option<String>,
    pub username: Option<Vec<String>>,
    pub username_query: Option<String>,
    pub web3_wallet: Option<Vec<String>>,
    pub organization_id: Option<Vec<String>>,
    pub provider: Option<String>,
    pub provider_user_id: Option<Vec<String>>,
    /// `created_at`, `updated_at`, `last_sign_in_at`, `last_active_at`, `email_address`, `first_name`
    /// or `last_name`, with `+` or `-` before it.
    pub order_by: Option<String>,
    /// 1 to 500, 10 by default.
    pub limit: Option<u32>,
    pub offset: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListMailsQuery {
    /// An exact address.
    pub to: Option<String>,
    /// 100 by default, at most 500.
    pub limit: Option<u32>,
}

/// Whether a change is made, or only described.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DryRunQuery {
    pub dry_run: Option<bool>,
}
