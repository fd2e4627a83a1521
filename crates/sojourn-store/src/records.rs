//! Rows that the core has no rules for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sojourn_core::{
    client::ClientWithSessions,
    email::Email,
    id::{ClientId, EventId, InstanceId, MailId, SecretKeyId, SessionId, TicketId, UserId},
    impersonation::Impersonation,
    policy::Policy,
    session::{ClosedStatus, Session},
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    time::Timestamp,
    user::User,
};

pub use sojourn_core::environment::Environment;

use crate::error::StoreError;

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// What kind it is.
    pub environment: Environment,
    /// The host in its publishable key, and in `iss`.
    pub host: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key that signs tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Unique over all instances, never reused.
    pub kid: String,
    /// PKCS#8, encrypted with the master key.
    pub sealed_private_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key of the application's server, by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    /// What it is for, in the words of whoever made it.
    pub name: Option<String>,
    /// When it was made. On the wall, as all times of a key.
    pub created_at: Timestamp,
    /// When it was last used, give or take some minutes.
    pub last_used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl SecretKey {
    /// A new key.
    pub const fn new(hash: [u8; 32], name: Option<String>, created_at: Timestamp) -> Self {
        Self { hash, name, created_at, last_used_at: None, revoked_at: None }
    }

    /// What it is called in the API.
    pub fn id(&self) -> SecretKeyId {
        SecretKeyId::of_hash(&self.hash)
    }

    /// Whether it still opens anything.
    pub const fn is_good(&self) -> bool {
        self.revoked_at.is_none()
    }
}

/// A ticket: signs one user in, once, or somebody who acts as them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Whom it signs in.
    pub user_id: UserId,
    /// Whether it can still be used.
    pub status: TicketStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
    /// No longer good from then on.
    pub expires_at: Timestamp,
    /// Set in the tickets of those who act as the user.
    pub impersonation: Option<Impersonation>,
}

/// Whether a ticket can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketStatus {
    /// It can.
    Pending,
    /// It was used.
    Accepted,
    /// It was taken back.
    Revoked,
}

impl TicketStatus {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
        }
    }
}

/// What a creation answered that was asked for with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotencyKey {
    /// SHA-256 of the key, and of whatever tells its owners apart.
    pub key_hash: [u8; 32],
    /// SHA-256 of the request: the same key with another one is a mistake.
    pub request_hash: [u8; 32],
    /// What is answered again.
    pub answer: serde_json::Value,
    /// When it was answered. On the wall.
    pub created_at: Timestamp,
}

/// One mail in the development mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its id.
    pub id: MailId,
    /// Whom it is for.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// The code in it, if any.
    pub code: Option<String>,
    /// The link in it, if any.
    pub link: Option<String>,
    /// Its plain text.
    pub text: String,
    /// Its HTML.
    pub html: String,
    /// When it was written.
    pub received_at: Timestamp,
}

/// A recorded event, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEntry {
    /// Its place: a cursor for who reads on from there.
    pub seq: u64,
    /// Its id.
    pub id: EventId,
    /// When it was decided.
    pub at: Timestamp,
    /// `session.ended` and so on.
    pub name: String,
    /// What it is about: ids, status, reason.
    pub data: serde_json::Value,
}

/// Everything a request needs to know about one browser, of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRecord {
    /// The client and its sessions that are stored as open, oldest first, with
    /// the newest activity known.
    pub browser: ClientWithSessions,
    /// The users of those sessions.
    pub users: Vec<Arc<User>>,
    /// The unfinished attempt to sign in that the client names.
    pub sign_in: Option<SignIn>,
    /// The unfinished attempt to sign up that the client names.
    pub sign_up: Option<SignUp>,
    /// The settings in force.
    pub settings: Settings,
    /// All versions of the session settings.
    pub policy: Policy,
}

impl ClientRecord {
    /// The user of a session of this browser.
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.users.iter().map(Arc::as_ref).find(|user| user.id == id)
    }
}

