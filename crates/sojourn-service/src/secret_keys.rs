//! The secret keys of the application's backend: several at the same time, each revoked separately
//! (AUZ-03).

use sojourn_core::{
    audit::{Act, Action, AuditContext},
    id::{Randomness as _, SecretKeyId},
    time::{Moment, Timestamp},
};
use sojourn_store::{
    ChangeSet, CommitError, Engine as _, Environment, SecretKey, SecretKeyRole, Store, StoreError, Write,
};

use crate::{
    idempotency::CreationSecrets,
    instance::Service,
    keys::{self, SecretKeyKind, sha256},
    outcome::{Failure, Reason},
    rng::{Rng, RngHandle},
};

/// Why a key is not revoked.
#[derive(Clone, Copy, Debug)]
pub enum SecretKeyError {
    Unknown,
    /// The development server prints this key at start.
    Printed,
    /// It is the last valid key with the role `full`.
    Last,
}

impl Reason for SecretKeyError {}

/// All keys including revoked ones, newest first.
///
/// # Errors
/// The store fails.
pub async fn list(service: &Service) -> Result<Vec<SecretKey>, StoreError> {
    let mut keys = service.store().secret_keys(service.instance_id()).await?;
    keys.reverse();
    Ok(keys)
}

/// The text of a key, derived from `secrets`.
pub fn text_of(service: &Service, mut secrets: CreationSecrets<'_>) -> String {
    keys::secret_key(kind_of(service.environment()), secrets.array())
}

/// What the creator of a key chooses.
#[derive(Clone, Debug, Default)]
pub struct NewSecretKey {
    pub name: Option<String>,
    pub role: SecretKeyRole,
    /// On the wall clock.
    pub expires_at: Option<Timestamp>,
}

/// A key that is not stored yet, by its text.
pub fn new_key(at: Moment, new: NewSecretKey, text: &str) -> SecretKey {
    let NewSecretKey { name, role, expires_at } = new;
    SecretKey { role, expires_at, ..SecretKey::new(sha256(text.as_bytes()), name, at.wall) }
}

/// What storing a new key is in the audit log.
pub fn creation_of(key: &SecretKey) -> Act {
    Act::on(Action::SecretKeyCreated, key.id())
        .field("name", (), key.name.clone())
        .field("role", (), key.role.as_str())
        .field("expires_at", (), key.expires_at.map(Timestamp::as_millis))
}

/// Stores a new key.
pub fn insert(service: &Service, context: &AuditContext, at: Moment, key: &SecretKey) -> ChangeSet {
    service.act(at, context, creation_of(key)).write(Write::InsertSecretKey(key.clone()))
}

/// Makes a key in the database of an instance that no server need be running for; `None` where there is no
/// instance. Servers that share the database take it at once.
///
/// # Errors
/// The store does not answer, or does not write.
pub async fn create_in(
    store: &Store,
    context: &AuditContext,
    new: NewSecretKey,
    now: Timestamp,
    rng: &Rng,
) -> Result<Option<(SecretKey, String)>, CommitError> {
    let Some(instance) = store.instances().await?.into_iter().next() else { return Ok(None) };
    let text = text(instance.environment, rng);
    let key = new_key(Moment::real(now), new, &text);
    let changes = ChangeSet::new(instance.id, Moment::real(now), &mut RngHandle(rng));
    let changes = changes.act(context, creation_of(&key));
    store.commit(changes.write(Write::InsertSecretKey(key.clone()))).await?;
    Ok(Some((key, text)))
}

/// What a key reads that is not stored.
pub fn text(environment: Environment, rng: &Rng) -> String {
    keys::secret_key(kind_of(environment), RngHandle(rng).array())
}

const fn kind_of(environment: Environment) -> SecretKeyKind {
    match environment {
        Environment::Development => SecretKeyKind::Test,
        Environment::Production => SecretKeyKind::Live,
    }
}

/// Whether this is the key that a development instance prints at start.
pub fn is_printed(service: &Service, key: &SecretKey) -> bool {
    service.secret_key().is_some_and(|text| sha256(text.as_bytes()) == key.hash)
}

/// Revokes a key permanently, effective at once on every node. A revoked key keeps its time of
/// revocation.
///
/// # Errors
/// [`SecretKeyError`].
pub async fn revoke(
    service: &Service,
    context: &AuditContext,
    id: Option<SecretKeyId>,
) -> Result<SecretKey, Failure<SecretKeyError>> {
    let id = id.ok_or(SecretKeyError::Unknown)?;
    service
        .retry_on_conflict(|| async {
            let keys = service.store().secret_keys(service.instance_id()).await?;
            let key = keys.iter().find(|key| key.id() == id).ok_or(SecretKeyError::Unknown)?;
            if key.revoked_at.is_some() {
                return Ok(key.clone());
            }
            if is_printed(service, key) {
                return Err(SecretKeyError::Printed.into());
            }
            let at = service.moment();
            let can_create = |key: &SecretKey| key.is_good(at.wall) && key.role == SecretKeyRole::Full;
            if !keys.iter().any(|other| can_create(other) && other.id() != id) {
                return Err(SecretKeyError::Last.into());
            }
            let act = Act::on(Action::SecretKeyRevoked, id).field("revoked_at", (), at.wall.as_millis());
            let changes = service.act(at, context, act).write(Write::RevokeSecretKey(key.hash));
            service.commit(changes).await?;
            tracing::info!(key_id = %id, "a secret key was revoked");
            Ok(SecretKey { revoked_at: Some(at.wall), ..key.clone() })
        })
        .await
}
