//! The instance that is served: its store, keys and clocks, shared by every use case.

use std::{future::Future, sync::Arc};

use sojourn_core::{client::ClientStep, event::Event, id::InstanceId, time::Moment};
use sojourn_store::{ChangeSet, CommitError, Engine as _, Environment, Instance, Store, StoreError};
use url::Url;

use crate::{
    clock::{Clock, Clocks},
    cut_claims::CutClaims,
    error::MaybeConflict,
    first_instance,
    keys::{self, MasterKey, SealError, Signer, SigningError},
    mail::Mailer,
    passwords::Passwords,
    rate_limits::RateLimits,
    rng::{Rng, RngHandle},
    settings::Pins,
};

/// What a server is started with.
pub struct Options {
    /// The opened database.
    pub store: Store,
    /// From outside the database.
    pub master_key: MasterKey,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub rng: Rng,
    /// How browsers reach this server, without a path.
    pub base_url: Url,
    /// Whether requests are limited; only a development instance may go without.
    pub rate_limits: bool,
    /// A development instance that others can reach: without test codes,
    /// mailbox page and `/dev`.
    pub exposed: bool,
    /// Values given by configuration, which nobody else may change.
    pub pins: Pins,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not do what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first rows could not be written.
    #[error("cannot set up the instance: {0}")]
    SetUp(#[from] CommitError),
    /// The master key does not belong to this database.
    #[error(transparent)]
    MasterKey(#[from] SealError),
    /// The signing key is broken.
    #[error(transparent)]
    SigningKey(#[from] SigningError),
    /// The test clock of an instance that is exposed now could not be reset.
    #[error("the test clock cannot be reset: {0}")]
    TestClock(#[source] CommitError),
    /// The pinned settings cannot be in force.
    #[error("{0}")]
    Pins(String),
}

/// The running instance. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    store: Store,
    instance: Instance,
    signer: Signer,
    publishable_key: String,
    secret_key: Option<String>,
    code_key: [u8; 32],
    clocks: Clocks,
    rng: Rng,
    passwords: Passwords,
    rate_limits: RateLimits,
    mailer: Mailer,
    base_url: Url,
    exposed: bool,
    pins: Pins,
    cut_claims: CutClaims,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.0.instance.id)
    }
}

/// How often a request decides again before it gives up on a conflict: often
/// enough that nobody keeps a sign-out or a revocation from taking effect by
/// switching accounts without pause (SES-17).
const ATTEMPTS: usize = 32;

impl Service {
    /// Opens the instance of a database, or makes one in an empty database.
    ///
    /// # Errors
    /// [`StartError`]: better no server than one that forgets or guesses.
    pub async fn open(options: Options) -> Result<Self, StartError> {
        let Options { store, master_key, clock, rng, base_url, .. } = options;
        let high_water = store.high_water().await?;
        let wall = high_water.map_or(clock.now(), |mark| clock.now().max(mark));
        let instance = first_instance::find_or_make(&store, &master_key, Moment::real(wall), &rng).await?;
        let signing_keys = store.signing_keys(instance.id).await?;
        let newest = signing_keys.last().ok_or(SigningError)?;
        let signer = Signer::new(&newest.kid, &master_key.open(&newest.kid, &newest.sealed_private_key)?)?;
        let development = instance.environment == Environment::Development;
        let test_clock = store.test_clock(instance.id).await?;
        let rate_clock = Arc::clone(&clock);
        let clocks = Clocks::new(clock, wall, test_clock);
        let at = Moment::real(wall);
        let secret_key = match development {
            true => Some(
                first_instance::development_secret_key(&store, &master_key, instance.id, at, &rng).await?,
            ),
            false => None,
        };
        let service = Self(Arc::new(Inner {
            secret_key,
            publishable_key: keys::publishable_key(&instance.host),
            code_key: master_key.derive("codes"),
            passwords: Passwords::new(),
            rate_limits: RateLimits::new(options.rate_limits || !development, rate_clock),
            mailer: Mailer::new(base_url.clone()),
            exposed: options.exposed,
            pins: options.pins,
            cut_claims: CutClaims::since(wall),
            clocks,
            store,
            instance,
            signer,
            rng,
            base_url,
        }));
        if !service.has_development_tools() && !test_clock.is_real() {
            // Nobody could set it back any more.
            service.reset_test_clock().await.map_err(StartError::TestClock)?;
        }
        service.apply_pins().await?;
        Ok(service)
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The tenant that every query names.
    pub fn instance_id(&self) -> InstanceId {
        self.0.instance.id
    }

    /// Whether test codes, short durations and session creation by API are allowed.
    pub fn is_development(&self) -> bool {
        self.0.instance.environment == Environment::Development
    }

    /// Whether `/dev`, the mailbox page and test codes exist: never where
    /// strangers can reach the server (D3).
    pub fn has_development_tools(&self) -> bool {
        self.is_development() && !self.0.exposed
    }

    /// What kind of instance it is.
    pub fn environment(&self) -> Environment {
        self.0.instance.environment
    }

    /// Values that only the configuration may change.
    pub fn pins(&self) -> &Pins {
        &self.0.pins
    }

    /// Whose claims were left out of their tokens.
    pub fn cut_claims(&self) -> &CutClaims {
        &self.0.cut_claims
    }

    /// Both clocks. Read once per request.
    pub fn moment(&self) -> Moment {
        self.0.clocks.read()
    }

    pub(crate) fn clocks(&self) -> &Clocks {
        &self.0.clocks
    }

    /// Whether other nodes may serve the same instance.
    pub fn shares_its_store(&self) -> bool {
        self.store().is_shared()
    }

    /// A draw of randomness.
    pub fn random(&self) -> RngHandle<'_> {
        RngHandle(&self.0.rng)
    }

