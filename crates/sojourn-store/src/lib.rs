//! Storage: the only place with SQL. A request **loads** an aggregate, the core
//! decides, and the shell **commits** a [`ChangeSet`]: plain data, applied
//! whole or refused.
//!
//! Two engines stand behind one [`Store`]: SQLite, embedded, and an in-memory
//! one for tests. Nothing in the interface needs more than PostgreSQL has.

mod change;
mod engine;
mod memory;
mod outbox;
mod records;
mod sqlite;

pub use change::{ChangeSet, Expect, Write};
pub use engine::{CommitError, Engine, Store, StoreError};
pub use memory::MemoryEngine;
pub use records::{
    BrowserRecord, Environment, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SessionOrder,
    SignInToken, SignInTokenStatus, SigningKey, StoredStatus, UserFilter, UserOrder,
};
pub use sqlite::SqliteEngine;
