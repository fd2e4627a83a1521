//! The served instance: its store, keys and clocks, which all use cases share.

use std::{future::Future, sync::Arc};

use ipnet::IpNet;
use sojourn_core::{
    audit::{Act, AuditContext, AuditEntry, SystemJob},
    client::ClientStep,
    event::Event,
    id::InstanceId,
    time::Moment,
};
use sojourn_metrics::{COMMITS_REFUSED, SESSIONS_ENDED, SESSIONS_STARTED};
use sojourn_store::{ChangeSet, CommitError, Engine as _, Environment, Instance, Store, StoreError, Write};
use url::Url;

use crate::{
    clock::{Clock, Clocks},
    cut_claims::CutClaims,
    error::MaybeConflict,
    first_instance::{self, InstanceKind},
    jobs,
    keys::{self, KeyOfRing, Keyring, KeyringError, MasterKey, MasterKeys, SealError, Signer, SigningError},
    mail::{MailOptions, Mailer},
    passwords::Passwords,
    rate_limits::RateLimits,
    rng::{Rng, RngHandle},
    settings::Pins,
    signing_keys,
    webhooks::{self, Webhooks},
};

/// The configuration of a server.
pub struct Options {
    /// The opened database.
    pub store: Store,
    /// Which instance: made in an empty database, and no other is served.
    pub instance: InstanceKind,
    /// From outside the database.
    pub master_key: MasterKey,
    /// The master key before this one. It opens rows that it encrypted; the start encrypts them again.
    pub previous_master_key: Option<MasterKey>,
    pub clock: Arc<dyn Clock>,
    pub rng: Rng,
    /// The URL at which browsers reach this server, without a path.
    pub base_url: Url,
    /// Whether rate limits apply. Only a development instance may disable them.
    pub rate_limits: bool,
    /// Whether other machines can reach a development instance. It then has no test codes, mailbox
    /// page and `/dev`.
    pub exposed: bool,
    /// How mail is written and where it goes.
    pub mail: MailOptions,
    /// Settings that the configuration fixes.
    pub pins: Pins,
    /// Networks in which receivers of webhooks may be, besides the public internet. A development
    /// instance that is not exposed also reaches this machine.
    pub webhook_networks: Vec<IpNet>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first rows could not be written.
    #[error("cannot set up the instance: {0}")]
    SetUp(#[from] CommitError),
    /// The master key does not belong to this database.
    #[error(transparent)]
    MasterKey(#[from] SealError),
    /// The signing key cannot be read.
    #[error(transparent)]
    SigningKey(#[from] SigningError),
    /// The keys that the previous master key encrypted could not be encrypted again.
    #[error("the signing keys cannot be sealed with the new master key: {0}")]
    Reseal(String),
    /// The instance is exposed now, but its test clock could not be reset.
    #[error("the test clock cannot be reset: {0}")]
    TestClock(#[source] CommitError),
    /// The database holds an instance of the other environment.
    #[error("the database holds a {} instance, and the configuration asks for {}", found.as_str(), wanted.as_str())]
    OtherEnvironment { found: Environment, wanted: Environment },
    /// The database holds an instance at another host.
    #[error("the database holds the instance of {found}, and public_url names {wanted}")]
    OtherHost { found: String, wanted: String },
    /// The pinned settings are not valid.
    #[error("{0}")]
    Pins(String),
}

/// The running instance. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    store: Store,
    instance: Instance,
    keyring: Keyring,
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
    webhooks: Webhooks,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.0.instance.id)
    }
}

/// The maximum number of attempts after conflicts. It is high enough that a client that switches
/// accounts in a loop cannot prevent a sign-out or a revocation (SES-17).
const ATTEMPTS: usize = 32;

impl Service {
    /// Opens the instance of a database, or creates it in an empty database.
    ///
    /// # Errors
    /// [`StartError`]: a server that could lose data or guess keys must not start.
    pub async fn open(options: Options) -> Result<Self, StartError> {
        Self::open_with_keys(options, Vec::new()).await
    }