    /// The key that applications put into their configuration.
    pub fn publishable_key(&self) -> &str {
        &self.0.publishable_key
    }

    /// A development instance's secret key; production keys are shown once and
    /// kept as a hash only.
    pub fn secret_key(&self) -> Option<&str> {
        self.0.secret_key.as_deref()
    }

    /// `https://` and the host in the publishable key, whatever proxy or port
    /// is in use. Compat: clerk/javascript packages/backend/src/tokens/authenticateContext.ts
    pub fn issuer(&self) -> String {
        format!("https://{}", self.0.instance.host)
    }

    /// The host in the publishable key.
    pub fn key_host(&self) -> &str {
        &self.0.instance.host
    }

    /// How browsers reach this server, without a path.
    pub fn base_url(&self) -> &Url {
        &self.0.base_url
    }

    /// This server's own origin.
    pub fn own_origin(&self) -> String {
        self.0.base_url.origin().ascii_serialization()
    }

    /// Signs the instance's tokens.
    pub fn signer(&self) -> &Signer {
        &self.0.signer
    }

    /// The key that verifies the instance's tokens, as PEM.
    pub fn public_key_pem(&self) -> String {
        self.0.signer.public_key_pem()
    }

    /// Keys the hashes of codes.
    pub fn code_key(&self) -> &[u8; 32] {
        &self.0.code_key
    }

    /// Hashes and checks passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Counts requests.
    pub fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    /// Writes mails.
    pub fn mailer(&self) -> &Mailer {
        &self.0.mailer
    }

    /// How many users and sessions there are, for the start's greeting.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn counts(&self) -> Result<(u64, u64), StoreError> {
        let id = self.instance_id();
        let users = self.store().users(id, sojourn_store::UserFilter::default()).await?.1;
        let sessions = self.store().sessions(id, sojourn_store::SessionFilter::default()).await?.1;
        Ok((users, sessions))
    }

    /// A change set of this instance that changes nothing yet.
    pub fn changes(&self, at: Moment) -> ChangeSet {
        ChangeSet::new(self.instance_id(), at, &mut self.random())
    }

    /// Commits, unless there is nothing to.
    ///
    /// # Errors
    /// As the store's.
    pub async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        if changes.is_empty() {
            return Ok(());
        }
        let events = changes.events.clone();
        self.store().commit(changes).await?;
        events.iter().for_each(log_event);
        Ok(())
    }

    /// Notes the activity of a step that is durable. Never awaited:
    /// a token refresh must not wait for a write.
    pub fn note_activity(&self, step: &ClientStep, at: Moment) {
        // A request that was on its way while the test clock was reset is of a time that
        // has not come yet: nobody was there then.
        let is_to_come = self.has_development_tools() && at.now > self.moment().now;
        if let Some(id) = step.seen.filter(|_| !is_to_come) {
            self.store().record_activity(self.instance_id(), id, at);
        }
    }

    /// Loads and decides again while others change the same rows, a few times.
    /// `attempt` must not repeat what counts, such as a password's check.
    ///
    /// # Errors
    /// What `attempt` fails with; the last conflict when it never ends.
    pub async fn retry_on_conflict<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: MaybeConflict,
        F: Future<Output = Result<T, E>>,
    {
        for _ in 1..ATTEMPTS {
            match attempt().await {
                Err(error) if error.is_conflict() => {}
                done => return done,
            }
        }
        attempt().await
    }

    /// Writes what is still in memory and closes the store.
    ///
    /// # Errors
    /// The store could not be closed cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.store().raise_high_water(self.moment().wall).await?;
        self.store().close().await
    }
}

/// One log line per event that is durable: ids, never who or with what (LOG-01).
fn log_event(event: &Event) {
    let name = event.name();
    match event {
        Event::UserCreated(user_id) | Event::UserUpdated(user_id) | Event::UserDeleted(user_id) => {
            tracing::info!(event = name, %user_id, "account changed");
        }
        Event::SessionCreated { session_id, user_id, client_id, actor: None } => {
            tracing::info!(event = name, %session_id, %user_id, %client_id, "signed in");
        }
        Event::SessionCreated { session_id, user_id, client_id, actor: Some(actor) } => {
            tracing::info!(event = name, %session_id, %user_id, %client_id, actor, "somebody acts as the account");
        }
        Event::SessionClosed { session_id, user_id, closing } => {
            let reason = closing.reason.as_str();
            tracing::info!(event = name, %session_id, %user_id, reason, "session over");
        }
        Event::SessionSettingsChanged { version } => {
            tracing::info!(event = name, version, "settings changed");
        }
    }
}
