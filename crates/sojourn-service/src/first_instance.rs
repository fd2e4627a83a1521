//! Finds the instance of a database, or creates it in an empty one.

use sojourn_core::{id::InstanceId, settings::Settings, signing_key::SigningKeyTimes, time::Moment};
use sojourn_store::{
    ChangeSet, CommitError, Engine as _, Environment, Expect, Instance, SecretKey, SigningKey, Store, Write,
};

use crate::{
    instance::StartError,
    keys::{self, MasterKey, SecretKeyKind},
    rng::{Rng, RngHandle},
};

/// The instance of the database. If several nodes find none at the same time, one creates it and
/// the others use it.
pub(crate) async fn find_or_make(
    store: &Store,
    master_key: &MasterKey,
    at: Moment,
    rng: &Rng,
) -> Result<Instance, StartError> {
    loop {
        if let Some(instance) = store.instances().await?.into_iter().next() {
            return Ok(instance);
        }
        match make(store, master_key, at, &mut RngHandle(rng)).await {
            // Another node created the instance: load it.
            Err(StartError::SetUp(CommitError::Conflict)) => {}
            other => return other,
        }
    }
}

/// Derived from the master key, so that a second start prints the same key although only its hash
/// is stored (D11).
fn derived_secret_key(master_key: &MasterKey, instance: InstanceId) -> String {
    let derived = master_key.derive(&format!("secret key of {instance}"));
    let bytes = derived.first_chunk().expect("what is derived is longer than a key");
    keys::secret_key(SecretKeyKind::Test, *bytes)
}

/// The secret key that a development server prints at start.
///
/// A database from before the product's name was part of the key contains the hash of the older
/// key: the newer one is added, and the older one stays valid until it is revoked.
pub(crate) async fn development_secret_key(
    store: &Store,
    master_key: &MasterKey,
    instance: InstanceId,
    at: Moment,
    rng: &Rng,
) -> Result<String, StartError> {
    let secret_key = derived_secret_key(master_key, instance);
    let hash = keys::sha256(secret_key.as_bytes());
    while store.secret_key(instance, hash).await?.is_none() {
        let row = SecretKey::new(hash, Some("development".to_owned()), at.wall);
        let changes = ChangeSet::new(instance, at, &mut RngHandle(rng)).write(Write::InsertSecretKey(row));
        match store.commit(changes).await {
            // Another node that is starting has added it.
            Err(CommitError::Conflict) => {}
            other => other.map_err(StartError::SetUp)?,
        }
    }
    Ok(secret_key)
}

async fn make(
    store: &Store,
    master_key: &MasterKey,
    at: Moment,
    random: &mut RngHandle<'_>,
) -> Result<Instance, StartError> {
    let now = at.now;
    let id = InstanceId::generate(now, random);
    // Its own host, so that two machines or projects never share a key, a cookie suffix or an
    // issuer. The last characters of the id are random; hosts are in lower case.
    let text = id.to_string().to_lowercase();
    let host = format!("clerk.{}.localhost", &text[text.len() - 8..]);
    let instance = Instance { id, environment: Environment::Development, host, created_at: now };
    let kid = id.to_string();
    let sealed_private_key = master_key.seal(&kid, &keys::generate_signing_key()?, random);
    let secret_key = derived_secret_key(master_key, id);
    let changes = ChangeSet::new(id, at, random)
        .expect(Expect::NoInstance)
        .write(Write::InsertInstance(instance.clone()))
        .write(Write::InsertSigningKey(SigningKey {
            kid,
            sealed_private_key,
            times: SigningKeyTimes::first(now),
        }))
        .write(Write::InsertSecretKey(SecretKey::new(
            keys::sha256(secret_key.as_bytes()),
            Some("development".to_owned()),
            at.wall,
        )))
        .write(Write::Settings(Settings::initial(now)));
    store.commit(changes).await?;
    Ok(instance)
}
