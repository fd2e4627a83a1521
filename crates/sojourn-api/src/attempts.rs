//! Attempts to sign in and to sign up.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Kind, SignUpVerifications, UnixMillis, UserData, Verification, named};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignInStatus {
    NeedsIdentifier,
    NeedsFirstFactor,
    /// Proved by a reset code; a new password has to be set.
    NeedsNewPassword,
    Complete,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub status: SignInStatus,
    pub supported_identifiers: Vec<String>,
    pub identifier: Option<String>,
    /// Null until the sign-in is complete.
    pub user_data: Option<UserData>,
    pub supported_first_factors: Option<Vec<SignInFactor>>,
    /// Null: second factors are not offered.
    pub supported_second_factors: Option<Vec<SignInFactor>>,
    pub first_factor_verification: Option<Verification>,
    pub second_factor_verification: Option<Verification>,
    pub created_session_id: Option<String>,
    pub abandon_at: UnixMillis,
    pub client_trust_state: Option<String>,
}

/// A way to prove the first factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInFactor {
    pub strategy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub email_address_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub safe_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub primary: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignUpStatus {
    MissingRequirements,
    Abandoned,
    Complete,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignUp {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub status: SignUpStatus,
    pub required_fields: Vec<String>,
    pub optional_fields: Vec<String>,
    pub missing_fields: Vec<String>,
    pub unverified_fields: Vec<String>,
    pub verifications: SignUpVerifications,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email_address: Option<String>,
    pub phone_number: Option<String>,
    pub web3_wallet: Option<String>,
    /// As `has_password`: the public document names this one, browsers read the other.
    pub password_enabled: bool,
    pub has_password: bool,
    pub custom_action: bool,
    pub external_id: Option<String>,
    pub external_account: Option<Map<String, Value>>,
    pub external_account_strategy: Option<String>,
    pub unsafe_metadata: Map<String, Value>,
    pub public_metadata: Map<String, Value>,
    pub created_session_id: Option<String>,
    pub created_user_id: Option<String>,
    pub abandon_at: UnixMillis,
    pub legal_accepted_at: Option<UnixMillis>,
    pub locale: Option<String>,
}

named! {
    SignIn = "sign_in_attempt"
    SignUp = "sign_up_attempt"
}
