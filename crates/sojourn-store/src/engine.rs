//! The interface of storage: loads, each of one moment, and one way to write.

use std::{collections::BTreeMap, fmt, future::Future};

use futures_util::future::BoxFuture;
use sojourn_core::{
    email::Email,
    handshake::Handshake,
    id::{ClientId, CommitId, InstanceId, MailId, SessionId, SignInId, SignUpId, TicketId, UserId},
    outgoing_mail::{MailStatus, OutgoingMail},
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::{Moment, Timestamp},
    user::User,
};

use crate::{
    change::ChangeSet,
    error::{CommitError, StoreError},
    records::{
        ClientRecord, IdempotencyKey, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SigningKey,
        Ticket, UserFilter,
    },
};

/// Every call of an engine. The trait, its boxed form and [`crate::Store`] are made
/// from this list, so that a new call is written once.
macro_rules! with_every_call {
    ($make:ident) => {
        $make! {
            async {
                /// Applies a set, durably before the answer.
                fn commit(changes: ChangeSet) -> Result<(), CommitError>;
                /// Whether a set was applied, for a day after it was: settles a lost
                /// answer. Committing the same set again does so, too.
                fn was_committed(instance: InstanceId, id: CommitId) -> Result<bool, StoreError>;

                /// All instances, oldest first.
                fn instances() -> Result<Vec<Instance>, StoreError>;
                /// The keys that sign an instance's tokens, oldest first.
                fn signing_keys(instance: InstanceId) -> Result<Vec<SigningKey>, StoreError>;
                /// All secret keys, oldest first, those taken back included.
                fn secret_keys(instance: InstanceId) -> Result<Vec<SecretKey>, StoreError>;
                /// The secret key of the instance with this hash, if there ever was one.
                fn secret_key(instance: InstanceId, hash: [u8; 32]) -> Result<Option<SecretKey>, StoreError>;

                /// The settings in force and the versions of the policy.
                fn settings(instance: InstanceId) -> Result<(Settings, Policy), StoreError>;
                /// All versions of the settings, oldest first.
                fn settings_history(instance: InstanceId) -> Result<Vec<Settings>, StoreError>;
                /// The test clock; one that shows the wall where it was never moved.
                fn test_clock(instance: InstanceId) -> Result<TestClock, StoreError>;

                /// A browser with all a request may need of it.
                fn browser(instance: InstanceId, client: ClientId) -> Result<Option<ClientRecord>, StoreError>;

                /// One session, open or closed, with the newest activity known.
                fn session(instance: InstanceId, id: SessionId) -> Result<Option<Session>, StoreError>;
                /// Sessions and how many there are without `limit` and `offset`.
                fn sessions(instance: InstanceId, filter: SessionFilter) -> Result<(Vec<Session>, u64), StoreError>;

                /// Sessions without counting all others: to walk through them by `after`.
                fn session_page(instance: InstanceId, filter: SessionFilter) -> Result<Vec<Session>, StoreError>;

                /// Sessions that are stored as open, oldest first, from the one behind
                /// `after`, at most `limit`: to walk through all of them group by group.
                fn open_sessions(instance: InstanceId, after: Option<(Timestamp, SessionId)>, limit: u32) -> Result<Vec<Session>, StoreError>;
                /// The session of a browser that ended last.
                fn last_ended_session(instance: InstanceId, client: ClientId) -> Result<Option<Session>, StoreError>;

                /// One user.
                fn user(instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError>;
                /// The user with this address, verified or not.
                fn user_by_email(instance: InstanceId, email: &'a Email) -> Result<Option<User>, StoreError>;
                /// Users and how many there are without `limit` and `offset`.
                fn users(instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError>;

                /// The newest activity of the users' sessions that are still stored, as it is stored;
                /// users without one are left out.
                fn last_activity(instance: InstanceId, users: Vec<UserId>) -> Result<BTreeMap<UserId, Timestamp>, StoreError>;

                /// One attempt to sign in.
                fn sign_in(instance: InstanceId, id: SignInId) -> Result<Option<SignIn>, StoreError>;
                /// One attempt to sign up.
                fn sign_up(instance: InstanceId, id: SignUpId) -> Result<Option<SignUp>, StoreError>;
                /// What a nonce stands for, by the SHA-256 of its text; also when it is too late.
                fn handshake(instance: InstanceId, nonce: [u8; 32]) -> Result<Option<Handshake>, StoreError>;
                /// A ticket by the SHA-256 of its text.
                fn ticket(instance: InstanceId, hash: [u8; 32]) -> Result<Option<Ticket>, StoreError>;
                /// A ticket by its id.
                fn ticket_by_id(instance: InstanceId, id: TicketId) -> Result<Option<Ticket>, StoreError>;

                /// Mails, newest first; to one address (normalised) or all; at most `limit`.
                fn mails(instance: InstanceId, to: Option<&'a str>, limit: u32) -> Result<Vec<Mail>, StoreError>;
                /// One mail on its way out, or one that was.
                fn outgoing_mail(instance: InstanceId, id: MailId) -> Result<Option<OutgoingMail>, StoreError>;
                /// Mails about which something is to be done at `wall`, the longest due first.
                fn due_mails(instance: InstanceId, wall: Timestamp, limit: u32) -> Result<Vec<OutgoingMail>, StoreError>;
                /// Mails on their way out and those that were, newest first, of one status or all, and
                /// how many there are without `limit` and `offset`.
                fn outgoing_mails(instance: InstanceId, status: Option<MailStatus>, limit: u32, offset: u32) -> Result<(Vec<OutgoingMail>, u64), StoreError>;
                /// Events behind the place `after`, or from the first, oldest first.
                fn outbox(instance: InstanceId, after: Option<u64>, limit: u32) -> Result<Vec<OutboxEntry>, StoreError>;
                /// Notes that a reader is done with the events up to the place `seq`; it never goes back.
                fn acknowledge_events(instance: InstanceId, reader: &'a str, seq: u64) -> Result<(), StoreError>;
                /// The place up to which a reader is done; none where it never was.
                fn acknowledged_events(instance: InstanceId, reader: &'a str) -> Result<Option<u64>, StoreError>;
                /// What a creation answered that was asked for with a key of this hash.
                fn idempotency_key(instance: InstanceId, key_hash: [u8; 32]) -> Result<Option<IdempotencyKey>, StoreError>;

                /// Writes all noted activity now: before a clean stop and before changed
                /// settings take effect.
                fn flush_activity() -> Result<(), StoreError>;

                /// The latest time on the wall that was ever stored: no clock may fall behind it (SES-12).
                fn high_water() -> Result<Option<Timestamp>, StoreError>;
                /// Raises the stored high-water mark of time on the wall.
                fn raise_high_water(wall: Timestamp) -> Result<(), StoreError>;

                /// Takes the lease of a job for `holder` until `until`, unless somebody else
                /// has it at `wall`; whether it is this holder's now. On the wall clock.
                fn take_lease(instance: InstanceId, name: &'static str, holder: &'a str, wall: Timestamp, until: Timestamp) -> Result<bool, StoreError>;

                /// Removes what is older than [`crate::retention`] says: attempts, nonces, tickets,
                /// commit ids, idempotency keys, events and mails, all of them, in groups of
                /// `limit` rows so that others get in between; returns how many went.
                fn purge(at: Moment, limit: u32) -> Result<u64, StoreError>;
                /// Removes up to `limit` sessions that ended at `before` or earlier, with the
                /// records of their ends; returns how many rows went, 0 when none is left.
                fn purge_sessions(instance: InstanceId, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

                /// Flushes and closes; further calls fail.
                fn close() -> Result<(), StoreError>;
            }
            sync {
                /// Notes activity in memory: exact at once on this node, written in groups,
                /// never awaited: a token refresh must not wait for a write.
                fn record_activity(instance: InstanceId, session: SessionId, at: Moment) -> ();
                /// Forgets activity that this node noted by a test clock that was reset.
                fn forget_activity(instance: InstanceId) -> ();
                /// Whether other processes may work on the same rows at the same time.
                fn is_shared() -> bool;
            }
        }
    };
}
pub(crate) use with_every_call;

macro_rules! define_engine {
    (
        async { $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
        sync { $($(#[$sync_doc:meta])* fn $sync_name:ident($($sync_arg:ident: $sync_type:ty),*) -> $sync_answer:ty;)* }
    ) => {
        /// What every engine can do. Each load sees one moment; nothing is cached
        /// beyond it. An unknown id is `None`, never an error. Every call names the
        /// instance, and there is no default on a miss (AUZ-02).
        #[expect(clippy::needless_lifetimes, reason = "some of the calls need it, and all are written alike")]
        pub trait Engine: Send + Sync + fmt::Debug + 'static {
            $($(#[$doc])* fn $name<'a>(&'a self $(, $arg: $type)*) -> impl Future<Output = $answer> + Send;)*
            $($(#[$sync_doc])* fn $sync_name(&self $(, $sync_arg: $sync_type)*) -> $sync_answer;)*
        }

        /// An [`Engine`] behind a pointer, for engines that this crate does not know.
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
