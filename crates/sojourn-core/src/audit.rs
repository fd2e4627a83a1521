//! The audit log: who did which administrative act, to what, from where, and what it changed.
//!
//! An act and its entry are one commit, so an entry exists exactly if the act took effect. What users
//! do to their own account is not an administrative act: their sessions have records of their own.

mod user;

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::user::user_changes;
use crate::{
    id::{AuditEntryId, CommitId, SecretKeyId},
    settings::Difference,
    time::Timestamp,
};

/// Stands for a secret, or for metadata that only the application's backend may read.
pub const REDACTED: &str = "***";

/// One administrative act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: AuditEntryId,
    /// On the wall clock.
    pub at: Timestamp,
    #[serde(flatten)]
    pub context: AuditContext,
    pub action: Action,
    /// The id of what was acted on, of the kind [`Action::object_type`].
    pub object_id: String,
    /// What changed. `None` after the user that the entry is about was deleted: the values may be
    /// personal data, and go with the account (DAT-02).
    #[serde(skip)]
    pub changes: Option<Vec<FieldChange>>,
    /// The names of the changed fields, which stay.
    pub fields: Vec<String>,
}

/// Who acts, and from where: every use case of an administrator takes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditContext {
    pub actor: Actor,
    /// As the connection or a trusted proxy says.
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    /// The id in the server's log and in the response to an error.
    pub request_id: Option<String>,
}

/// Who performs an administrative act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// The holder of a secret key, over the Backend API.
    SecretKey {
        id: SecretKeyId,
        /// As it was called at the time.
        name: Option<String>,
        role: String,
        /// What the command line says of who types. The key is what counts; nobody verified this.
        label: Option<String>,
    },
    /// The command line with access to the data folder or to the database.
    CommandLine { label: Option<String> },
    /// The server itself.
    System { job: SystemJob },
}

/// Why the server acts without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemJob {
    /// It is started: the first instance, the development key, the new master key.
    Start,
    /// The configuration pins settings.
    Configuration,
    /// `signing_keys.rotation_days` is over.
    SigningKeyRotation,
    /// An endpoint has failed for too long, or is gone.
    WebhookDelivery,
}

impl SystemJob {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Configuration => "configuration",
            Self::SigningKeyRotation => "signing_key_rotation",
            Self::WebhookDelivery => "webhook_delivery",
        }
    }
}

impl Actor {
    /// The actor as the log is filtered by: the id of a secret key, or the kind.
    pub fn key(&self) -> String {
        match self {
            Self::SecretKey { id, .. } => id.to_string(),
            Self::CommandLine { .. } => "command_line".to_owned(),
            Self::System { .. } => "system".to_owned(),
        }
    }
}

impl AuditContext {
    /// The server acts for itself.
    pub const fn system(job: SystemJob) -> Self {
        Self::local(Actor::System { job })
    }

    /// Somebody with access to the data folder or to the database acts by the command line.
    pub const fn command_line(label: Option<String>) -> Self {
        Self::local(Actor::CommandLine { label })
    }

    const fn local(actor: Actor) -> Self {
        Self { actor, ip_address: None, user_agent: None, request_id: None }
    }
}

/// A field before and after an act. Null is no value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

impl From<Difference> for FieldChange {
    fn from(Difference { path, before, after }: Difference) -> Self {
        Self { field: path, before, after }
    }
}

/// What is done, before it is known by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    pub action: Action,
    pub object_id: String,
    pub changes: Vec<FieldChange>,
}

impl Act {
    /// An act on the object with that id.
    pub fn on(action: Action, object_id: impl Display) -> Self {
        Self { action, object_id: object_id.to_string(), changes: Vec::new() }
    }

    /// Adds a field, unless both values are equal.
    #[must_use]
    pub fn field(mut self, name: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        let (before, after) = (before.into(), after.into());
        if before != after {
            self.changes.push(FieldChange { field: name.to_owned(), before, after });
        }
        self
    }

    /// Adds changed fields.
    #[must_use]
    pub fn fields(mut self, changes: impl IntoIterator<Item = FieldChange>) -> Self {
        self.changes.extend(changes);
        self
    }

    /// The entry of this act, which `commit` makes.
    pub fn entry(self, context: &AuditContext, commit: CommitId, at: Timestamp) -> AuditEntry {
        let Self { action, object_id, changes } = self;
        AuditEntry {
            id: AuditEntryId::of_commit(commit),
            at,
            context: context.clone(),
            action,
            object_id,
            fields: changes.iter().map(|change| change.field.clone()).collect(),
            changes: Some(changes),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $word:literal on $object:literal;)+) => {
        /// What administrators and the server can do. The words are stable: logs are searched by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word in the log.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The kind of object that is acted on.
            pub const fn object_type(self) -> &'static str {
                match self { $(Self::$name => $object,)+ }
            }
        }
    };
}

