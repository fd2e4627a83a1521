//! Storage: the only place with SQL. A request **loads** an aggregate, the core
//! decides, and the shell **commits** a [`ChangeSet`]: plain data, applied
//! whole or refused.
//!
//! Three engines stand behind one [`Store`]: SQLite, embedded; PostgreSQL, for
//! several nodes; and an in-memory one for tests.

mod activity;
mod change;
mod database;
mod engine;
mod memory;
mod outbox;
mod postgres;
mod records;
mod settings_cache;
mod sql;
mod sqlite;

pub use change::{ChangeSet, Expect, Write};
pub use database::{Database, Migrated, MigrationMode, Schema};
pub use engine::{CommitError, Engine, Store, StoreError};
pub use memory::{ActivityBatch, MemoryEngine};
pub use postgres::{PostgresEngine, ServerUrl};
pub use records::{
    ClientRecord, Environment, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SessionOrder,
    SigningKey, StoredStatus, Ticket, TicketStatus, UserFilter, UserOrder,
};
pub use sqlite::SqliteEngine;
