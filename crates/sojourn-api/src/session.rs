//! Sessions: as application servers see them, as their browser does, and how they ended.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Kind, Page, PublicUserData, UnixMillis, User, named};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    Active,
    /// The user signed out of it; the client still lists it.
    Ended,
    /// The user signed out of it; it left the client.
    Removed,
    /// The application, an administrator or another device ended it.
    Revoked,
    /// The maximum lifetime was reached.
    Expired,
    /// The inactivity timeout was reached.
    Abandoned,
    /// Another session took its place.
    Replaced,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub client_id: String,
    pub user_id: String,
    pub status: SessionStatus,
    pub last_active_at: UnixMillis,
    /// Null: organizations are not offered.
    pub last_active_organization_id: Option<String>,
    /// Who acts as the user, if somebody does.
    pub actor: Option<Map<String, Value>>,
    /// Null: no session waits for a task.
    pub tasks: Option<Vec<Value>>,
    pub latest_activity: SessionActivity,
    /// When the maximum lifetime ends it; ten years after the sign-in where there is none.
    pub expire_at: UnixMillis,
    /// When the inactivity timeout ends it; ten years after the sign-in where there is none.
    pub abandon_at: UnixMillis,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

/// A session with the record of its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionWithEnd {
    #[serde(flatten)]
    pub session: Session,
    /// Null while the session is open.
    pub end: Option<SessionEnd>,
}

/// A list of sessions: a page where `paginated=true` asks for one, with ends where
/// `include_end=true` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SessionList {
    PageWithEnds(Page<SessionWithEnd>),
    Page(Page<Session>),
    WithEnds(Vec<SessionWithEnd>),
    Sessions(Vec<Session>),
}

/// A session as its user's browsers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BrowserSession {
    #[serde(flatten)]
    pub session: Session,
    /// Minutes since the first and the second factor were verified; -1: never.
    pub factor_verification_age: [i64; 2],
    pub user: Option<User>,
    pub public_user_data: Option<PublicUserData>,
    /// A fresh session token, for the browser that holds the session open.
    pub last_active_token: Option<Token>,
}

/// Where a session is used from. What the browser does not say is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionActivity {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub is_mobile: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub device_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub browser_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub browser_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ip_address: Option<String>,
    /// Where the address is, in words; for browsers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub city: Option<String>,
}

/// A session token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub jwt: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    SignedOut,
    SignedOutEverywhere,
    RevokedByBackend,
    RevokedByAdmin,
    RevokedByUser,
    InactivityTimeout,
    MaximumLifetime,
    Replaced,
    SettingsTightened,
    PasswordChanged,
    UserBanned,
    UserDeleted,
    ImpersonationOver,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndActorType {
    /// Who was signed in, or acted as the user.
    User,
    /// The application's server.
    Backend,
    /// An operator.
    Admin,
    /// A limit, or a change of the settings.
    System,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndActor {
    #[serde(rename = "type")]
    pub kind: EndActorType,
    pub id: Option<String>,
}

/// How, when, why and by whom a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionEnd {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub session_id: String,
    pub user_id: String,
    pub client_id: String,
    pub status: SessionStatus,
    pub reason: EndReason,
    pub ended_at: UnixMillis,
    pub last_active_at: UnixMillis,
    /// When a limit would have ended it.
    pub deadline_at: UnixMillis,
    pub actor: EndActor,
    /// The version of the settings that the end was judged by.
    pub settings_version: u64,
    pub activity: SessionActivity,
}

/// What the browser that held a session is told about its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionEndNotice {
    #[schema(schema_with = crate::kind::schema::<SessionEnd>)]
    pub object: Kind<SessionEnd>,
    pub session_id: String,
    pub status: SessionStatus,
    pub reason: EndReason,
    pub ended_at: UnixMillis,
    /// A sentence for people.
    pub message: String,
}

/// The sessions that a request ended, or in a dry run would end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionRevocation {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    /// Null: everybody's.
    pub user_id: Option<String>,
    pub dry_run: bool,
    /// The version of the settings that everybody is signed out by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub version: Option<u64>,
    /// How many sessions of the user ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revoked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revoked_at: Option<UnixMillis>,
    /// How many sessions the request would end, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub would_end: Option<u64>,
}

/// Whose sessions to end: of one user, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevokeSessions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSession {
    pub user_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSessionToken {
    /// At most what the session has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

/// A session token to verify, or the value of a client cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyToken {
    pub token: String,
}

named! {
    Session = "session"
    SessionActivity = "session_activity"
    Token = "token"
    SessionEnd = "session_end"
    SessionRevocation = "session_revocation"
}
