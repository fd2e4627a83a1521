//! SQLite, embedded: follows with the next commit, and opens nothing until then.

use std::path::Path;

use sojourn_core::{
    email::Email,
    handshake::Handshake,
    id::{ClientId, CommitId, EventId, InstanceId, SessionId, SignInId, SignInTokenId, SignUpId, UserId},
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    time::Timestamp,
    user::User,
};

use crate::{
    change::ChangeSet,
    engine::{CommitError, Engine, StoreError},
    records::{
        BrowserRecord, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SignInToken, SigningKey,
        UserFilter,
    },
};

/// The engine with a file. There is none yet.
#[derive(Debug)]
pub enum SqliteEngine {}

impl SqliteEngine {
    pub(crate) fn open(_path: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable("SQLite is not built in yet".to_owned()))
    }
}

macro_rules! none_yet {
    ($(fn $name:ident($($arg:ty),*) -> $answer:ty;)*) => {
        impl Engine for SqliteEngine {
            $(async fn $name(&self $(, _: $arg)*) -> $answer { match *self {} })*
            fn record_activity(&self, _: InstanceId, _: SessionId, _: Timestamp) {}
        }
    };
}

none_yet! {
    fn commit(ChangeSet) -> Result<(), CommitError>;
    fn was_committed(InstanceId, CommitId) -> Result<bool, StoreError>;
    fn instances() -> Result<Vec<Instance>, StoreError>;
    fn signing_keys(InstanceId) -> Result<Vec<SigningKey>, StoreError>;
    fn secret_key(InstanceId, [u8; 32]) -> Result<Option<SecretKey>, StoreError>;
    fn settings(InstanceId) -> Result<(Settings, Policy), StoreError>;
    fn browser(InstanceId, ClientId) -> Result<Option<BrowserRecord>, StoreError>;
    fn session(InstanceId, SessionId) -> Result<Option<Session>, StoreError>;
    fn sessions(InstanceId, SessionFilter) -> Result<(Vec<Session>, u64), StoreError>;
    fn user(InstanceId, UserId) -> Result<Option<User>, StoreError>;
    fn user_by_email(InstanceId, &Email) -> Result<Option<User>, StoreError>;
    fn users(InstanceId, UserFilter) -> Result<(Vec<User>, u64), StoreError>;
    fn sign_in(InstanceId, SignInId) -> Result<Option<SignIn>, StoreError>;
    fn sign_up(InstanceId, SignUpId) -> Result<Option<SignUp>, StoreError>;
    fn handshake(InstanceId, [u8; 32]) -> Result<Option<Handshake>, StoreError>;
    fn sign_in_token(InstanceId, [u8; 32]) -> Result<Option<SignInToken>, StoreError>;
    fn sign_in_token_by_id(InstanceId, SignInTokenId) -> Result<Option<SignInToken>, StoreError>;
    fn mails(InstanceId, Option<&str>, u32) -> Result<Vec<Mail>, StoreError>;
    fn outbox(InstanceId, Option<EventId>, u32) -> Result<Vec<OutboxEntry>, StoreError>;
    fn flush_activity() -> Result<(), StoreError>;
    fn high_water() -> Result<Option<Timestamp>, StoreError>;
    fn raise_high_water(Timestamp) -> Result<(), StoreError>;
    fn purge(Timestamp, u32) -> Result<u64, StoreError>;
    fn close() -> Result<(), StoreError>;
}
