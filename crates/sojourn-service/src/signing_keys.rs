//! The keys that sign tokens: rotated by an administrator or on schedule, read again by every node.

use std::time::Duration;

use sojourn_core::{
    audit::{Act, Action, AuditContext, SystemJob},
    signing_key::{self, KEEP_AFTER_USE, PUBLISH_BEFORE_USE, Rotation, RotationRefused, SigningKeyTimes},
    time::days,
};
use sojourn_store::{Engine as _, SigningKey, StoreError, Write};

use crate::{
    instance::Service,
    keys::{self, KeyringError, SigningError, random_hex},
    outcome::{Failure, Reason},
};

/// Why no key was rotated.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    #[error(transparent)]
    Refused(RotationRefused),
    /// The stored keys cannot be read with the master key of this node.
    #[error(transparent)]
    Unusable(#[from] KeyringError),
}

impl Reason for SigningKeyError {}

/// The planned rotation with the usual waiting times.
pub const PLANNED: Rotation = Rotation::Planned { wait: PUBLISH_BEFORE_USE, keep: KEEP_AFTER_USE };

/// Makes a new key and stores from when on it signs, and until when the others are published.
/// The other nodes follow when they next read the keys ([`reload`]).
///
/// # Errors
/// [`SigningKeyError`]; an emergency is refused only if no key can be made.
pub async fn rotate(
    service: &Service,
    context: &AuditContext,
    rotation: Rotation,
) -> Result<(), Failure<SigningKeyError>> {
    // RSA keys take up to a second to make: not on a thread that serves requests.
    let made = tokio::task::spawn_blocking(keys::generate_signing_key).await;
    let private_key = made.unwrap_or(Err(SigningError)).map_err(KeyringError::from);
    let private_key = private_key.map_err(SigningKeyError::from)?;
    let kid = format!("{}_{}", service.instance_id(), random_hex(&mut service.random(), 8));
    service
        .retry_on_conflict(|| async {
            let rows = service.store().signing_keys(service.instance_id()).await?;
            let before: Vec<SigningKeyTimes> = rows.iter().map(|row| row.times).collect();
            let at = service.moment();
            let after = signing_key::rotate(&before, rotation, at.wall).map_err(SigningKeyError::Refused)?;
            let times = after[rows.len()];
            let newest = rows.last().map(|row| row.kid.clone());
            let act = Act::on(Action::SigningKeyRotated, &kid)
                .field("kid", newest, kid.clone())
                .field("signs_from", (), times.signs_from.as_millis())
                .field("emergency", (), rotation == Rotation::Emergency);
            let mut changes = service.act(at, context, act);
            for (row, times) in rows.iter().zip(&after) {
                if let Some(until) = times.published_until.filter(|_| *times != row.times) {
                    let (kid, before) = (row.kid.clone(), row.times.published_until);
                    changes = changes.write(Write::WithdrawSigningKey { kid, until, before });
                }
            }
            let master_key = &service.keyring().master_keys().current;
            let sealed_private_key = master_key.seal(&kid, &private_key, &mut service.random());
            let row = SigningKey { kid: kid.clone(), sealed_private_key, times };
            service.commit(changes.write(Write::InsertSigningKey(row))).await?;
            tracing::info!(kid, signs_from = ?times.signs_from, ?rotation, "a signing key was made");
            Ok::<_, Failure<SigningKeyError>>(())
        })
        .await?;
    Ok(reload(service).await??)
}

/// Reads the keys again, so that this node follows a rotation that another node committed.
///
/// # Errors
/// The store does not answer. The inner error: a key was sealed by another master key; the keys
/// that this node holds stay in use.
pub async fn reload(service: &Service) -> Result<Result<(), SigningKeyError>, StoreError> {
    let rows = service.store().signing_keys(service.instance_id()).await?;
    Ok(service.keyring().replace(&rows).map_err(SigningKeyError::from))
}

/// Rotates as planned when the setting `signing_keys.rotation_days` asks for it.
///
/// # Errors
/// As [`rotate`].
pub async fn rotate_if_due(service: &Service) -> Result<(), Failure<SigningKeyError>> {
    let (settings, _) = service.store().settings(service.instance_id()).await?;
    let every: Duration = match settings.instance.signing_keys.rotation_days {
        0 => return Ok(()),
        number => days(number),
    };
    let rows = service.store().signing_keys(service.instance_id()).await?;
    let times: Vec<SigningKeyTimes> = rows.iter().map(|row| row.times).collect();
    if !signing_key::is_due(&times, every, service.moment().wall) {
        return Ok(());
    }
    rotate(service, &AuditContext::system(SystemJob::SigningKeyRotation), PLANNED).await
}

/// Seals every signing key with the current master key that the previous one sealed. Other nodes
/// keep the keys that they have in memory, and need the new master key at their next start.
///
/// # Errors
/// The set could not be committed, or neither master key opens a row.
pub(crate) async fn reseal(service: &Service) -> Result<usize, Failure<SigningKeyError>> {
    let master_keys = service.keyring().master_keys();
    let mut changes = service.changes(service.moment());
    for row in service.store().signing_keys(service.instance_id()).await? {
        let (private_key, by_previous) =
            master_keys.open(&row).map_err(KeyringError::from).map_err(SigningKeyError::from)?;
        if by_previous {
            let sealed_private_key = master_keys.current.seal(&row.kid, &private_key, &mut service.random());
            changes = changes.write(Write::ResealSigningKey { kid: row.kid, sealed_private_key });
        }
    }
    let resealed = changes.writes.len();
    if resealed > 0 {
        let act = Act::on(Action::SecretsResealed, service.instance_id()).field("signing_keys", (), resealed);
        service.commit(changes.act(&AuditContext::system(SystemJob::Start), act)).await?;
    }
    Ok(resealed)
}
