//! The instance: its keys, its health, what libraries discover of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Kind, UnixMillis, named};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub environment_type: EnvironmentType,
    pub allowed_origins: Vec<String>,
    pub workspace_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentType {
    Development,
    Production,
}

/// A request as the server received it: what proxies between changed, and whether they are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceivedRequest {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    /// The client's address: that of the connection, or the one that declared proxies name.
    pub client_address: Option<String>,
    pub forwarding_headers: ForwardingHeaders,
    /// The scheme and the host that a declared proxy received.
    pub forwarded_scheme: Option<String>,
    pub forwarded_host: Option<String>,
    /// The version of the server.
    pub server_version: String,
}

/// What became of the forwarding headers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardingHeaders {
    /// There were none.
    Absent,
    /// A declared proxy wrote them.
    Believed,
    /// They came from an address that `trusted_proxies` does not name.
    Ignored,
}

/// What is given is changed; null leaves alone. A field with only one possible value is refused
/// with any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateInstance {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_mode: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_origins: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_email: Option<String>,
    /// `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hibp: Option<bool>,
    /// `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookieless_dev: Option<bool>,
    /// `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_based_session_syncing: Option<bool>,
    /// Empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clerk_js_version: Option<String>,
    /// Empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub development_origin: Option<String>,
    /// `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_sign_in_strategy_when_password_required: Option<String>,
}

/// A secret key of an application's server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretKey {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub name: Option<String>,
    /// `full`, `read_only`, or `sessions`: to read users, and everything about sessions and clients.
    pub role: String,
    pub created_at: UnixMillis,
    /// Refused from then on.
    pub expires_at: Option<UnixMillis>,
    /// To within some minutes.
    pub last_used_at: Option<UnixMillis>,
    pub revoked_at: Option<UnixMillis>,
    /// Whether a development server prints it at its start.
    pub is_printed_at_start: bool,
    /// The key itself, in the answer that made it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSecretKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `full` unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// From 60 to 315360000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

/// A key that signs tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    /// The `kid` in the header of its tokens.
    pub id: String,
    /// `next`, `current`, `previous` or `withdrawn`. All but the last are in the key set.
    pub status: String,
    pub created_at: UnixMillis,
    pub signs_from: UnixMillis,
    /// When it leaves the key set; null as long as no other key replaces it.
    pub published_until: Option<UnixMillis>,
    /// The public key as PEM, for SDKs that take it as `CLERK_JWT_KEY`.
    pub public_key: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateSigningKey {
    /// Withdraws all older keys at once: every token that is out is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<bool>,
    /// How long the new key is published before it signs: 3900 unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u64>,
    /// How long the old key stays published after that: 2678400 unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
}

/// The public keys that verify tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JsonWebKeySet {
    pub keys: Vec<JsonWebKey>,
}

/// An RSA public key (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JsonWebKey {
    pub kty: String,
    pub alg: String,
    #[serde(rename = "use")]
    pub usage: String,
    pub kid: String,
    pub n: String,
    pub e: String,
}

/// What libraries look up that begin with the issuer (OpenID Connect Discovery 1.0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenIdConfiguration {
    pub issuer: String,
    pub jwks_uri: String,
    pub id_token_signing_alg_values_supported: Vec<String>,
    pub subject_types_supported: Vec<String>,
    pub response_types_supported: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub status: String,
}

named! {
    Instance = "instance"
    SecretKey = "secret_key"
    SigningKey = "signing_key"
    ReceivedRequest = "received_request"
    Health = "health"
}
