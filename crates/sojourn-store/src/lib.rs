//! Storage, the only crate with SQL. A request **loads** an aggregate, the core decides, and the
//! service **commits** a [`ChangeSet`], which is applied completely or rejected.
//!
//! A [`Store`] has one of two engines: embedded SQLite, or PostgreSQL for several nodes. Tests have
//! their own engine, built from [`engine_parts`].

mod activity;
mod archive;
mod change;
mod database;
mod engine;
pub mod engine_parts;
mod error;
mod outbox;
mod postgres;
mod records;
pub mod retention;
mod schema;
mod settings_cache;
mod snapshot;
mod sql;
mod sqlite;
mod store;

pub use archive::{
    ArchiveContents, ArchiveError, ArchiveHeader, ArchiveNotes, ArchiveReader, ArchivedInstance, Load,
};
pub use change::{ChangeSet, Expect, Write};
pub use database::Database;
pub use engine::Engine;
pub use error::{CommitError, StoreError};
pub use postgres::{PostgresEngine, ServerReport, ServerUrl};
pub use records::{
    AuditFilter, ClientRecord, Environment, IdempotencyKey, Instance, Mail, OutboxEntry, QueueLengths,
    SecretKey, SecretKeyRole, SessionFilter, SessionOrder, SigningKey, Span, StoredStatus,
    StoredWebhookDelivery, Ticket, TicketStatus, UserFilter, UserOrder, UserSortKey, WebhookDeliveryFilter,
};
pub use schema::{Migrated, MigrationMode, Schema};
pub use snapshot::Snapshot;
pub use sqlite::SqliteEngine;
pub use store::Store;