    /// As [`Self::open`]. The keys of `parsed` are not parsed again: that takes longer than all other
    /// steps.
    ///
    /// # Errors
    /// As there.
    pub async fn open_with_keys(options: Options, parsed: Vec<KeyOfRing>) -> Result<Self, StartError> {
        let Options { store, master_key, clock, rng, base_url, .. } = options;
        let high_water = store.high_water().await?;
        let wall = high_water.map_or(clock.now(), |mark| clock.now().max(mark));
        let kind = &options.instance;
        let instance =
            first_instance::find_or_make(&store, &master_key, kind, Moment::real(wall), &rng).await?;
        let signing_keys = store.signing_keys(instance.id).await?;
        let master_keys = MasterKeys { current: master_key.clone(), previous: options.previous_master_key };
        let keyring = Keyring::with_parsed(master_keys, &signing_keys, parsed);
        let keyring = keyring.map_err(|error| match error {
            KeyringError::Sealed(error) => StartError::MasterKey(error),
            KeyringError::Unusable(error) => StartError::SigningKey(error),
        })?;
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
            mailer: Mailer::new(base_url.clone(), options.mail, development && !options.exposed),
            exposed: options.exposed,
            pins: options.pins,
            cut_claims: CutClaims::since(wall),
            webhooks: Webhooks::new(options.webhook_networks, development && !options.exposed),
            clocks,
            store,
            instance,
            keyring,
            rng,
            base_url,
        }));
        if !service.has_development_tools() && !test_clock.is_real() {
            // In an exposed instance nobody could reset it any more.
            let context = AuditContext::system(SystemJob::Start);
            service.reset_test_clock(&context).await.map_err(StartError::TestClock)?;
        }
        if !service.mailer().is_configured() {
            tracing::warn!(
                event = "mail.not_configured",
                "no mail server is configured: nobody gets codes or notices, and only passwords and tickets sign in; set mail.smtp.host and mail.from"
            );
        }
        service.apply_pins().await?;
        if service.keyring().master_keys().previous.is_some() {
            let resealed = signing_keys::reseal(&service).await;
            let resealed = resealed.map_err(|error| StartError::Reseal(format!("{error:?}")))?;
            webhooks::reseal(&service).await.map_err(|error| StartError::Reseal(format!("{error:?}")))?;
            tracing::info!(resealed, "signing keys were sealed with the new master key");
        }
        Ok(service)
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn instance_id(&self) -> InstanceId {
        self.0.instance.id
    }

    /// Whether test codes, short durations and session creation by API are allowed.
    pub fn is_development(&self) -> bool {
        self.0.instance.environment == Environment::Development
    }

    /// Whether `/dev`, the mailbox page and test codes exist. Never if other machines can reach the
    /// server (D3).
    pub fn has_development_tools(&self) -> bool {
        self.is_development() && !self.0.exposed
    }

    pub fn environment(&self) -> Environment {
        self.0.instance.environment
    }

    /// Settings that the configuration fixes.
    pub fn pins(&self) -> &Pins {
        &self.0.pins
    }

    /// The users whose custom claims were left out of their tokens.
    pub fn cut_claims(&self) -> &CutClaims {
        &self.0.cut_claims
    }

    /// Reads both clocks. Call it once per request.
    pub fn moment(&self) -> Moment {
        self.0.clocks.read()
    }

    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.0.webhooks
    }

    pub(crate) fn clocks(&self) -> &Clocks {
        &self.0.clocks
    }

    /// Whether other nodes may serve the same instance.
    pub fn shares_its_store(&self) -> bool {
        self.store().is_shared()
    }

    pub fn random(&self) -> RngHandle<'_> {
        RngHandle(&self.0.rng)
    }

    /// The key for the configuration of applications.
    pub fn publishable_key(&self) -> &str {
        &self.0.publishable_key
    }

    /// The secret key of a development instance. Production keys are shown once, and only their
    /// hash is stored.
    pub fn secret_key(&self) -> Option<&str> {
        self.0.secret_key.as_deref()
    }

    /// `https://` and the host in the publishable key, independent of proxy and port.
    /// Compat: clerk/javascript packages/backend/src/tokens/authenticateContext.ts
    pub fn issuer(&self) -> String {
        format!("https://{}", self.0.instance.host)
    }

    /// The host in the publishable key.
    pub fn key_host(&self) -> &str {
        &self.0.instance.host
    }

    /// The URL at which browsers reach this server, without a path.
    pub fn base_url(&self) -> &Url {
        &self.0.base_url
    }

    /// The origin of [`Self::base_url`].
    pub fn own_origin(&self) -> String {
        self.0.base_url.origin().ascii_serialization()
    }

    /// The keys that sign and verify the instance's tokens.
    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// Signs the instance's tokens.
    pub fn signer(&self) -> Arc<Signer> {
        self.keyring().current(self.moment().wall)
    }

    /// The payload of a token of this instance and of that category; `None` for anything else.
    pub fn verify_token(&self, token: &str, category: &str) -> Option<serde_json::Value> {
        self.keyring().verify(token, category, self.moment().wall)
    }

    /// The public key of the signer, as PEM.
    pub fn public_key_pem(&self) -> String {
        self.signer().public_key_pem()
    }

    /// The key for the hashes of codes.
    pub fn code_key(&self) -> &[u8; 32] {
        &self.0.code_key
    }

    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    pub fn mailer(&self) -> &Mailer {
        &self.0.mailer
    }

    /// The number of users and sessions, for the banner at start.
    ///
    /// # Errors
    /// The store fails.
    pub async fn counts(&self) -> Result<(u64, u64), StoreError> {
        let id = self.instance_id();
        let users = self.store().users(id, sojourn_store::UserFilter::default()).await?.1;
        let sessions = self.store().sessions(id, sojourn_store::SessionFilter::default()).await?.1;
        Ok((users, sessions))
    }

    /// An empty change set of this instance.
    pub fn changes(&self, at: Moment) -> ChangeSet {
        ChangeSet::new(self.instance_id(), at, &mut self.random())
    }

    /// The change set of an administrative act, with its entry for the audit log.
    pub fn act(&self, at: Moment, context: &AuditContext, act: Act) -> ChangeSet {
        self.changes(at).act(context, act)
    }

    /// Commits a change set, unless it is empty, and logs its events.
    ///
    /// # Errors
    /// [`CommitError`].
    ///
    /// # Panics
    /// An administrative change has no entry for the audit log: it must not take effect unseen.
    pub async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        if changes.is_empty() {
            return Ok(());
        }
        assert!(!changes.lacks_audit_entry(), "an administrative change without an entry of the audit log");
        // Logged after the commit: the log must not contain an event that did not happen.
        let events = changes.events.clone();
        let act = changes.audit.clone();
        let is_new = |write: &Write| matches!(write, Write::OutgoingMail(mail) if !mail.is_claimed);
        let mails = changes.writes.iter().any(is_new);
        if let Err(error) = self.store().commit(changes).await {
            COMMITS_REFUSED.inc_labelled(&[refusal(&error)]);
            return Err(error);
        }
        if mails {
            self.mailer().queue().wake.notify_one();
        }
        if !events.is_empty() {
            self.webhooks().wake();
        }
        events.iter().for_each(log_event);
        act.iter().for_each(log_act);
        Ok(())
    }

    /// Records the activity of a committed step. Not async: a token refresh must not wait for a
    /// write.
    pub fn note_activity(&self, step: &ClientStep, at: Moment) {
        // A request that started before a reset of the test clock has a time in the future, which
        // must not extend its session.
        let is_to_come = self.has_development_tools() && at.now > self.moment().now;
        if let Some(id) = step.seen.filter(|_| !is_to_come) {
            self.store().record_activity(self.instance_id(), id, at);
        }
    }

    /// Loads and decides again after a conflict, a bounded number of times. `attempt` must not
    /// contain a step that may run only once, such as counting a password attempt.
    ///
    /// # Errors
    /// The errors of `attempt`; the last conflict if conflicts do not end.
    pub async fn retry_on_conflict<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: MaybeConflict,
        F: Future<Output = Result<T, E>>,
    {
        // Boxed, because the future of every caller would contain this one.
        for _ in 1..ATTEMPTS {
            match Box::pin(attempt()).await {
                Err(error) if error.is_conflict() => {}
                done => return done,
            }
        }
        Box::pin(attempt()).await
    }

    /// Writes data that is only in memory, and closes the store.
    ///
    /// # Errors
    /// The store could not be closed cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        jobs::deliver::drain(self).await;
        // The next start must not use a time before one that this node has returned (SES-12).
        self.store().raise_high_water(self.moment().wall).await?;
        self.store().close().await
    }
}

