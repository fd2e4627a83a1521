//! The secret keys of the application's servers: several at once, each revoked by
//! itself (AUZ-03).

use sojourn_core::{
    id::{Randomness as _, SecretKeyId},
    time::Moment,
};
use sojourn_store::{Engine as _, SecretKey, StoreError, Write};

use crate::{
    idempotency::CreationSecrets,
    instance::Service,
    keys::{self, SecretKeyKind, sha256},
    outcome::{Failure, Reason},
};

/// Why a key stays.
#[derive(Clone, Copy, Debug)]
pub enum SecretKeyError {
    /// There is no such key.
    Unknown,
    /// This development server prints it at its start.
    Printed,
    /// It is the last good one.
    Last,
}

impl Reason for SecretKeyError {}

/// All keys, newest first, revoked ones included.
///
/// # Errors
/// The store does not answer.
pub async fn list(service: &Service) -> Result<Vec<SecretKey>, StoreError> {
    let mut keys = service.store().secret_keys(service.instance_id()).await?;
    keys.reverse();
    Ok(keys)
}

/// What a key reads that is made of `secrets`.
pub fn text_of(service: &Service, mut secrets: CreationSecrets<'_>) -> String {
    let kind = if service.is_development() { SecretKeyKind::Test } else { SecretKeyKind::Live };
    keys::secret_key(kind, secrets.array())
}

/// A key that is not stored yet, by what it reads.
pub fn new_key(at: Moment, name: Option<String>, text: &str) -> SecretKey {
    SecretKey::new(sha256(text.as_bytes()), name, at.wall)
}

/// Whether the server itself knows the key: the one of a development instance.
pub fn is_printed(service: &Service, key: &SecretKey) -> bool {
    service.secret_key().is_some_and(|text| sha256(text.as_bytes()) == key.hash)
}

/// Revokes a key, for good and at once on every node. One that was revoked before
/// stays as it was.
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
            if !key.is_good() {
                return Ok(key.clone());
            }
            if is_printed(service, key) {
                return Err(SecretKeyError::Printed.into());
            }
            if !keys.iter().any(|other| other.is_good() && other.id() != id) {
                return Err(SecretKeyError::Last.into());
            }
            let at = service.moment();
            service.commit(service.changes(at).write(Write::RevokeSecretKey(key.hash))).await?;
            tracing::info!(key_id = %id, "a secret key was revoked");
            Ok(SecretKey { revoked_at: Some(at.wall), ..key.clone() })
        })
        .await
}
