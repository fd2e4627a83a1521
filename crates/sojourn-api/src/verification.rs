//! The proof of a factor or an address.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::UnixMillis;

/// Which kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum VerificationObject {
    #[serde(rename = "verification_password")]
    Password,
    #[serde(rename = "verification_otp")]
    Code,
    #[serde(rename = "verification_ticket")]
    Ticket,
    #[serde(rename = "verification_admin")]
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerificationStatus {
    Unverified,
    Verified,
    /// Too many wrong answers.
    Failed,
    Expired,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    pub object: VerificationObject,
    /// Null before a code was sent at a sign-up.
    pub status: Option<VerificationStatus>,
    /// `password`, `email_code`, `reset_password_email_code`, `ticket` or `admin`.
    pub strategy: String,
    pub attempts: Option<u32>,
    pub expire_at: Option<UnixMillis>,
}

/// The verification of an address at a sign-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignUpVerification {
    #[serde(flatten)]
    pub verification: Verification,
    /// `needs_prepare`, `needs_attempt`, or empty when it is verified.
    pub next_action: String,
    pub supported_strategies: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignUpVerifications {
    pub email_address: Option<SignUpVerification>,
    pub phone_number: Option<Map<String, Value>>,
    pub web3_wallet: Option<Map<String, Value>>,
    pub external_account: Option<Map<String, Value>>,
}
