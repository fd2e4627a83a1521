//! The engine that a process has opened.

use std::{collections::BTreeMap, path::Path, sync::Arc};

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
use sojourn_metrics::{STORE_CALLS, Stopwatch};

use crate::{
    change::ChangeSet,
    engine::{self, Engine, with_every_call},
    error::{CommitError, StoreError},
    postgres::{PostgresEngine, ServerUrl},
    records::{
        AuditFilter, ClientRecord, IdempotencyKey, Instance, Mail, OutboxEntry, QueueLengths, SecretKey,
        SessionFilter, SigningKey, StoredWebhookDelivery, Ticket, UserFilter, WebhookDeliveryFilter,
    },
    schema::MigrationMode,
    sqlite::SqliteEngine,
};

/// Storage with any of the engines. A clone uses the same engine.
#[derive(Clone, Debug)]
pub enum Store {
    /// Embedded.
    Sqlite(Arc<SqliteEngine>),
    /// A PostgreSQL server for any number of nodes.
    Postgres(Arc<PostgresEngine>),
    /// An engine of a test.
    Dyn(Arc<dyn engine::DynEngine>),
}

impl Store {
    /// Opens the database at `path`, or creates it if the file does not exist.
    ///
    /// # Errors
    /// The file is not a database, is damaged, has a newer schema, or cannot be opened. The file is
    /// not changed then.
    pub fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::Sqlite(Arc::new(SqliteEngine::open(path, MigrationMode::Migrate)?)))
    }

    /// Connects to a PostgreSQL server by a URL such as `postgres://sojourn@localhost/sojourn`, and
    /// migrates its schema to this version. Call it in a Tokio runtime that lives as long as the
    /// store.
    ///
    /// [`ServerUrl::parse`] describes when the connection is encrypted.
    ///
    /// # Errors
    /// The URL is not valid, the server cannot be reached, is read-only, has
    /// `synchronous_commit=off`, or contains a newer schema or the tables of another program.
    /// Nothing is changed then.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        let server = ServerUrl::parse(url)?;
        Ok(Self::Postgres(Arc::new(PostgresEngine::open(&server, MigrationMode::Migrate).await?)))
    }
}

/// The place of a call among the label values of [`STORE_CALLS`].
const fn kind_of_call(name: &str) -> usize {
    const COMMIT: usize = 0;
    const READ: usize = 1;
    const MAINTAIN: usize = 2;
    const MAINTAINING: [&str; 6] = ["purge", "raise", "take", "flush", "acknowledge_", "close"];
    if is_prefix("commit", name) {
        return COMMIT;
    }
    let mut at = 0;
    while at < MAINTAINING.len() {
        if is_prefix(MAINTAINING[at], name) {
            return MAINTAIN;
        }
        at += 1;
    }
    READ
}

const fn is_prefix(prefix: &str, name: &str) -> bool {
    let (prefix, name) = (prefix.as_bytes(), name.as_bytes());
    let mut at = 0;
    while at < prefix.len() {
        if at == name.len() || prefix[at] != name[at] {
            return false;
        }
        at += 1;
    }
    true
}

macro_rules! hand_on {
    (
        async { $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
        sync { $($(#[$sync_doc:meta])* fn $sync_name:ident($($sync_arg:ident: $sync_type:ty),*) -> $sync_answer:ty;)* }
    ) => {
        #[expect(clippy::needless_lifetimes, reason = "some of the calls need it, and all are written alike")]
        impl Engine for Store {
            $(async fn $name<'a>(&'a self $(, $arg: $type)*) -> $answer {
                const KIND: usize = kind_of_call(stringify!($name));
                let started = Stopwatch::start();
                let answer = match self {
                    Self::Sqlite(engine) => engine.$name($($arg),*).await,
                    // Boxed, because its futures are large and the future of every caller would contain one.
                    Self::Postgres(engine) => Box::pin(engine.$name($($arg),*)).await,
                    Self::Dyn(engine) => engine.$name($($arg),*).await,
                };
                STORE_CALLS.observe(KIND, started.elapsed());
                answer
            })*

            $(fn $sync_name(&self $(, $sync_arg: $sync_type)*) -> $sync_answer {
                match self {
                    Self::Sqlite(engine) => engine.$sync_name($($sync_arg),*),
                    Self::Postgres(engine) => engine.$sync_name($($sync_arg),*),
                    Self::Dyn(engine) => engine.$sync_name($($sync_arg),*),
                }
            })*
        }
    };
}

with_every_call!(hand_on);
