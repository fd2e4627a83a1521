//! What a test says about its application before it starts.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use sojourn_core::{
    settings::{Change, EnumerationProtection, Settings},
    testing::SeededRng,
};
use sojourn_server::{App, Options, TrustedProxies};
use sojourn_service::{
    InstanceKind, Rng, StartError,
    mail::{Delivery, MailOptions, Smtp, Templates},
    settings::Pins,
};
use sojourn_store::{Environment, Store};

use crate::{APP_ORIGIN, BASE_URL, ManualClock, START, TestApp, home::Home, seed};

/// An application that is not started yet. Without further words: a
/// development instance with the product's defaults, no rate limits, in memory
/// (or what `SOJOURN_TEST_ENGINE` says: `memory`, `sqlite` or `postgres`).
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    environment: Environment,
    base_url: String,
    allow_loopback: bool,
    allowed_origins: Vec<String>,
    rate_limits: bool,
    exposed: bool,
    smtp: Option<Smtp>,
    on_sqlite: bool,
    older_secret_key: bool,
    trusted_proxies: TrustedProxies,
    seed: u64,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings::initial(START),
            environment: Environment::Development,
            base_url: BASE_URL.to_owned(),
            allow_loopback: true,
            allowed_origins: Vec::new(),
            rate_limits: false,
            exposed: false,
            smtp: None,
            on_sqlite: false,
            older_secret_key: false,
            trusted_proxies: TrustedProxies::default(),
            seed: 1,
        }
    }
}

fn limit(span: Duration) -> Value {
    json!({"enabled": true, "duration_seconds": span.as_secs()})
}

impl Builder {
    /// The inactivity timeout is on.
    #[must_use]
    pub fn inactivity(self, span: Duration) -> Self {
        self.session_settings(json!({"inactivity_timeout": limit(span)}))
    }

    /// The maximum lifetime, 7 days otherwise.
    #[must_use]
    pub fn maximum(self, span: Duration) -> Self {
        self.session_settings(json!({"maximum_lifetime": limit(span)}))
    }

    /// Only the inactivity timeout ends sessions.
    #[must_use]
    pub fn only_inactivity(self, span: Duration) -> Self {
        self.session_settings(
            json!({"inactivity_timeout": limit(span), "maximum_lifetime": {"enabled": false}}),
        )
    }

    /// Several accounts in one browser.
    #[must_use]
    pub fn multi_session(self) -> Self {
        self.session_settings(json!({"multi_session_enabled": true}))
    }

    /// Any change of the session settings, as the settings API takes it.
    #[must_use]
    pub fn session_settings(self, patch: Value) -> Self {
        self.settings("session_settings", patch)
    }

    /// Any change of the session token's settings.
    #[must_use]
    pub fn token_settings(self, patch: Value) -> Self {
        self.settings("session", patch)
    }

    fn settings(mut self, table: &str, patch: Value) -> Self {
        let Value::Object(patch) = patch else { panic!("{patch} is no object") };
        let change = Change::read(table, &patch);
        let next = change.and_then(|change| self.settings.with(&change, Environment::Development));
        self.settings = next.unwrap_or_else(|refusal| panic!("{refusal}"));
        self
    }

    /// Whether a sign-up has to prove its address, as it has to otherwise.
    #[must_use]
    pub fn verify_at_sign_up(mut self, verify: bool) -> Self {
        self.settings.instance.auth_email.verify_at_sign_up = verify;
        self
    }

    /// Nobody learns which accounts exist.
    #[must_use]
    pub fn hiding_accounts(mut self) -> Self {
        self.settings.instance.auth_attack_protection.enumeration_protection = EnumerationProtection::Strict;
        self
    }

    /// A production instance at `https://clerk.example.com`, whose application
    /// is at `https://app.example.com`.
    #[must_use]
    pub fn production(mut self) -> Self {
        self.environment = Environment::Production;
        self.base_url("https://clerk.example.com").allowed_origin("https://app.example.com")
    }

