//! The browser behind a request: its credential, what the store knows of it, and
//! what it may do.

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

/// What a browser's request says of itself, and the settings when it came.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The one reading of the clocks.
    pub at: Moment,
    /// The application that asks. Feeds `azp`.
    pub origin: Option<String>,
    /// The browser as it describes itself.
    pub device: Device,
    /// How long the browser surely keeps a cookie that the answer sets (S7).
    pub cookie_kept_for: Duration,
    /// The settings in force.
    pub settings: Settings,
    /// All versions of the session settings.
    pub policy: Policy,
    /// Who the browser says it is; never trusted before [`BrowserContext::load`].
    pub credential: Option<Credential>,
}

impl RequestContext {
    /// The session clock: what sessions, codes and attempts are judged by.
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

/// A browser that was loaded: what is known of it, and what it may do.
#[derive(Clone, Debug)]
pub struct BrowserContext {
    /// The request, with the settings that came with the browser.
    pub request: RequestContext,
    /// Who it is.
    pub identity: Identity,
    /// A new secret that the answer has to carry.
    issued: Option<Credential>,
    /// Whether the answer has to remove the cookie.
    pub forgotten: bool,
    /// Set where the answer that rotated the secret may never have arrived.
    pub(crate) repeat: Option<Repeat>,
    browser: Option<ClientWithSessions>,
    users: Vec<Arc<User>>,
    sign_in: Option<SignIn>,
    sign_up: Option<SignUp>,
}

/// A browser that still has the secret from before a rotation, while nobody has
/// shown the new one: the answer may be lost. It may prove again what it proved.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    /// The rotation.
    pub(crate) rotation: Predecessor,
    /// The browser with all its sessions.
    pub(crate) browser: ClientWithSessions,
    /// The open sessions that it knows nothing of.
    pub(crate) unanswered: Vec<Session>,
}

impl Repeat {
    fn of(request: &RequestContext, record: &ClientRecord, secret: &SecretHash) -> Option<Self> {
        let browser = &record.browser;
        let rotation = browser.client.unanswered_rotation(secret)?;
        // A request that was under way when the secret was rotated repeats nothing: the
        // answer to the other may still arrive.
        if request.at.wall <= browser.client.signed_in_set_changed_at {
            return None;
        }
        let unanswered = unanswered_sessions(request.at, &record.policy, browser, &rotation);
        Some(Self { rotation, browser: browser.clone(), unanswered })
    }

    /// Whether all that the lost answer opened is this account's.
    pub(crate) fn is_all_of(&self, user_id: UserId) -> bool {
        !self.unanswered.is_empty() && self.unanswered.iter().all(|session| session.user_id == user_id)
    }

    /// Whether the lost answer opened this session.
    pub(crate) fn opened(&self, session_id: Option<SessionId>) -> bool {
        self.unanswered.iter().any(|session| Some(session.id) == session_id)
    }

    /// Whether an attempt of this browser began after the answer was lost.
    fn began_after(&self, created_at: Timestamp) -> bool {
        (self.rotation.rotated_at..self.rotation.rotated_at + GRACE).contains(&created_at)
    }
}

/// A request that is not a known browser's, or that left before a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThisBrowser;

