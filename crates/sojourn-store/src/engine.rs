//! The interface of storage: loads, each of one moment, and one way to write.

use std::{fmt, future::Future, path::Path, sync::Arc};

use sojourn_core::{
    email::Email,
    handshake::Handshake,
    id::{ClientId, CommitId, EventId, InstanceId, SessionId, SignInId, SignUpId, TicketId, UserId},
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
    database::MigrationMode,
    memory::MemoryEngine,
    postgres::{PostgresEngine, ServerUrl},
    records::{
        ClientRecord, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SigningKey, Ticket, UserFilter,
    },
    sqlite::SqliteEngine,
};

/// Storage failed; the request cannot be answered, and nothing was changed by
/// it unless [`Engine::was_committed`] says so.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer: locked, full, gone.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row that this version did not write.
    #[error("a row of {table} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is something at the path that cannot be the database, or not be
    /// opened; it was left as it is.
    #[error("{path} cannot be used as the database: {reason}")]
    Unusable {
        /// Where.
        path: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The database was written by a newer version.
    #[error(
        "the database has schema {found}, this version knows {known}; start the newer version again, or restore a backup"
    )]
    NewerSchema {
        /// What the database says.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// The database was written by an older version, and shall not be changed
    /// by opening it.
    #[error("the database has schema {found}, this version needs {known}")]
    OlderSchema {
        /// What the database says; 0 where there is nothing yet.
        found: u32,
        /// What this version needs.
        known: u32,
    },
}

impl StoreError {
    /// What every call gets after [`Engine::close`].
    pub(crate) fn closed() -> Self {
        Self::Unavailable("it was closed".to_owned())
    }
}

/// A change set was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A row has changed since it was loaded: load and decide again.
    #[error("a row has changed since it was loaded")]
    Conflict,
    /// An identifier belongs to another user already.
    #[error("{0} belongs to another user")]
    Taken(&'static str),
    /// Storage failed; whether the set was applied is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The one list of what an engine can do: the trait, and [`Store`] handing
/// every call on to the engine it holds.
macro_rules! engine {
    ($(#[$trait_doc:meta])* { $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }) => {
        $(#[$trait_doc])*
        pub trait Engine: Send + Sync + fmt::Debug + 'static {
            $($(#[$doc])* fn $name(&self $(, $arg: $type)*) -> impl Future<Output = $answer> + Send;)*

            /// Notes activity in memory: exact at once on this node, written in groups,
            /// never awaited: a token refresh must not wait for a write.
            fn record_activity(&self, instance: InstanceId, session: SessionId, at: Moment);

            /// Forgets activity that this node noted by a test clock that was reset.
            fn forget_activity(&self, instance: InstanceId);
        }

        impl Engine for Store {
            $(async fn $name(&self $(, $arg: $type)*) -> $answer {
                match self {
                    Self::Sqlite(engine) => engine.$name($($arg),*).await,
                    Self::Postgres(engine) => engine.$name($($arg),*).await,
                    Self::Memory(engine) => engine.$name($($arg),*).await,
                }
            })*

            fn forget_activity(&self, instance: InstanceId) {
                match self {
                    Self::Sqlite(engine) => engine.forget_activity(instance),
                    Self::Postgres(engine) => engine.forget_activity(instance),
                    Self::Memory(engine) => engine.forget_activity(instance),
                }
            }

            fn record_activity(&self, instance: InstanceId, session: SessionId, at: Moment) {
                match self {
                    Self::Sqlite(engine) => engine.record_activity(instance, session, at),
                    Self::Postgres(engine) => engine.record_activity(instance, session, at),
                    Self::Memory(engine) => engine.record_activity(instance, session, at),
                }
            }
        }
    };
}

/// Storage, whichever engine it is. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub enum Store {
    /// Embedded, durable.
    Sqlite(Arc<SqliteEngine>),
    /// A server for any number of nodes.
    Postgres(Arc<PostgresEngine>),
    /// In memory, for tests.
    Memory(Arc<MemoryEngine>),
}

impl Store {
    /// Opens the database at `path`, or makes one if there is no file.
    ///
    /// # Errors
    /// The file is no database, is damaged, is newer than this version, or
    /// cannot be opened. It is left as it is then.
    pub fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::Sqlite(Arc::new(SqliteEngine::open(path, MigrationMode::Migrate)?)))
    }

    /// Connects to a PostgreSQL server by a URL such as
    /// `postgres://sojourn@localhost/sojourn`, and brings its schema up to this
    /// version. Call it in a Tokio runtime that lives as long as the store.
    ///
    /// How it is encrypted: [`ServerUrl::parse`].
    ///
    /// # Errors
    /// The URL cannot be read, the server is not there, takes no writes, has
    /// `synchronous_commit=off`, or holds a newer schema or tables of another
    /// program. Nothing is changed then.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        let server = ServerUrl::parse(url)?;
        Ok(Self::Postgres(Arc::new(PostgresEngine::open(&server, MigrationMode::Migrate).await?)))
    }

    /// An empty store that is gone with its last handle.
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }
}

engine! {
    /// What every engine can do. Each load sees one moment; nothing is cached
    /// beyond it. An unknown id is `None`, never an error. Every call names the
    /// instance, and there is no default on a miss (AUZ-02).
    {
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

        /// Sessions that are stored as open, oldest first, from the one behind
        /// `after`, at most `limit`: to walk through all of them group by group.
        fn open_sessions(instance: InstanceId, after: Option<(Timestamp, SessionId)>, limit: u32) -> Result<Vec<Session>, StoreError>;
        /// The session of a browser that ended last.
        fn last_ended_session(instance: InstanceId, client: ClientId) -> Result<Option<Session>, StoreError>;

        /// One user.
        fn user(instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError>;
        /// The user with this address, verified or not.
        fn user_by_email(instance: InstanceId, email: &Email) -> Result<Option<User>, StoreError>;
        /// Users and how many there are without `limit` and `offset`.
        fn users(instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError>;

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
        fn mails(instance: InstanceId, to: Option<&str>, limit: u32) -> Result<Vec<Mail>, StoreError>;
        /// Events after `after`, oldest first.
        fn outbox(instance: InstanceId, after: Option<EventId>, limit: u32) -> Result<Vec<OutboxEntry>, StoreError>;

        /// Writes all noted activity now: before a clean stop and before changed
        /// settings take effect.
        fn flush_activity() -> Result<(), StoreError>;

        /// The latest time on the wall that was ever stored: no clock may fall behind it (SES-12).
        fn high_water() -> Result<Option<Timestamp>, StoreError>;
        /// Raises the stored high-water mark of time on the wall.
        fn raise_high_water(wall: Timestamp) -> Result<(), StoreError>;

        /// Takes the lease of a job for `holder` until `until`, unless somebody else
        /// has it at `wall`; whether it is this holder's now. On the wall clock.
        fn take_lease(instance: InstanceId, name: &'static str, holder: &str, wall: Timestamp, until: Timestamp) -> Result<bool, StoreError>;

        /// Removes what nobody can use any more: attempts, nonces and tickets that
        /// were over before `before`, and commit ids a day older by the wall, all of them,
        /// in groups of `limit` rows so that others get in between; returns how many went.
        fn purge(before: Moment, limit: u32) -> Result<u64, StoreError>;
        /// Removes up to `limit` sessions that ended at `before` or earlier, with the
        /// records of their ends; returns how many rows went, 0 when none is left.
        fn purge_sessions(instance: InstanceId, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

        /// Flushes and closes; further calls fail.
        fn close() -> Result<(), StoreError>;
    }
}
