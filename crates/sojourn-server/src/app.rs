//! What every handler shares: the use cases, and what only HTTP needs.

use std::{future::Future, ops::Deref, sync::Arc};

use sojourn_core::cookie::CookieNames;
use sojourn_service::{Failure, MaybeConflict, Service, StartError, keys};
use sojourn_store::{CommitError, StoreError};

use crate::{
    auth::secret_key::KeyUses,
    portal::mailbox::MailboxAccess,
    wire::{ApiError, ApiResult},
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

    /// As [`Service::retry_on_conflict`], for handlers that answer by themselves.
    ///
    /// # Errors
    /// What `attempt` fails with; the last conflict when it never ends.
    pub async fn retry_on_conflict<T, F>(&self, attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = Result<T, AttemptError>>,
    {
        self.0.service.retry_on_conflict(attempt).await.map_err(AttemptError::into_refusal)
    }
}

/// Runs what nobody asks for, until the server ends.
pub async fn run_jobs(app: App) {
    sojourn_service::jobs::run(&app).await;
}

/// Why an attempt inside [`App::retry_on_conflict`] did not succeed.
#[derive(Debug)]
pub enum AttemptError {
    /// Decide again.
    Conflict,
    /// Answer this.
    Refused(ApiError),
}

impl AttemptError {
    /// What to answer when there is no further attempt.
    pub fn into_refusal(self) -> ApiError {
        match self {
            Self::Conflict => CommitError::Conflict.into(),
            Self::Refused(error) => error,
        }
    }
}

impl MaybeConflict for AttemptError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }
}

impl From<CommitError> for AttemptError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Conflict,
            other => Self::Refused(other.into()),
        }
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl<R: Into<ApiError>> From<Failure<R>> for AttemptError {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Refused(reason, _) => Self::Refused(reason.into()),
            Failure::Storage(error) => error.into(),
        }
    }
}

impl From<ApiError> for AttemptError {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}