impl BrowserContext {
    /// Loads the browser as it is now; load again on a conflict.
    ///
    /// # Errors
    /// The store does not answer.
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
            // Settings that changed since the request came are judged anew, too.
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
        // Whom an attempt is for: its page needs the ways in after a reload.
        let attempted = sign_in.as_ref().and_then(|sign_in| sign_in.user_id);
        if let Some(id) = attempted.filter(|id| users.iter().all(|user| user.id != *id)) {
            users.extend(store.user(instance, id).await?.map(Arc::new));
        }
        // One moment for everything: the settings that came with the browser.
        let request = RequestContext {
            at: request.at,
            origin: request.origin.clone(),
            device: request.device.clone(),
            cookie_kept_for: request.cookie_kept_for,
            settings,
            policy,
            credential: request.credential.clone(),
        };
        let (issued, forgotten, browser) = (None, false, Some(browser));
        Ok(Self { request, identity, issued, forgotten, repeat, browser, users, sign_in, sign_up })
    }

    /// The browser as far as the request may see it; `None` when it is not known.
    pub fn visible(&self) -> Option<&ClientWithSessions> {
        self.browser.as_ref()
    }

    /// The browser with what is over closed; `None` when it is not known.
    pub fn close_overdue(&self) -> Option<ClientStep> {
        self.browser.as_ref().map(|browser| close_overdue(self.request.at, &self.request.policy, browser))
    }

    /// The browser, for a change. Requests that left before a rotation may only
    /// read and refresh.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for strangers and predecessors.
    pub const fn browser(&self) -> Result<&ClientWithSessions, NotThisBrowser> {
        match (&self.browser, self.identity) {
            (Some(browser), Identity::Current { .. }) => Ok(browser),
            _ => Err(NotThisBrowser),
        }
    }

    /// The browser, or a new one that is written with the change.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for a request that left before a rotation: a second
    /// browser would be made beside the one it belongs to, with a second session
    /// in single-session mode (SES-14).
    pub fn browser_or_new(&mut self, service: &Service) -> Result<ClientWithSessions, NotThisBrowser> {
        match self.identity {
            Identity::Current { .. } => self.browser().cloned(),
            Identity::Predecessor { .. } | Identity::Superseded => Err(NotThisBrowser),
            // Who never got the answer that rotated the secret begins anew.
            Identity::Retired | Identity::Stranger => Ok(self.begin_anew(service)),
        }
    }

    /// A browser of its own, whatever the request says.
    pub(crate) fn begin_anew(&mut self, service: &Service) -> ClientWithSessions {
        let client_id = ClientId::generate(self.request.now(), &mut service.random());
        let credential = Credential::new(client_id, service, &self.request);
        let client = Client::new(client_id, credential.hash(), self.request.at);
        self.issued = Some(credential);
        self.browser = None;
        self.identity = Identity::Current { confirms_rotation: false };
        ClientWithSessions { client, sessions: Vec::new() }
    }

    /// Whether this browser may go on with an attempt of `client_id`: its own, and
    /// where an answer never arrived, one that it began since, or (`completed`) the
    /// one that the lost answer completed.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for strangers, and for requests that left before a rotation.
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

    /// What may be proved again: only within [`GRACE`].
    pub(crate) fn lost_answer(&self) -> Option<&Repeat> {
        self.repeat.as_ref().filter(|_| matches!(self.identity, Identity::Predecessor { .. }))
    }

    /// The browser that an attempt begins in, and whether the attempt is noted in it.
    /// Where an answer never arrived, nothing of the browser is written before
    /// something is proved.
    ///
    /// # Errors
    /// [`NotThisBrowser`] for a request that left before a rotation.
    pub(crate) fn browser_for_attempt(
        &mut self,
        service: &Service,
    ) -> Result<(ClientWithSessions, bool), NotThisBrowser> {
        match (&self.browser, &self.repeat, self.identity) {
            (Some(visible), Some(_), Identity::Predecessor { .. }) => Ok((visible.clone(), false)),
            _ => Ok((self.browser_or_new(service)?, true)),
        }
    }

    /// Whether the cookie was the browser's until a rotation: what it asks to
    /// end must not be answered as done, because nothing ended (D10).
    pub const fn holds_an_old_secret(&self) -> bool {
        matches!(self.identity, Identity::Predecessor { .. } | Identity::Superseded | Identity::Retired)
    }

    /// Whether a session is or was this browser's, as far as the caller may know.
    pub fn held(&self, session: &Session) -> bool {
        let ours = self.browser.as_ref().is_some_and(|browser| browser.client.id == session.client_id);
        match self.identity {
            Identity::Current { .. } => ours,
            Identity::Predecessor { admitted_before } => ours && session.created_at < admitted_before,
            Identity::Superseded | Identity::Retired | Identity::Stranger => false,
        }
    }

    /// A fresh secret for a rotation of `client_id`; the answer carries it.
    pub fn rotate(&mut self, service: &Service, client_id: ClientId) -> SecretHash {
        let credential = Credential::new(client_id, service, &self.request);
        let hash = credential.hash();
        self.issued = Some(credential);
        hash
    }

    /// The credential that the answer carries, if it carries one: a new one, or the
    /// same one renewed once a day (S7).
    pub fn newly_issued(&self) -> Option<Credential> {
        let renewed =
            || self.request.credential.as_ref().and_then(|credential| credential.renewed(&self.request));
        self.issued.clone().or_else(renewed)
    }

    /// When the browser will drop the client cookie it has after this answer. A date at
    /// most 8 days away has clerk-js renew it by a navigation.
    /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Client.ts
    /// isEligibleForTouch, packages/clerk-js/src/core/clerk.ts setActive
    pub fn cookie_expires_at(&self) -> Timestamp {
        let newest = self.newly_issued().or_else(|| self.request.credential.clone());
        newest.map_or(self.request.at.wall + self.request.cookie_kept_for, |credential| credential.expires_at)
    }

    /// Forgets the browser: the answer removes its cookies.
    pub fn forget(&mut self) {
        self.browser = None;
        self.request.credential = None;
        self.issued = None;
        self.identity = Identity::Stranger;
        self.forgotten = true;
    }

    /// Notes what every request notes, in the same commit as its change: that
    /// the new secret was seen, and where the browser calls from.
    pub fn note_request(&self, service: &Service, step: &mut ClientStep) {
        let now = self.request.now();
        if self.identity == (Identity::Current { confirms_rotation: true }) && self.issued.is_none() {
            step.browser.client.retire_predecessor(now);
            step.client_changed = true;
        }
        let is_current = matches!(self.identity, Identity::Current { .. });
        // The portal's own origin says nothing of the application.
        let application = self.request.origin.as_ref().filter(|origin| **origin != service.own_origin());
        if is_current && application.is_some() && step.browser.client.last_origin.as_ref() != application {
            step.browser.client.last_origin = application.cloned();
            step.client_changed = true;
        }
    }

    /// The user of one of the browser's sessions.
    pub fn user_of(&self, session: &Session) -> Option<&User> {
        self.user(session.user_id)
    }

    /// A user of the browser, or of its attempt to sign in.
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.users.iter().map(Arc::as_ref).find(|user| user.id == id)
    }

    /// The attempt to sign in that this browser is at.
    pub const fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// The attempt to sign up that this browser is at.
    pub const fn sign_up(&self) -> Option<&SignUp> {
        self.sign_up.as_ref()
    }

    /// Commits the ends that were found on the way, before a refusal is answered.
    ///
    /// # Errors
    /// A conflict: load again.
    pub async fn commit_step(&self, service: &Service, step: &ClientStep) -> Result<(), CommitError> {
        service.commit(service.changes(self.request.at).browser(step)).await
    }
}
