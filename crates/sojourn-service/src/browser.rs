//! The client behind a request: its credential, its stored state, and what it may do.

use std::{sync::Arc, time::Duration};

use sojourn_core::{
    client::{
        Client, ClientStep, ClientWithSessions, GRACE, Identity, Predecessor, SecretHash, close_overdue,
        unanswered_sessions,
    },
    id::{ClientId, SessionId, UserId},
    policy::Policy,
    session::{Device, Session},
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    time::{Moment, Timestamp},
    user::User,
};
use sojourn_store::{ClientRecord, CommitError, Engine as _, StoreError};

pub use crate::credential::Credential;
use crate::{instance::Service, tokens::TokenContext};

/// The data of a client's request, and the settings at that time.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The single reading of the clocks for this request.
    pub at: Moment,
    /// The origin of the application. The source of `azp`.
    pub origin: Option<String>,
    /// The browser's description of itself.
    pub device: Device,
    /// The languages that the browser asks for, the preferred one first.
    pub languages: Vec<String>,
    /// How long the browser certainly keeps a cookie that the response sets (S7).
    pub cookie_kept_for: Duration,
    pub settings: Settings,
    pub policy: Policy,
    /// The client cookie. Not authenticated before [`BrowserContext::load`].
    pub credential: Option<Credential>,
}

impl RequestContext {
    /// The session clock, for sessions, codes and attempts.
    pub const fn now(&self) -> Timestamp {
        self.at.now
    }
}

impl<'a> From<&'a RequestContext> for TokenContext<'a> {
    fn from(request: &'a RequestContext) -> Self {
        Self {
            at: request.at,
            origin: request.origin.as_deref(),
            policy: &request.policy,
            settings: &request.settings.token,
            lifetime_seconds: None,
        }
    }
}

/// A loaded client: its state, and what it may do.
#[derive(Clone, Debug)]
pub struct BrowserContext {
    /// The request, with the settings from the same snapshot as the client.
    pub request: RequestContext,
    /// What the client secret authenticates.
    pub identity: Identity,
    /// A new credential that the response must set.
    issued: Option<Credential>,
    /// Whether the response must remove the cookie.
    pub forgotten: bool,
    /// Set if the response that rotated the secret may be lost.
    pub(crate) repeat: Option<Repeat>,
    browser: Option<ClientWithSessions>,
    users: Vec<Arc<User>>,
    sign_in: Option<SignIn>,
    sign_up: Option<SignUp>,
}

/// A client that still has the secret from before a rotation, while no request has presented the
/// new one: the response may be lost. The client may repeat the verification.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) rotation: Predecessor,
    /// The client with all its sessions.
    pub(crate) browser: ClientWithSessions,
    /// The open sessions that the client does not know about.
    pub(crate) unanswered: Vec<Session>,
}

impl Repeat {
    fn of(request: &RequestContext, record: &ClientRecord, secret: &SecretHash) -> Option<Self> {
        let browser = &record.browser;
        let rotation = browser.client.unanswered_rotation(secret)?;
        // A request from before the rotation repeats nothing: the response to the other request may
        // still arrive.
        if request.at.wall <= browser.client.signed_in_set_changed_at {
            return None;
        }
        let unanswered = unanswered_sessions(request.at, &record.policy, browser, &rotation);
        Some(Self { rotation, browser: browser.clone(), unanswered })
    }

    /// Whether all sessions of the lost response belong to this account.
    pub(crate) fn is_all_of(&self, user_id: UserId) -> bool {
        !self.unanswered.is_empty() && self.unanswered.iter().all(|session| session.user_id == user_id)
    }

    /// Whether the lost response created this session.
    pub(crate) fn opened(&self, session_id: Option<SessionId>) -> bool {
        self.unanswered.iter().any(|session| Some(session.id) == session_id)
    }

    /// Whether this client started an attempt after the lost response.
    fn began_after(&self, created_at: Timestamp) -> bool {
        (self.rotation.rotated_at..self.rotation.rotated_at + GRACE).contains(&created_at)
    }
}

/// The request is from an unknown client, or from before a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThisBrowser;

