//! What a test's store holds before the story begins. One signing key and one
//! password hash for the whole process, because making them takes longer than
//! most stories.

use std::sync::{Arc, OnceLock};

use argon2::{Argon2, password_hash::PasswordHasher as _};
use sojourn_core::{
    host::PublicHost,
    id::{InstanceId, Randomness as _},
    settings::Settings,
    signing_key::SigningKeyTimes,
    testing::SeededRng,
    time::Moment,
    user::PasswordHash,
};
use sojourn_service::{
    InstanceKind, MasterKey,
    keys::{self, KeyOfRing, SecretKeyKind, Signer},
};
use sojourn_store::{ChangeSet, Engine as _, Environment, Instance, SecretKey, SigningKey, Store, Write};

use crate::START;

/// The password of every account that a test makes.
pub const PASSWORD: &str = "correct horse battery staple";
/// Never anybody's password.
pub const WRONG_PASSWORD: &str = "incorrect horse battery staple";

pub(crate) const fn master_key() -> MasterKey {
    MasterKey::new([7; 32])
}

fn signing_key() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| keys::generate_signing_key().expect("randomness"))
}

/// The signing key of every simulated instance, parsed once. Its row is sealed with nothing,
/// because nobody opens it.
pub(crate) fn parsed_key() -> (SigningKey, KeyOfRing) {
    static SIGNER: OnceLock<Arc<Signer>> = OnceLock::new();
    let parse = || Arc::new(Signer::new("sim", signing_key()).expect("a fresh key"));
    let (signer, times) = (Arc::clone(SIGNER.get_or_init(parse)), SigningKeyTimes::first(START));
    let row = SigningKey { kid: signer.key_id().to_owned(), sealed_private_key: Vec::new(), times };
    (row, KeyOfRing { times, signer })
}

/// The hash of [`PASSWORD`] as the server makes it, made once.
pub(crate) fn password_hash() -> PasswordHash {
    static HASH: OnceLock<String> = OnceLock::new();
    let make = || {
        // The defaults are OWASP's parameters, as the server's are.
        Argon2::default().hash_password(PASSWORD.as_bytes()).expect("hashed").to_string()
    };
    PasswordHash(HASH.get_or_init(make).clone())
}

const PRODUCTION_HOST: &str = "clerk.example.com";

/// The instance that a server of a test serves.
pub(crate) fn kind(environment: Environment) -> InstanceKind {
    match environment {
        Environment::Development => InstanceKind::Development,
        Environment::Production => {
            InstanceKind::Production(PublicHost::parse(PRODUCTION_HOST).expect("a host"))
        }
    }
}

/// Writes the instance with its keys and first settings; returns the secret key.
pub(crate) async fn instance(
    store: &Store,
    environment: Environment,
    settings: Settings,
    older_secret_key: bool,
    rng: &mut SeededRng,
) -> String {
    let id = InstanceId::generate(START, rng);
    let (host, kind) = match environment {
        Environment::Development => ("clerk.sojourn1.localhost", SecretKeyKind::Test),
        Environment::Production => (PRODUCTION_HOST, SecretKeyKind::Live),
    };
    // As the server derives it for development instances.
    let derived = master_key().derive(&format!("secret key of {id}"));
    let bytes = derived.first_chunk().expect("longer than a key");
    let mut secret_key = keys::secret_key(kind, *bytes);
    if older_secret_key {
        secret_key = secret_key.replace("_sojourn_", "_");
    }
    let kid = id.to_string();
    let sealed_private_key = master_key().seal(&kid, signing_key(), rng);
    let instance = Instance { id, environment, host: host.to_owned(), created_at: START };
    let hash = keys::sha256(secret_key.as_bytes());
    let changes = ChangeSet::new(id, Moment::real(START), rng)
        .write(Write::InsertInstance(instance))
        .write(Write::InsertSigningKey(SigningKey {
            kid,
            sealed_private_key,
            times: SigningKeyTimes::first(START),
        }))
        .write(Write::InsertSecretKey(SecretKey::new(hash, None, START)))
        .write(Write::Settings(settings));
    store.commit(changes).await.expect("an empty store takes an instance");
    // From here on the generator is the application's: whatever the story is, they start alike.
    let _ = rng.array::<8>();
    secret_key
}