    /// How browsers reach the server.
    #[must_use]
    pub fn base_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.base_url);
        self
    }

    /// One more origin that may call the Frontend API.
    #[must_use]
    pub fn allowed_origin(mut self, origin: &str) -> Self {
        self.allowed_origins.push(origin.to_owned());
        self
    }

    /// Origins on this machine are allowed only if they are named.
    #[must_use]
    pub fn without_loopback(mut self) -> Self {
        self.allow_loopback = false;
        self
    }

    /// Requests are counted.
    #[must_use]
    pub fn rate_limits(mut self) -> Self {
        self.rate_limits = true;
        self
    }

    /// A development instance that others can reach.
    #[must_use]
    pub fn exposed(mut self) -> Self {
        self.exposed = true;
        self
    }

    /// Mails go to a mail server.
    #[must_use]
    pub fn smtp(mut self, smtp: Smtp) -> Self {
        self.smtp = Some(smtp);
        self
    }

    /// In a file of a folder that is gone with the application, for stories
    /// that need a real database; `SOJOURN_TEST_ENGINE` may name another one.
    #[must_use]
    pub fn on_sqlite(mut self) -> Self {
        self.on_sqlite = true;
        self
    }

    /// On a database from before the product's name was in the text of secret keys.
    #[must_use]
    pub fn older_secret_key(mut self) -> Self {
        self.older_secret_key = true;
        self
    }

    /// Proxies in these networks are believed what they say in `X-Forwarded-…`.
    ///
    /// # Panics
    /// One is no network such as `10.0.0.0/8`.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: &[&str]) -> Self {
        let network = |text: &&str| text.parse().expect("a network");
        self.trusted_proxies.networks = networks.iter().map(network).collect();
        self
    }

    /// Another seed: other ids.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(self) -> TestApp {
        let home = Home::new(self.on_sqlite).await;
        let store = home.open().await;
        let mut rng = SeededRng::new(self.seed);
        let production = self.environment == Environment::Production;
        let secret_key =
            seed::instance(&store, self.environment, self.settings, self.older_secret_key, &mut rng).await;
        let frame = Frame {
            kind: seed::kind(self.environment),
            trusted_proxies: self.trusted_proxies,
            base_url: self.base_url,
            allowed_origins: self.allowed_origins,
            allow_loopback: self.allow_loopback,
            rate_limits: self.rate_limits,
            exposed: self.exposed,
            smtp: self.smtp,
            page: if production { "https://app.example.com" } else { APP_ORIGIN },
            secret_key,
            home,
        };
        frame.open(store, ManualClock::default(), rng).await
    }
}

/// What stays the same when the server is started again.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: InstanceKind,
    trusted_proxies: TrustedProxies,
    base_url: String,
    allowed_origins: Vec<String>,
    allow_loopback: bool,
    rate_limits: bool,
    exposed: bool,
    smtp: Option<Smtp>,
    pub(crate) page: &'static str,
    pub(crate) secret_key: String,
    pub(crate) home: Home,
}

impl Frame {
    async fn open(self, store: Store, clock: ManualClock, rng: SeededRng) -> TestApp {
        self.open_with(store, clock, rng, Pins::default()).await.expect("the application starts")
    }

    /// Opens a store with settings that are pinned.
    pub(crate) async fn open_with(
        self,
        store: Store,
        clock: ManualClock,
        rng: SeededRng,
        pins: Pins,
    ) -> Result<TestApp, StartError> {
        let server = App::open(Options {
            service: sojourn_service::Options {
                store,
                instance: self.kind.clone(),
                master_key: seed::master_key(),
                previous_master_key: None,
                clock: Arc::new(clock.clone()),
                rng: Rng::Seeded(Mutex::new(Box::new(rng))),
                base_url: self.base_url.parse().expect("a URL"),
                rate_limits: self.rate_limits,
                exposed: self.exposed,
                mail: MailOptions {
                    // Also where no page shows it: a story reads it from the store.
                    delivery: Some(self.smtp.clone().map_or(Delivery::Mailbox, Delivery::Smtp)),
                    templates: Templates::default(),
                },
                pins,
                webhook_networks: Vec::new(),
            },
            allowed_origins: self.allowed_origins.clone(),
            allow_loopback: self.allow_loopback,
            trusted_proxies: self.trusted_proxies.clone(),
            local_key: None,
        })
        .await?;
        Ok(TestApp::started(clock, server, self))
    }

    /// Opens the same database again.
    pub(crate) async fn reopen(self, clock: ManualClock) -> TestApp {
        assert!(self.home.survives(), "only what is on disk survives a restart: .on_sqlite()");
        let store = self.home.open().await;
        self.open(store, clock, SeededRng::new(1_000_003)).await
    }
}
