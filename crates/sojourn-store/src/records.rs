//! Rows without rules in the core.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sojourn_core::{
    audit::Action,
    client::ClientWithSessions,
    email::Email,
    id::{
        ClientId, EventId, InstanceId, MailId, SecretKeyId, SessionId, TicketId, UserId, WebhookEndpointId,
    },
    impersonation::Impersonation,
    policy::Policy,
    session::{ClosedStatus, Session},
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    signing_key::SigningKeyTimes,
    time::Timestamp,
    user::User,
    webhook::{DeliveryStatus, WebhookDelivery},
};

pub use sojourn_core::environment::Environment;

use crate::error::StoreError;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub id: InstanceId,
    pub environment: Environment,
    /// The host in the publishable key and in `iss`.
    pub host: String,
    pub created_at: Timestamp,
}

/// A key that signs tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Unique over all instances, never reused.
    pub kid: String,
    /// PKCS#8, encrypted with the master key.
    pub sealed_private_key: Vec<u8>,
    pub times: SigningKeyTimes,
}

/// The requests that a secret key may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretKeyRole {
    /// Every request.
    #[default]
    Full,
    /// Requests that change nothing.
    ReadOnly,
    /// Reading users, and every request about sessions and clients.
    Sessions,
}

impl SecretKeyRole {
    pub const ALL: [Self; 3] = [Self::Full, Self::ReadOnly, Self::Sessions];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Sessions => "sessions",
        }
    }

    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// A secret key of the application's backend. Only its hash is stored. Its times are on the wall
/// clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// A label by the person who created the key.
    pub name: Option<String>,
    pub role: SecretKeyRole,
    pub created_at: Timestamp,
    /// The key is rejected from then on.
    pub expires_at: Option<Timestamp>,
    /// The last use, accurate to some minutes.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl SecretKey {
    /// A new key with every right that does not expire.
    pub const fn new(hash: [u8; 32], name: Option<String>, created_at: Timestamp) -> Self {
        let role = SecretKeyRole::Full;
        Self { hash, name, role, created_at, expires_at: None, last_used_at: None, revoked_at: None }
    }

    /// The id in the API.
    pub fn id(&self) -> SecretKeyId {
        SecretKeyId::of_hash(&self.hash)
    }

    /// Whether the key is valid at `wall`.
    pub fn is_good(&self, wall: Timestamp) -> bool {
        self.revoked_at.is_none() && !self.is_expired(wall)
    }

    /// Whether the key has expired at `wall`.
    pub fn is_expired(&self, wall: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| wall >= expires_at)
    }
}

/// A ticket signs in one user once, or starts one impersonation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub id: TicketId,
    /// SHA-256 of the ticket's text.
    pub hash: [u8; 32],
    pub user_id: UserId,
    pub status: TicketStatus,
    pub created_at: Timestamp,
    /// The last change of `status`.
    pub updated_at: Timestamp,
    pub expires_at: Timestamp,
    /// Set for an actor token.
    pub impersonation: Option<Impersonation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketStatus {
    /// Can be used.
    Pending,
    /// Was used.
    Accepted,
    Revoked,
}

impl TicketStatus {
    /// The value on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
        }
    }
}

/// The stored response to a creation with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotencyKey {
    /// SHA-256 of the key and its scope (the caller).
    pub key_hash: [u8; 32],
    /// SHA-256 of the request. A different request with the same key is an error.
    pub request_hash: [u8; 32],
    /// The response that a repeated request gets.
    pub answer: serde_json::Value,
    /// On the wall clock.
    pub created_at: Timestamp,
}

/// A mail in the development mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub id: MailId,
    pub to: String,
    pub subject: String,
    /// The code in the mail, if any.
    pub code: Option<String>,
    /// The link in the mail, if any.
    pub link: Option<String>,
    pub text: String,
    pub html: String,
    pub received_at: Timestamp,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEntry {
    /// The sequence number, which readers use as a cursor.
    pub seq: u64,
    pub id: EventId,
    /// The time of the decision.
    pub at: Timestamp,
    /// `session.ended` and so on.
    pub name: String,
    /// The ids, the status and the reason of the event.
    pub data: serde_json::Value,
}

/// A webhook delivery with the JSON text that every attempt sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWebhookDelivery {
    pub delivery: WebhookDelivery,
    pub body: String,
}

/// The filter of a list of webhook deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookDeliveryFilter {
    pub endpoint_id: WebhookEndpointId,
    pub status: Option<DeliveryStatus>,
    pub queued: Span,
    pub limit: u32,
    pub offset: u32,
}