/// Whose these sessions are, each once.
pub fn users_of(sessions: &[Session]) -> Vec<UserId> {
    let mut ids: Vec<UserId> = sessions.iter().map(|session| session.user_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of this browser.
    pub client_id: Option<ClientId>,
    /// Of this user.
    pub user_id: Option<UserId>,
    /// Only these.
    pub ids: Vec<SessionId>,
    /// Stored as open, or stored as closed so. Open ones may turn out to be over.
    pub stored: Option<StoredStatus>,
    /// Only those that come behind the one with this time and id, in the order asked for:
    /// a page that costs the same wherever it begins.
    pub after: Option<(Timestamp, SessionId)>,
    /// Newest first by default.
    pub order: SessionOrder,
    /// At most so many.
    pub limit: u32,
    /// Skipping so many.
    pub offset: u32,
}

/// What the table says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredStatus {
    /// No closing is stored.
    Open,
    /// This closing is stored.
    Closed(ClosedStatus),
}

/// How to order sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionOrder {
    /// By creation, newest first.
    #[default]
    NewestFirst,
    /// By creation, oldest first.
    OldestFirst,
}

/// Which users to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only these.
    pub ids: Vec<UserId>,
    /// With one of these addresses.
    pub emails: Vec<Email>,
    /// With one of these external ids.
    pub external_ids: Vec<String>,
    /// With this text in an address, a name or an id.
    pub query: Option<String>,
    /// With this text in an address that names them.
    pub email_query: Option<String>,
    /// With this text in the name.
    pub name_query: Option<String>,
    /// Banned or not.
    pub banned: Option<bool>,
    /// Made within this time.
    pub created: Span,
    /// Last active within this time, as far as their sessions are still stored;
    /// never for those who never signed in.
    pub last_active: Span,
    /// Last signed in within this time.
    pub last_sign_in: Span,
    /// Newest first by default.
    pub order: UserOrder,
    /// At most so many.
    pub limit: u32,
    /// Skipping so many.
    pub offset: u32,
}

/// A time from a moment on and before another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub before: Option<Timestamp>,
}

impl Span {
    /// Whether nothing is outside of it.
    pub fn is_always(self) -> bool {
        self == Self::default()
    }
}

/// How to order users. Those who are equal are ordered by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserOrder {
    /// By what.
    pub by: UserSortKey,
    /// The greatest first.
    pub descending: bool,
}

impl Default for UserOrder {
    fn default() -> Self {
        Self { by: UserSortKey::CreatedAt, descending: true }
    }
}

/// What users can be ordered by. Who has none of it is the least; texts are compared
/// without regard to the case of ASCII letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserSortKey {
    CreatedAt,
    UpdatedAt,
    LastSignInAt,
    /// See [`UserFilter::last_active`].
    LastActiveAt,
    /// The primary address.
    EmailAddress,
    FirstName,
    LastName,
}

impl UserFilter {
    /// Whether the answer depends on activity.
    pub fn needs_activity(&self) -> bool {
        !self.last_active.is_always() || self.order.by == UserSortKey::LastActiveAt
    }
}

/// What [`UserFilter::query`] is looked for in: lower case, a line each for
/// the id, the name and every address.
pub fn search_text(user: &User) -> String {
    let mut text = user.id.to_string();
    for line in user
        .full_name()
        .iter()
        .map(String::as_str)
        .chain(user.email_addresses.iter().map(|address| address.email.as_str()))
    {
        text.push('\n');
        text.push_str(line);
    }
    text.to_lowercase()
}

/// The settings in force and the policy that all versions make, oldest first.
pub fn policy_of(versions: Vec<Settings>) -> Result<(Settings, Policy), StoreError> {
    let mut versions = versions.into_iter();
    let Some(first) = versions.next() else {
        return Err(StoreError::Corrupt { table: "settings", reason: "the instance has none".to_owned() });
    };
    let start = (Policy::new(first.policy_version()), first);
    Ok(versions.fold(start, |(policy, _), next| (policy.then(next.policy_version()), next)))
        .map(|(policy, newest)| (newest, policy))
}
