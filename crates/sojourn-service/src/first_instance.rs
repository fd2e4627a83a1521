//! Finds the instance of a database, or creates it in an empty one.

use sojourn_core::{
    audit::{Act, Action, AuditContext, SystemJob},
    host::PublicHost,
    id::{InstanceId, Randomness as _},
    settings::Settings,
    signing_key::SigningKeyTimes,
    time::{Moment, Timestamp},
};
use sojourn_store::{
    ChangeSet, CommitError, Engine as _, Environment, Expect, Instance, SecretKey, SigningKey, Store, Write,
};

use crate::{
    instance::StartError,
    keys::{self, MasterKey, SecretKeyKind, Signer, SigningError},
    rng::{Rng, RngHandle},
    secret_keys,
};

/// Which instance a server serves: the one that it makes in an empty database, and the only one that it takes
/// in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// With a host of its own, made of its id.
    Development,
    /// At this host: it is in the publishable key, in `iss` and in the cookies.
    Production(PublicHost),
}

impl InstanceKind {
    /// Development or production.
    pub const fn environment(&self) -> Environment {
        match self {
            Self::Development => Environment::Development,
            Self::Production(_) => Environment::Production,
        }
    }

    fn check(&self, instance: &Instance) -> Result<(), StartError> {
        if instance.environment != self.environment() {
            return Err(StartError::OtherEnvironment {
                found: instance.environment,
                wanted: self.environment(),
            });
        }
        match self {
            Self::Production(host) if host.as_str() != instance.host => {
                Err(StartError::OtherHost { found: instance.host.clone(), wanted: host.to_string() })
            }
            _ => Ok(()),
        }
    }
}

/// The instance of the database. If several nodes find none at the same time, one creates it and
/// the others use it.
pub(crate) async fn find_or_make(
    store: &Store,
    master_key: &MasterKey,
    kind: &InstanceKind,
    at: Moment,
    rng: &Rng,
) -> Result<Instance, StartError> {
    loop {
        if let Some(instance) = store.instances().await?.into_iter().next() {
            kind.check(&instance)?;
            return Ok(instance);
        }
        let context = AuditContext::system(SystemJob::Start);
        match make(store, &context, master_key, kind, None, at, &mut RngHandle(rng)).await {
            // Another node created the instance: load it.
            Err(StartError::SetUp(CommitError::Conflict)) => {}
            other => return other,
        }
    }
}

/// A production instance that was just made.
#[derive(Debug)]
pub struct NewInstance {
    /// Its row.
    pub instance: Instance,
    /// The key that applications put into their configuration.
    pub publishable_key: String,
    /// Told here and nowhere else: only its hash is stored.
    pub secret_key: String,
    /// The key that verifies its tokens, as PEM.
    pub public_key_pem: String,
}

/// Makes a production instance with one secret key in a database that has no instance yet.
///
/// # Errors
/// [`StartError::SetUp`] with [`CommitError::Conflict`] where there is an instance: nothing is changed then.
pub async fn create_production(
    store: &Store,
    context: &AuditContext,
    master_key: &MasterKey,
    host: PublicHost,
    now: Timestamp,
    rng: &Rng,
) -> Result<NewInstance, StartError> {
    let at = Moment::real(now);
    let secret_key = keys::secret_key(SecretKeyKind::Live, RngHandle(rng).array());
    let row = SecretKey::new(keys::sha256(secret_key.as_bytes()), Some("first".to_owned()), now);
    let kind = InstanceKind::Production(host);
    let instance = make(store, context, master_key, &kind, Some(row), at, &mut RngHandle(rng)).await?;
    let signer = newest_signer(store, master_key, &instance).await?;
    Ok(NewInstance {
        publishable_key: keys::publishable_key(&instance.host),
        secret_key,
        public_key_pem: signer.public_key_pem(),
        instance,
    })
}

async fn newest_signer(
    store: &Store,
    master_key: &MasterKey,
    instance: &Instance,
) -> Result<Signer, StartError> {
    let signing_keys = store.signing_keys(instance.id).await?;
    let newest = signing_keys.last().ok_or(SigningError)?;
    Ok(Signer::new(&newest.kid, &master_key.open(&newest.kid, &newest.sealed_private_key)?)?)
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
        let row = development_key(master_key, instance, at);
        let changes = ChangeSet::new(instance, at, &mut RngHandle(rng))
            .act(&AuditContext::system(SystemJob::Start), secret_keys::creation_of(&row))
            .write(Write::InsertSecretKey(row));
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
    context: &AuditContext,
    master_key: &MasterKey,
    kind: &InstanceKind,
    first_key: Option<SecretKey>,
    at: Moment,
    random: &mut RngHandle<'_>,
) -> Result<Instance, StartError> {
    let now = at.now;
    let id = InstanceId::generate(now, random);
    let (host, secret_key) = match kind {
        InstanceKind::Development => (local_host(id), Some(development_key(master_key, id, at))),
        InstanceKind::Production(host) => (host.to_string(), first_key),
    };
    let instance = Instance { id, environment: kind.environment(), host, created_at: now };
    let kid = id.to_string();
    let sealed_private_key = master_key.seal(&kid, &keys::generate_signing_key()?, random);
    let act = Act::on(Action::InstanceCreated, id)
        .field("environment", (), kind.environment().as_str())
        .field("host", (), instance.host.clone());
    let mut changes = ChangeSet::new(id, at, random)
        .act(context, act)
        .expect(Expect::NoInstance)
        .write(Write::InsertInstance(instance.clone()))
        .write(Write::InsertSigningKey(SigningKey {
            kid,
            sealed_private_key,
            times: SigningKeyTimes::first(now),
        }))
        .write(Write::Settings(Settings::initial(now)));
    if let Some(secret_key) = secret_key {
        changes = changes.write(Write::InsertSecretKey(secret_key));
    }
    store.commit(changes).await?;
    Ok(instance)
}

/// Its own host, so that two machines or projects never share a key, a cookie suffix or an
/// issuer. The last characters of the id are random; hosts are in lower case.
fn local_host(id: InstanceId) -> String {
    let text = id.to_string().to_lowercase();
    format!("clerk.{}.localhost", &text[text.len() - 8..])
}

fn development_key(master_key: &MasterKey, id: InstanceId, at: Moment) -> SecretKey {
    let text = derived_secret_key(master_key, id);
    SecretKey::new(keys::sha256(text.as_bytes()), Some("development".to_owned()), at.wall)
}
