//! The secret keys of the application's backend: several at the same time, each revoked separately
//! (AUZ-03).

use sojourn_core::{
    id::{Randomness as _, SecretKeyId},
    time::{Moment, Timestamp},
};
use sojourn_store::{Engine as _, SecretKey, SecretKeyRole, StoreError, Write};

use crate::{
    idempotency::CreationSecrets,
    instance::Service,
    keys::{self, SecretKeyKind, sha256},
    outcome::{Failure, Reason},
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
    let kind = if service.is_development() { SecretKeyKind::Test } else { SecretKeyKind::Live };
    keys::secret_key(kind, secrets.array())
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
            service.commit(service.changes(at).write(Write::RevokeSecretKey(key.hash))).await?;
            tracing::info!(key_id = %id, "a secret key was revoked");
            Ok(SecretKey { revoked_at: Some(at.wall), ..key.clone() })
        })
        .await
}
