//! Sign-in tokens, actor tokens, testing tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Kind, UnixMillis, named};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    Pending,
    Accepted,
    Revoked,
}

/// Signs its user in, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInToken {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub user_id: String,
    pub status: TicketStatus,
    /// In the answer that made it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<String>,
    /// The portal's address that signs in with it; beside `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

/// Signs its actor in as its user, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorToken {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub user_id: String,
    /// Who acts: an object with `sub`.
    pub actor: Map<String, Value>,
    pub status: TicketStatus,
    /// In the answer that made it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<String>,
    /// The portal's address that signs in with it; beside `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSignInToken {
    pub user_id: String,
    /// Thirty days by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateActorToken {
    pub user_id: String,
    /// An object with `sub`, the id of who acts.
    pub actor: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
    /// How long the session may last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_max_duration_in_seconds: Option<u64>,
}

/// A token that tests send along to pass bot checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestingToken {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub token: String,
    /// In seconds since 1970, unlike other times.
    pub expires_at: i64,
}

named! {
    SignInToken = "sign_in_token"
    ActorToken = "actor_token"
    TestingToken = "testing_token"
}
