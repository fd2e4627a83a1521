//! Clients: one per browser.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BrowserSession, Kind, Session, SignIn, SignUp, UnixMillis, named};

/// A client as its browser sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BrowserClient {
    #[schema(schema_with = crate::kind::schema::<Client>)]
    pub object: Kind<Client>,
    pub id: String,
    pub sessions: Vec<BrowserSession>,
    pub sign_in: Option<SignIn>,
    pub sign_up: Option<SignUp>,
    pub last_active_session_id: Option<String>,
    pub last_authentication_strategy: Option<String>,
    pub cookie_expires_at: UnixMillis,
    pub captcha_bypass: bool,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

/// A client as application servers see it, with its open sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub session_ids: Vec<String>,
    pub sessions: Vec<Session>,
    pub sign_in_id: Option<String>,
    pub sign_up_id: Option<String>,
    pub last_active_session_id: Option<String>,
    pub last_authentication_strategy: Option<String>,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
}

/// The answer to a browser: what it asked for, and its client after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WithClient<T> {
    pub response: T,
    /// Null where the request changed nothing.
    pub client: Option<BrowserClient>,
}

/// `Set-Cookie` lines for the application to send on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandshakePayload {
    pub directives: Vec<String>,
}

named! { Client = "client" }