/// The label of a commit that was not applied.
const fn refusal(error: &CommitError) -> &'static str {
    match error {
        CommitError::Conflict => "conflict",
        CommitError::Taken(_) => "taken",
        CommitError::OutcomeUnknown { .. } | CommitError::Store(_) => "failed",
    }
}

/// Writes one log line per administrative act. Not the values: they are in the audit log alone.
fn log_act(entry: &AuditEntry) {
    let (action, object_id, actor) =
        (entry.action.as_str(), entry.object_id.as_str(), entry.context.actor.key());
    tracing::info!(event = "audit", action, object_id, actor, audit_id = %entry.id, "administrative act");
}

/// Counts a committed event, and writes one log line about it. It contains ids, but no addresses and secrets (LOG-01).
fn log_event(event: &Event) {
    let name = event.name();
    match event {
        Event::SessionCreated { actor, .. } => SESSIONS_STARTED.add(usize::from(actor.is_some()), 1),
        Event::SessionClosed { closing, .. } => SESSIONS_ENDED.inc_labelled(&[closing.reason.as_str()]),
        _ => {}
    }
    match event {
        Event::UserCreated(user_id) | Event::UserUpdated(user_id) | Event::UserDeleted(user_id) => {
            tracing::info!(event = name, %user_id, "account changed");
        }
        Event::SessionCreated { session_id, user_id, client_id, actor: None } => {
            tracing::info!(event = name, %session_id, %user_id, %client_id, "signed in");
        }
        Event::SessionCreated { session_id, user_id, client_id, actor: Some(actor) } => {
            tracing::info!(event = name, %session_id, %user_id, %client_id, actor, "impersonation started");
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
