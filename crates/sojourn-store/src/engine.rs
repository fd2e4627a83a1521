//! The storage interface: loads from a consistent snapshot, and one method that writes.

use std::{collections::BTreeMap, fmt, future::Future};

use futures_util::future::BoxFuture;
use sojourn_core::{
    audit::AuditEntry,
    email::Email,
    handshake::Handshake,
    id::{
        ClientId, CommitId, InstanceId, MailId, SessionId, SignInId, SignUpId, TicketId, UserId,
        WebhookDeliveryId, WebhookEndpointId,
    },
    outgoing_mail::{MailStatus, OutgoingMail},
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::{Moment, Timestamp},
    user::User,
    webhook::{WebhookDelivery, WebhookEndpoint},
};

use crate::{
    change::ChangeSet,
    error::{CommitError, StoreError},
    records::{
        AuditFilter, ClientRecord, IdempotencyKey, Instance, Mail, OutboxEntry, QueueLengths, SecretKey,
        SessionFilter, SigningKey, StoredWebhookDelivery, Ticket, UserFilter, WebhookDeliveryFilter,
    },
};

/// All methods of an engine. The trait, its boxed form, [`crate::Store`] and engines of tests that
/// wrap another one are generated from this list, so a new method is declared once.
#[macro_export]
macro_rules! with_every_call {
    ($make:ident) => {
        $make! {
            async {
                /// Applies a set. It is durable when this method returns.
                fn commit(changes: ChangeSet) -> Result<(), CommitError>;
                /// Whether a set was applied, up to a day afterwards: for a client that lost the
                /// response. Committing the same set again has the same effect.
                fn was_committed(instance: InstanceId, id: CommitId) -> Result<bool, StoreError>;

                /// All instances, oldest first.
                fn instances() -> Result<Vec<Instance>, StoreError>;
                /// The keys that sign an instance's tokens, oldest first.
                fn signing_keys(instance: InstanceId) -> Result<Vec<SigningKey>, StoreError>;
                /// All secret keys, including revoked ones, oldest first.
                fn secret_keys(instance: InstanceId) -> Result<Vec<SecretKey>, StoreError>;
                /// The secret key with this hash, including revoked ones.
                fn secret_key(instance: InstanceId, hash: [u8; 32]) -> Result<Option<SecretKey>, StoreError>;

                /// The settings in force, and the policy from all versions.
                fn settings(instance: InstanceId) -> Result<(Settings, Policy), StoreError>;
                /// All settings versions, oldest first.
                fn settings_history(instance: InstanceId) -> Result<Vec<Settings>, StoreError>;
                /// The test clock. It equals the wall clock if it was never changed.
                fn test_clock(instance: InstanceId) -> Result<TestClock, StoreError>;

                /// A client with everything that a request may need.
                fn browser(instance: InstanceId, client: ClientId) -> Result<Option<ClientRecord>, StoreError>;

                /// One session, open or closed, with the newest known activity.
                fn session(instance: InstanceId, id: SessionId) -> Result<Option<Session>, StoreError>;
                /// The sessions of a filter, and their number without `limit` and `offset`.
                fn sessions(instance: InstanceId, filter: SessionFilter) -> Result<(Vec<Session>, u64), StoreError>;

                /// The sessions of a filter without the total number, for paging with `after`.
                fn session_page(instance: InstanceId, filter: SessionFilter) -> Result<Vec<Session>, StoreError>;

                /// At most `limit` sessions that are stored as open, oldest first, starting behind
                /// `after`: for processing all of them in batches.
                fn open_sessions(instance: InstanceId, after: Option<(Timestamp, SessionId)>, limit: u32) -> Result<Vec<Session>, StoreError>;
                /// The session of a client that ended most recently.
                fn last_ended_session(instance: InstanceId, client: ClientId) -> Result<Option<Session>, StoreError>;

                fn user(instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError>;
                /// The user with this address, verified or not.
                fn user_by_email(instance: InstanceId, email: &'a Email) -> Result<Option<User>, StoreError>;
                /// The users of a filter, and their number without `limit` and `offset`.
                fn users(instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError>;

                /// The newest stored activity of each user, over the sessions that still exist.
                /// Users without sessions are omitted.
                fn last_activity(instance: InstanceId, users: Vec<UserId>) -> Result<BTreeMap<UserId, Timestamp>, StoreError>;

                fn sign_in(instance: InstanceId, id: SignInId) -> Result<Option<SignIn>, StoreError>;
                fn sign_up(instance: InstanceId, id: SignUpId) -> Result<Option<SignUp>, StoreError>;
                /// The handshake of a nonce, by the SHA-256 of the nonce. Also returned after it
                /// has expired.
                fn handshake(instance: InstanceId, nonce: [u8; 32]) -> Result<Option<Handshake>, StoreError>;
                /// A ticket by the SHA-256 of its text.
                fn ticket(instance: InstanceId, hash: [u8; 32]) -> Result<Option<Ticket>, StoreError>;
                fn ticket_by_id(instance: InstanceId, id: TicketId) -> Result<Option<Ticket>, StoreError>;

                /// At most `limit` mails, newest first, of one recipient (normalised) or of all.
                fn mails(instance: InstanceId, to: Option<&'a str>, limit: u32) -> Result<Vec<Mail>, StoreError>;
                /// An outgoing mail, delivered or not.
                fn outgoing_mail(instance: InstanceId, id: MailId) -> Result<Option<OutgoingMail>, StoreError>;
                /// Outgoing mails that are due at `wall`, the longest due first.
                fn due_mails(instance: InstanceId, wall: Timestamp, limit: u32) -> Result<Vec<OutgoingMail>, StoreError>;
                /// Outgoing mails of one status or all, newest first, and their number without `limit`
                /// and `offset`.
                fn outgoing_mails(instance: InstanceId, status: Option<MailStatus>, limit: u32, offset: u32) -> Result<(Vec<OutgoingMail>, u64), StoreError>;
                /// Events with a sequence number greater than `after`, or from the first, oldest
                /// first.
                fn outbox(instance: InstanceId, after: Option<u64>, limit: u32) -> Result<Vec<OutboxEntry>, StoreError>;
                /// Records that a reader has processed the events up to `seq`. The number never
                /// decreases.
                fn acknowledge_events(instance: InstanceId, reader: &'a str, seq: u64) -> Result<(), StoreError>;
                /// The number up to which a reader has processed events; `None` for a new reader.
                fn acknowledged_events(instance: InstanceId, reader: &'a str) -> Result<Option<u64>, StoreError>;
                /// All webhook endpoints, oldest first.
                fn webhook_endpoints(instance: InstanceId) -> Result<Vec<WebhookEndpoint>, StoreError>;
                fn webhook_delivery(instance: InstanceId, id: WebhookDeliveryId) -> Result<Option<StoredWebhookDelivery>, StoreError>;
                /// Deliveries of an endpoint that are due at `wall`, the longest due first, without
                /// those behind an unfinished earlier delivery of the same user.
                fn due_webhooks(instance: InstanceId, endpoint: WebhookEndpointId, wall: Timestamp, limit: u32) -> Result<Vec<StoredWebhookDelivery>, StoreError>;
                /// The deliveries of a filter, newest first, and their number without `limit` and
                /// `offset`.
                fn webhook_deliveries(instance: InstanceId, filter: WebhookDeliveryFilter) -> Result<(Vec<WebhookDelivery>, u64), StoreError>;
                /// How many mails and webhook deliveries wait, and how many were given up.
                fn queue_lengths(instance: InstanceId) -> Result<QueueLengths, StoreError>;
                /// The entries of the audit log, newest first, and their number without `limit` and
                /// `offset`.
                fn audit_log(instance: InstanceId, filter: AuditFilter) -> Result<(Vec<AuditEntry>, u64), StoreError>;
                /// The stored response to a creation, by the hash of its idempotency key.
                fn idempotency_key(instance: InstanceId, key_hash: [u8; 32]) -> Result<Option<IdempotencyKey>, StoreError>;

                /// Writes all activity that is only in memory: before the process stops and before
                /// changed settings come into force.
                fn flush_activity() -> Result<(), StoreError>;

                /// The latest stored wall-clock time. The server must not use an earlier time
                /// (SES-12).
                fn high_water() -> Result<Option<Timestamp>, StoreError>;
                fn raise_high_water(wall: Timestamp) -> Result<(), StoreError>;

                /// Acquires the lease of a job for `holder` until `until`, unless another holder
                /// has it at `wall` (wall clock). Returns whether `holder` has the lease now.
                fn take_lease(instance: InstanceId, name: &'static str, holder: &'a str, wall: Timestamp, until: Timestamp) -> Result<bool, StoreError>;

                /// Deletes rows that are older than [`crate::retention`] allows: attempts, nonces,
                /// tickets, commit ids, idempotency keys, events and mails. Each statement deletes
                /// at most `limit` rows, so that other transactions can run in between. Returns the
                /// number of deleted rows.
                fn purge(at: Moment, limit: u32) -> Result<u64, StoreError>;
                /// Deletes up to `limit` sessions that ended at `before` or earlier, with their end
                /// records. Returns the number of deleted rows, 0 if none is left.
                fn purge_sessions(instance: InstanceId, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

                /// Deletes up to `limit` entries of the audit log from `before` or earlier. Returns the
                /// number of deleted rows, 0 if none is left.
                fn purge_audit_log(instance: InstanceId, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

                /// Writes what is in memory and closes; later calls fail.
                fn close() -> Result<(), StoreError>;
            }
            sync {
                /// Records activity in memory. It is exact at once on this node and written in
                /// batches later. Not async: a token refresh must not wait for a write.
                fn record_activity(instance: InstanceId, session: SessionId, at: Moment) -> ();
                /// Discards activity that this node recorded before a reset of the test clock.
                fn forget_activity(instance: InstanceId) -> ();
                /// Whether other processes can change the same rows at the same time.
                fn is_shared() -> bool;
            }
        }
    };
}
pub use with_every_call;

macro_rules! define_engine {
    (
        async { $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
        sync { $($(#[$sync_doc:meta])* fn $sync_name:ident($($sync_arg:ident: $sync_type:ty),*) -> $sync_answer:ty;)* }
    ) => {
        /// The methods of an engine. Each load reads from one consistent snapshot and caches
        /// nothing beyond it. An unknown id is `None`, not an error. Every method takes the
        /// instance; there is no fallback to another instance (AUZ-02).
        #[expect(clippy::needless_lifetimes, reason = "some of the calls need it, and all are written alike")]
        pub trait Engine: Send + Sync + fmt::Debug + 'static {
            $($(#[$doc])* fn $name<'a>(&'a self $(, $arg: $type)*) -> impl Future<Output = $answer> + Send;)*
            $($(#[$sync_doc])* fn $sync_name(&self $(, $sync_arg: $sync_type)*) -> $sync_answer;)*
        }

        /// A boxed [`Engine`], for engines outside this crate.
        pub trait DynEngine: Send + Sync + fmt::Debug + 'static {
            $($(#[$doc])* fn $name<'a>(&'a self $(, $arg: $type)*) -> BoxFuture<'a, $answer>;)*
            $($(#[$sync_doc])* fn $sync_name(&self $(, $sync_arg: $sync_type)*) -> $sync_answer;)*
        }

        impl<E: Engine> DynEngine for E {
            $(fn $name<'a>(&'a self $(, $arg: $type)*) -> BoxFuture<'a, $answer> {
                Box::pin(Engine::$name(self $(, $arg)*))
            })*
            $(fn $sync_name(&self $(, $sync_arg: $sync_type)*) -> $sync_answer {
                Engine::$sync_name(self $(, $sync_arg)*)
            })*
        }
    };
}

with_every_call!(define_engine);