impl BrowserContext {
    /// Loads the current state of the client. Load again after a conflict.
    ///
    /// # Errors
    /// The store fails.
    pub async fn load(service: &Service, request: &RequestContext) -> Result<Self, StoreError> {
        let (store, instance) = (service.store(), service.instance_id());
        let record = match &request.credential {
            Some(credential) => store.browser(instance, credential.client_id).await?,
            None => None,
        };
        let (identity, repeat) = match (&record, &request.credential) {
            (Some(record), Some(credential)) => {
                let secret = credential.hash();
                let identity = record.browser.client.identify(request.now(), &secret);
                (identity, Repeat::of(request, record, &secret))
            }
            _ => (Identity::Stranger, None),
        };
        let is_known = matches!(identity, Identity::Current { .. } | Identity::Predecessor { .. });
        let Some(record) = record.filter(|_| is_known) else {
            // The request must also be judged by settings that changed after it arrived.
            let (settings, policy) = store.settings(instance).await?;
            return Ok(Self {
                request: RequestContext { settings, policy, ..request.clone() },
                identity,
                issued: None,
                forgotten: false,
                repeat,
                browser: None,
                users: Vec::new(),
                sign_in: None,
                sign_up: None,
            });
        };
        let ClientRecord { mut browser, mut users, mut sign_in, mut sign_up, settings, policy } = record;
        if let Identity::Predecessor { admitted_before } = identity {
            browser.sessions.retain(|session| session.created_at < admitted_before);
            (sign_in, sign_up) = (None, None);
        }
        // The user of the attempt: after a reload, the sign-in page needs the available factors.
        let attempted = sign_in.as_ref().and_then(|sign_in| sign_in.user_id);
        if let Some(id) = attempted.filter(|id| users.iter().all(|user| user.id != *id)) {
            users.extend(store.user(instance, id).await?.map(Arc::new));
        }
        // One snapshot for everything: the settings that were loaded with the client.
        let request = RequestContext {
            at: request.at,
            origin: request.origin.clone(),
            device: request.device.clone(),
            languages: request.languages.clone(),
            cookie_kept_for: request.cookie_kept_for,
            settings,
            policy,
            credential: request.credential.clone(),
        };
        let (issued, forgotten, browser) = (None, false, Some(browser));
        Ok(Self { request, identity, issued, forgotten, repeat, browser, users, sign_in, sign_up })
    }

    /// The client as far as the request may see it; `None` if it is unknown.
    pub fn visible(&self) -> Option<&ClientWithSessions> {
        self.browser.as_ref()
    }

    /// The client after overdue sessions were closed; `None` if it is unknown.
    pub fn close_overdue(&self) -> Option<ClientStep> {
        self.browser.as_ref().map(|browser| close_overdue(self.request.at, &self.request.policy, browser))
    }

    /// The client, for a change. A request with a predecessor secret may only read and refresh.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for unknown clients and predecessor secrets.
    pub const fn browser(&self) -> Result<&ClientWithSessions, NotThisBrowser> {
        match (&self.browser, self.identity) {
            (Some(browser), Identity::Current { .. }) => Ok(browser),
            _ => Err(NotThisBrowser),
        }
    }

    /// The client, or a new one that is written with the change.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for a request from before a rotation: otherwise it would create a second
    /// client besides its own, with a second session in single-session mode (SES-14).
    pub fn browser_or_new(&mut self, service: &Service) -> Result<ClientWithSessions, NotThisBrowser> {
        match self.identity {
            Identity::Current { .. } => self.browser().cloned(),
            Identity::Predecessor { .. } | Identity::Superseded => Err(NotThisBrowser),
            // A client that never received the new secret starts again as a new client.
            Identity::Retired | Identity::Stranger => Ok(self.begin_anew(service)),
        }
    }

    /// Creates a new client, whatever credential the request has.
    pub(crate) fn begin_anew(&mut self, service: &Service) -> ClientWithSessions {
        let client_id = ClientId::generate(self.request.now(), &mut service.random());
        let credential = Credential::new(client_id, service, &self.request);
        let client = Client::new(client_id, credential.hash(), self.request.at);
        self.issued = Some(credential);
        self.browser = None;
        self.identity = Identity::Current { confirms_rotation: false };
        ClientWithSessions { client, sessions: Vec::new() }
    }

    /// Whether this client may continue an attempt of `client_id`: its own attempt, and after a
    /// lost response also one that it started since then, or the one that the lost response
    /// completed (`completed`).
    ///
    /// # Errors
    /// [`NotThisBrowser`] for unknown clients, and for requests from before a rotation.
    pub(crate) fn may_continue(
        &self,
        client_id: ClientId,
        created_at: Timestamp,
        completed: Option<SessionId>,
    ) -> Result<bool, NotThisBrowser> {
        if let Ok(browser) = self.browser() {
            return Ok(browser.client.id == client_id);
        }
        let repeat = self.repeat.as_ref().ok_or(NotThisBrowser)?;
        let was_completed = self.lost_answer().is_some_and(|repeat| repeat.opened(completed));
        Ok(repeat.browser.client.id == client_id && (was_completed || repeat.began_after(created_at)))
    }