/// How many mails and webhook deliveries are in each state, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    pub queued_mails: u64,
    pub failed_mails: u64,
    pub queued_webhooks: u64,
    pub failed_webhooks: u64,
}

/// The filter of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// As [`sojourn_core::audit::Actor::key`] gives it.
    pub actor: Option<String>,
    /// One of these, if not empty.
    pub actions: Vec<Action>,
    pub object_id: Option<String>,
    pub acted: Span,
    pub limit: u32,
    pub offset: u32,
}

/// Everything that a request needs to know about one client, from one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRecord {
    /// The client and its sessions that are stored as open, oldest first, with the newest known
    /// activity.
    pub browser: ClientWithSessions,
    /// The users of these sessions.
    pub users: Vec<Arc<User>>,
    /// The client's unfinished sign-in attempt.
    pub sign_in: Option<SignIn>,
    /// The client's unfinished sign-up attempt.
    pub sign_up: Option<SignUp>,
    pub settings: Settings,
    pub policy: Policy,
}

impl ClientRecord {
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.users.iter().map(Arc::as_ref).find(|user| user.id == id)
    }
}

/// The users of the sessions, without duplicates.
pub fn users_of(sessions: &[Session]) -> Vec<UserId> {
    let mut ids: Vec<UserId> = sessions.iter().map(|session| session.user_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The filter of a list of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    pub client_id: Option<ClientId>,
    pub user_id: Option<UserId>,
    /// Only these sessions, if not empty.
    pub ids: Vec<SessionId>,
    /// Stored as open, or closed with this status. A session that is stored as open may be overdue.
    pub stored: Option<StoredStatus>,
    /// Only sessions behind this time and id in the requested order (keyset pagination): every page
    /// costs the same.
    pub after: Option<(Timestamp, SessionId)>,
    /// Newest first by default.
    pub order: SessionOrder,
    pub limit: u32,
    pub offset: u32,
}

/// The status of a session in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredStatus {
    /// No closing is stored.
    Open,
    /// A closing with this status is stored.
    Closed(ClosedStatus),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionOrder {
    /// By creation, newest first.
    #[default]
    NewestFirst,
    /// By creation, oldest first.
    OldestFirst,
}

/// The filter of a list of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only these users, if not empty.
    pub ids: Vec<UserId>,
    /// With one of these addresses, if not empty.
    pub emails: Vec<Email>,
    /// With one of these external ids, if not empty.
    pub external_ids: Vec<String>,
    /// With this text in an address, a name or an id.
    pub query: Option<String>,
    /// With this text in an identifying address.
    pub email_query: Option<String>,
    /// With this text in the name.
    pub name_query: Option<String>,
    pub banned: Option<bool>,
    pub created: Span,
    /// By last activity, over the sessions that still exist. Users who never signed in never match.
    pub last_active: Span,
    pub last_sign_in: Span,
    /// Newest first by default.
    pub order: UserOrder,
    pub limit: u32,
    pub offset: u32,
}

/// A half-open period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub before: Option<Timestamp>,
}

impl Span {
    /// Whether the period has no bounds.
    pub fn is_always(self) -> bool {
        self == Self::default()
    }
}

/// The order of a list of users. Users with equal keys are ordered by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserOrder {
    pub by: UserSortKey,
    /// Greatest first.
    pub descending: bool,
}

impl Default for UserOrder {
    fn default() -> Self {
        Self { by: UserSortKey::CreatedAt, descending: true }
    }
}

/// The sort key of users. Users without a value come first in ascending order; texts are compared
/// ignoring the case of ASCII letters.
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
    /// Whether the result depends on activity.
    pub fn needs_activity(&self) -> bool {
        !self.last_active.is_always() || self.order.by == UserSortKey::LastActiveAt
    }
}

/// The text that [`UserFilter::query`] searches: lower case, with one line each for the id, the
/// name and every address.
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

/// The settings in force and the policy, from all versions, oldest first.
pub fn policy_of(versions: Vec<Settings>) -> Result<(Settings, Policy), StoreError> {
    let mut versions = versions.into_iter();
    let Some(first) = versions.next() else {
        return Err(StoreError::Corrupt { table: "settings", reason: "the instance has none".to_owned() });
    };
    let start = (Policy::new(first.policy_version()), first);
    Ok(versions.fold(start, |(policy, _), next| (policy.then(next.policy_version()), next)))
        .map(|(policy, newest)| (newest, policy))
}
