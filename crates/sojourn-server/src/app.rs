//! What every handler shares: the use cases, and what only HTTP needs.

use std::{
    ops::Deref,
    sync::{Arc, Once},
};

use sojourn_core::cookie::CookieNames;
use sojourn_service::{Service, StartError, keys};
use sojourn_store::CommitError;

use crate::{
    auth::{Connection, TrustedProxies, forwarded::Headers, secret_key::KeyUses},
    portal::mailbox::MailboxAccess,
    wire::webhook,
};

/// What a server is started with.
#[derive(Debug)]
pub struct Options {
    /// The instance.
    pub service: sojourn_service::Options,
    /// Origins that may call the Frontend API, beside those of the settings.
    pub allowed_origins: Vec<String>,
    /// Whether any loopback origin may call a development instance.
    pub allow_loopback: bool,
    /// Whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
    /// A secret key that this process alone knows, for the command line on the same machine: where no
    /// other can be known to it, in production.
    pub local_key: Option<String>,
}

/// The running server. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    service: Service,
    cookie_names: CookieNames,
    mailbox: MailboxAccess,
    allowed_origins: Vec<String>,
    allow_loopback: bool,
    trusted_proxies: TrustedProxies,
    forwarding_noted: Once,
    local_key_hash: Option<[u8; 32]>,
    key_uses: KeyUses,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App({})", self.instance_id())
    }
}

impl Deref for App {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.0.service
    }
}

impl App {
    /// Opens the instance of a database, or makes one in an empty database.
    ///
    /// # Errors
    /// [`StartError`]: better no server than one that forgets or guesses.
    pub async fn open(options: Options) -> Result<Self, StartError> {
        let service = Service::open(options.service).await?;
        let suffix = keys::cookie_suffix(service.publishable_key());
        Ok(Self(Arc::new(Inner {
            mailbox: MailboxAccess::new(keys::random_secret(&mut service.random()), &suffix),
            cookie_names: CookieNames::new(suffix, service.is_development()),
            allowed_origins: options.allowed_origins,
            allow_loopback: options.allow_loopback && service.is_development(),
            trusted_proxies: options.trusted_proxies,
            forwarding_noted: Once::new(),
            local_key_hash: options.local_key.map(|key| keys::sha256(key.as_bytes())),
            key_uses: KeyUses::default(),
            service,
        })))
    }

    /// The use cases.
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    pub(crate) fn key_uses(&self) -> &KeyUses {
        &self.0.key_uses
    }

    /// Origins from the configuration.
    pub fn configured_origins(&self) -> &[String] {
        &self.0.allowed_origins
    }

    /// Whether any loopback origin is allowed.
    pub fn allows_loopback(&self) -> bool {
        self.0.allow_loopback
    }

    /// Whose forwarding headers count.
    pub fn trusted_proxies(&self) -> &TrustedProxies {
        &self.0.trusted_proxies
    }

    /// Whether a key of this hash is the one of [`Options::local_key`].
    pub(crate) fn is_local_key(&self, hash: &[u8; 32]) -> bool {
        self.0.local_key_hash.as_ref() == Some(hash)
    }

    /// Tells the operator once that a proxy seems to be there that nobody declared.
    pub(crate) fn note_forwarding(&self, connection: &Connection) {
        if self.is_development() || connection.headers != Headers::Ignored {
            return;
        }
        self.0.forwarding_noted.call_once(|| {
            let from = connection.client.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(
                %from,
                "forwarding headers are ignored: trusted_proxies does not name this address; \
                 if it is your proxy, declare it, or all its clients count as one"
            );
        });
    }

    /// The names of the instance's cookies.
    pub fn cookie_names(&self) -> &CookieNames {
        &self.0.cookie_names
    }

    /// Who may see the mailbox page.
    pub fn mailbox(&self) -> &MailboxAccess {
        &self.0.mailbox
    }

    /// A fresh one-time link to the mailbox page.
    pub fn mailbox_link(&self) -> String {
        format!("{}/mailbox?key={}", self.own_origin(), self.0.mailbox.new_link(&mut self.random()))
    }
}

/// Runs what nobody asks for, until the server ends.
pub async fn run_jobs(app: App) {
    sojourn_service::jobs::run(&app, webhook::compose).await;
}

/// Queues and sends all webhooks that are due, and returns when the results are stored.
///
/// # Errors
/// The store does not answer.
pub async fn deliver_webhooks(app: &App) -> Result<(), CommitError> {
    sojourn_service::webhooks::deliver::deliver_due(app, webhook::compose).await
}