    /// The rotation whose response may be lost, within [`GRACE`].
    pub(crate) fn lost_answer(&self) -> Option<&Repeat> {
        self.repeat.as_ref().filter(|_| matches!(self.identity, Identity::Predecessor { .. }))
    }

    /// The client for a new attempt, and whether to store the attempt in it. After a lost response,
    /// the client is not written before a factor is verified.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for a request from before a rotation.
    pub(crate) fn browser_for_attempt(
        &mut self,
        service: &Service,
    ) -> Result<(ClientWithSessions, bool), NotThisBrowser> {
        match (&self.browser, &self.repeat, self.identity) {
            (Some(visible), Some(_), Identity::Predecessor { .. }) => Ok((visible.clone(), false)),
            _ => Ok((self.browser_or_new(service)?, true)),
        }
    }

    /// Whether the cookie has a rotated secret of this client. The response to a sign-out with such
    /// a secret must not report success, because nothing ended (D10).
    pub const fn holds_an_old_secret(&self) -> bool {
        matches!(self.identity, Identity::Predecessor { .. } | Identity::Superseded | Identity::Retired)
    }

    /// Whether a session is or was this client's, as far as the caller may know.
    pub fn held(&self, session: &Session) -> bool {
        let ours = self.browser.as_ref().is_some_and(|browser| browser.client.id == session.client_id);
        match self.identity {
            Identity::Current { .. } => ours,
            Identity::Predecessor { admitted_before } => ours && session.created_at < admitted_before,
            Identity::Superseded | Identity::Retired | Identity::Stranger => false,
        }
    }

    /// Creates a new secret for a rotation of `client_id`; the response sets it.
    pub fn rotate(&mut self, service: &Service, client_id: ClientId) -> SecretHash {
        let credential = Credential::new(client_id, service, &self.request);
        let hash = credential.hash();
        self.issued = Some(credential);
        hash
    }

    /// The credential that the response sets, if any: a new one, or the same one, renewed once a
    /// day (S7).
    pub fn newly_issued(&self) -> Option<Credential> {
        let renewed =
            || self.request.credential.as_ref().and_then(|credential| credential.renewed(&self.request));
        self.issued.clone().or_else(renewed)
    }

    /// When the browser will delete the client cookie after this response. If the date is at most 8
    /// days away, clerk-js renews the cookie by a navigation.
    /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Client.ts isEligibleForTouch,
    /// packages/clerk-js/src/core/clerk.ts setActive
    pub fn cookie_expires_at(&self) -> Timestamp {
        let newest = self.newly_issued().or_else(|| self.request.credential.clone());
        newest.map_or(self.request.at.wall + self.request.cookie_kept_for, |credential| credential.expires_at)
    }

    /// Removes the client from the request; the response removes its cookies.
    pub fn forget(&mut self) {
        self.browser = None;
        self.request.credential = None;
        self.issued = None;
        self.identity = Identity::Stranger;
        self.forgotten = true;
    }

    /// Records what every request records, in the same commit as its change: that it presented the
    /// new secret, and the origin of its application.
    pub fn note_request(&self, service: &Service, step: &mut ClientStep) {
        let now = self.request.now();
        if self.identity == (Identity::Current { confirms_rotation: true }) && self.issued.is_none() {
            step.browser.client.retire_predecessor(now);
            step.client_changed = true;
        }
        let is_current = matches!(self.identity, Identity::Current { .. });
        // The portal's own origin does not identify an application.
        let application = self.request.origin.as_ref().filter(|origin| **origin != service.own_origin());
        if is_current && application.is_some() && step.browser.client.last_origin.as_ref() != application {
            step.browser.client.last_origin = application.cloned();
            step.client_changed = true;
        }
    }

    /// The user of one of the client's sessions.
    pub fn user_of(&self, session: &Session) -> Option<&User> {
        self.user(session.user_id)
    }

    /// A user of the client's sessions or of its sign-in attempt.
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.users.iter().map(Arc::as_ref).find(|user| user.id == id)
    }

    /// The client's unfinished sign-in attempt.
    pub const fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// The client's unfinished sign-up attempt.
    pub const fn sign_up(&self) -> Option<&SignUp> {
        self.sign_up.as_ref()
    }

    /// Commits the overdue sessions that were found, before a refusal is sent.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]: load again.
    pub async fn commit_step(&self, service: &Service, step: &ClientStep) -> Result<(), CommitError> {
        service.commit(service.changes(self.request.at).browser(step)).await
    }
}