actions! {
    /// The first start, or `sojourn init`.
    InstanceCreated "instance.created" on "instance";
    /// A backup was loaded.
    InstanceRestored "instance.restored" on "instance";
    /// It was moved here from another database.
    InstanceImported "instance.imported" on "instance";
    UserCreated "user.created" on "user";
    UserUpdated "user.updated" on "user";
    UserBanned "user.banned" on "user";
    UserUnbanned "user.unbanned" on "user";
    UserLocked "user.locked" on "user";
    UserUnlocked "user.unlocked" on "user";
    UserDeleted "user.deleted" on "user";
    /// A batch of new accounts; one entry for all of them.
    UsersImported "users.imported" on "instance";
    /// Without a sign-in, in development.
    SessionCreated "session.created" on "session";
    SessionRevoked "session.revoked" on "session";
    /// All sessions of one user.
    SessionsRevoked "sessions.revoked" on "user";
    /// Everybody is signed out.
    SessionsRevokedAll "sessions.revoked_all" on "instance";
    SignInTokenCreated "sign_in_token.created" on "sign_in_token";
    SignInTokenRevoked "sign_in_token.revoked" on "sign_in_token";
    ActorTokenCreated "actor_token.created" on "actor_token";
    ActorTokenRevoked "actor_token.revoked" on "actor_token";
    SettingsChanged "settings.changed" on "settings_version";
    SettingsRolledBack "settings.rolled_back" on "settings_version";
    SecretKeyCreated "secret_key.created" on "secret_key";
    SecretKeyRevoked "secret_key.revoked" on "secret_key";
    SigningKeyRotated "signing_key.rotated" on "signing_key";
    /// What another master key had encrypted was encrypted with the current one.
    SecretsResealed "secrets.resealed" on "instance";
    WebhookEndpointCreated "webhook_endpoint.created" on "webhook_endpoint";
    WebhookEndpointUpdated "webhook_endpoint.updated" on "webhook_endpoint";
    WebhookEndpointSecretRotated "webhook_endpoint.secret_rotated" on "webhook_endpoint";
    /// By the server, after failures.
    WebhookEndpointDisabled "webhook_endpoint.disabled" on "webhook_endpoint";
    WebhookEndpointDeleted "webhook_endpoint.deleted" on "webhook_endpoint";
    WebhookEndpointTested "webhook_endpoint.tested" on "webhook_endpoint";
    /// The deliveries of a period are sent again. Written before the first of them.
    WebhookEndpointReplayed "webhook_endpoint.replayed" on "webhook_endpoint";
    WebhookDeliveryRetried "webhook_delivery.retried" on "webhook_delivery";
    MailRetried "mail.retried" on "mail";
    /// All failed mails are tried again. Written before the first of them.
    MailsRetried "mails.retried" on "instance";
    MailTestSent "mail.test_sent" on "mail";
    TestClockFrozen "test_clock.frozen" on "instance";
    TestClockResumed "test_clock.resumed" on "instance";
    TestClockAdvanced "test_clock.advanced" on "instance";
    TestClockSet "test_clock.set" on "instance";
    TestClockReset "test_clock.reset" on "instance";
}

impl Action {
    /// The actions that a pattern names: a word, or a prefix with `*` behind it. Empty if it names
    /// none.
    pub fn matching(pattern: &str) -> Vec<Self> {
        let named = |action: &&Self| match pattern.strip_suffix('*') {
            Some(prefix) => action.as_str().starts_with(prefix),
            None => action.as_str() == pattern,
        };
        Self::ALL.iter().filter(named).copied().collect()
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().copied().find(|action| action.as_str() == word);
        found.ok_or_else(|| serde::de::Error::custom(format!("{word:?} is no action")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededRng;

    #[test]
    fn the_words_of_actions_differ_and_read_back() {
        let mut words: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(Action::matching(action.as_str()), [*action]);
        }
    }

    #[test]
    fn a_pattern_names_all_actions_with_its_prefix() {
        let revoked = [Action::SignInTokenCreated, Action::SignInTokenRevoked];
        assert_eq!(Action::matching("sign_in_token.*"), revoked);
        assert_eq!(Action::matching("*"), Action::ALL);
        assert!(Action::matching("sign_in_token").is_empty());
    }

    #[test]
    fn an_entry_reads_back_and_has_the_id_of_its_commit() {
        let at = Timestamp::from_secs(1_700_000_000);
        let commit = CommitId::generate(at, &mut SeededRng::new(1));
        let context = AuditContext::command_line(Some("ada".to_owned()));
        let act = Act::on(Action::SettingsChanged, 3).field("same", 1, 1).field("name", "x", Value::Null);
        let entry = act.entry(&context, commit, at);
        assert_eq!(entry.fields, ["name"]);
        assert_eq!(
            entry.id.to_string().split_once('_').map(|id| id.1),
            commit.to_string().split_once('_').map(|id| id.1)
        );
        let text = serde_json::to_string(&entry).expect("JSON");
        let read: AuditEntry = serde_json::from_str(&text).expect("an entry");
        assert_eq!(read, AuditEntry { changes: None, ..entry });
    }
}
