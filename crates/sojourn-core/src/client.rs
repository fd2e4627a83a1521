//! One browser: its sessions, the client secret that authenticates it, and the rules for admitting,
//! switching and signing out.

mod repeat;

use std::time::Duration;

use subtle::ConstantTimeEq as _;

pub use self::repeat::{end_unanswered, readmit, unanswered_sessions};

use crate::{
    activity::ActivitySource,
    event::Event,
    id::{ClientId, SessionId, SignInId, SignUpId, UserId},
    impersonation::Impersonation,
    policy::Policy,
    session::{
        Closing, Device, Ending, Refusal, Session, SessionInput, Transition, Verdict, after, close, decide,
        transition,
    },
    time::{Moment, Timestamp},
};

/// The SHA-256 of a client secret. The secret itself is never stored (SES-05).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

impl SecretHash {
    /// Constant-time comparison.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The stored facts of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The same after every sign-out.
    pub id: ClientId,
    /// Incremented by every stored change: of two changes that were decided on the same version,
    /// only one can commit.
    pub version: u64,
    pub created_at: Timestamp,
    /// Strictly increasing: every change that the browser can see gets a later time.
    pub updated_at: Timestamp,
    /// When the set of signed-in sessions last changed, on the wall clock. The source of
    /// `__client_uat` (D15).
    pub signed_in_set_changed_at: Timestamp,
    /// The secret in the current client cookie.
    pub secret: SecretHash,
    /// The secret before the last rotation.
    pub predecessor: Option<Predecessor>,
    /// The session of a page load that names no session.
    pub last_active_session_id: Option<SessionId>,
    /// The strategy of the most recent sign-in.
    pub last_authentication_strategy: Option<String>,
    /// The unfinished sign-in attempt.
    pub sign_in_id: Option<SignInId>,
    /// The unfinished sign-up attempt.
    pub sign_up_id: Option<SignUpId>,
    /// The origin of the application that last used this client.
    pub last_origin: Option<String>,
}

/// The client secret before a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    pub secret: SecretHash,
    /// Sessions created at this time or later are hidden from the old secret.
    pub rotated_at: Timestamp,
    /// The end of the grace: [`GRACE`] after the rotation, or the first request with the new secret
    /// if that is earlier.
    pub good_until: Timestamp,
}

/// The maximum grace after a rotation. During it the old secret may read and refresh, for requests
/// that were under way when the secret rotated (D10).
pub const GRACE: Duration = Duration::from_secs(30);

/// What a client secret authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The current secret. `confirms_rotation`: this is the first request with the new secret, so
    /// the caller must retire the predecessor.
    Current {
        /// Whether the caller must call [`Client::retire_predecessor`].
        confirms_rotation: bool,
    },
    /// The secret before the last rotation, within its grace. It may read and refresh the sessions
    /// admitted before the rotation, and nothing else. The response must not have `Set-Cookie`: it
    /// would overwrite the new cookie.
    Predecessor {
        /// Sessions created at this time or later are hidden.
        admitted_before: Timestamp,
    },
    /// A rotated secret, while responses with its successor may still be under way. It
    /// authenticates nothing, and the response must not have `Set-Cookie`.
    Superseded,
    /// A predecessor after its grace. The browser never received the response with the new secret
    /// and starts without sessions.
    Retired,
    /// An unknown secret.
    Stranger,
}

impl Client {
    pub const fn new(id: ClientId, secret: SecretHash, at: Moment) -> Self {
        Self {
            id,
            version: 0,
            created_at: at.now,
            updated_at: at.now,
            signed_in_set_changed_at: at.wall,
            secret,
            predecessor: None,
            last_active_session_id: None,
            last_authentication_strategy: None,
            sign_in_id: None,
            sign_up_id: None,
            last_origin: None,
        }
    }

    /// What `secret` authenticates at `now`.
    pub fn identify(&self, now: Timestamp, secret: &SecretHash) -> Identity {
        if self.secret.matches(secret) {
            let confirms_rotation = self.predecessor.is_some_and(|old| now < old.good_until);
            return Identity::Current { confirms_rotation };
        }
        let Some(old) = self.predecessor else { return Identity::Stranger };
        let is_predecessor = old.secret.matches(secret);
        if is_predecessor && now < old.good_until {
            Identity::Predecessor { admitted_before: old.rotated_at }
        } else if now < old.rotated_at + GRACE {
            // A secret of two rotations ago also ends here: its hash is not stored any more, so it
            // looks like an unknown one.
            Identity::Superseded
        } else if is_predecessor {
            Identity::Retired
        } else {
            Identity::Stranger
        }
    }

    /// Ends the grace of the old secret after a request presented the new one.
    pub fn retire_predecessor(&mut self, now: Timestamp) {
        if let Some(old) = &mut self.predecessor {
            old.good_until = old.good_until.min(now);
        }
    }

    /// Replaces the secret. The old one stays valid for requests that are under way (SES-01).
    fn rotate(&mut self, now: Timestamp, secret: SecretHash) {
        self.predecessor =
            Some(Predecessor { secret: self.secret, rotated_at: now, good_until: now + GRACE });
        self.secret = secret;
    }

    /// Updates `updated_at` after a change that the browser can see.
    pub fn changed(&mut self, now: Timestamp) {
        self.updated_at = after(self.updated_at, now);
    }
}

/// A client with its sessions that are not stored as closed, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientWithSessions {
    pub client: Client,
    /// Some of them may be overdue.
    pub sessions: Vec<Session>,
}

/// The client after a decision, and the changes to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientStep {
    /// The client and the sessions that are still open.
    pub browser: ClientWithSessions,
    /// The session that the request admitted, touched or ended.
    pub subject: Option<Session>,
    /// The new session, if one was admitted.
    pub admitted: Option<SessionId>,
    /// The session with a new `last_active_at`. The caller records it after the commit.
    pub seen: Option<SessionId>,
    /// Sessions that this step closed.
    pub closed: Vec<Session>,
    /// Whether the client row changed.
    pub client_changed: bool,
    pub events: Vec<Event>,
}

/// A session to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    pub session_id: SessionId,
    pub user_id: UserId,
    pub device: Device,
    /// Set for an impersonation session.
    pub impersonation: Option<Impersonation>,
    /// How the user verified the account: `password`, `email_code`, `ticket` …
    pub strategy: String,
    /// The new client secret.
    pub secret: SecretHash,
}

/// Why a session is not admitted (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInRefused {
    /// Single-session mode, and the client has an open session.
    SessionExists,
    /// The account is already signed in on this client.
    AlreadySignedIn(SessionId),
    /// The client already has [`MAX_SESSIONS`] open sessions.
    TooManySessions,
}

/// The maximum number of accounts signed in on one client (SES-15).
pub const MAX_SESSIONS: usize = 20;

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOutScope {
    One(SessionId),
    /// All sessions of the client (S9: `signOut()`).
    All,
    /// The sessions of one user, after a ban or a deletion.
    User(UserId),
}

/// Closes the overdue sessions; the others stay open.
pub fn close_overdue(at: Moment, policy: &Policy, browser: &ClientWithSessions) -> ClientStep {
    let mut step = ClientStep {
        browser: ClientWithSessions { client: browser.client.clone(), sessions: Vec::new() },
        subject: None,
        admitted: None,
        seen: None,
        closed: Vec::new(),
        client_changed: false,
        events: Vec::new(),
    };
    for session in &browser.sessions {
        match decide(at.now, policy, session) {
            Verdict::Open { .. } => step.browser.sessions.push(session.clone()),
            Verdict::Closed(closing) if session.closed.is_none() => step.close(at, session, closing),
            // Already stored as closed, so there is nothing to write.
            Verdict::Closed(_) => {}
        }
    }
    step.reselect();
    step
}

/// Adds a session to the client and rotates the client secret (S8, SES-01).
///
/// # Errors
/// [`SignInRefused`]; the caller must still commit the result of `close_overdue`.
pub fn admit(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    new_session: NewSession,
) -> Result<ClientStep, SignInRefused> {
    let mut step = close_overdue(at, policy, browser);
    let open = &step.browser.sessions;
    if !policy.current().multi_session && !open.is_empty() {
        return Err(SignInRefused::SessionExists);
    }
    if let Some(same) = open.iter().find(|session| session.user_id == new_session.user_id) {
        return Err(SignInRefused::AlreadySignedIn(same.id));
    }
    if open.len() >= MAX_SESSIONS {
        return Err(SignInRefused::TooManySessions);
    }
    let session = Session {
        id: new_session.session_id,
        client_id: browser.client.id,
        user_id: new_session.user_id,
        created_at: at.now,
        updated_at: at.now,
        last_active_at: at.now,
        settings_version: policy.current().version,
        first_factor_verified_at: at.now,
        device: new_session.device,
        impersonation: new_session.impersonation,
        closed: None,
    };
    step.events.push(Event::SessionCreated {
        session_id: session.id,
        user_id: session.user_id,
        client_id: session.client_id,
        actor: session.impersonation.as_ref().map(|own| own.sub().to_owned()),
    });
    let client = &mut step.browser.client;
    client.rotate(at.now, new_session.secret);
    client.last_active_session_id = Some(session.id);
    client.last_authentication_strategy = Some(new_session.strategy);
    step.set_changed(at);
    step.browser.sessions.push(session.clone());
    step.admitted = Some(session.id);
    step.subject = Some(session);
    Ok(step)
}

/// Makes `session_id` the active session and records activity (S8, S3).
///
/// # Errors
/// [`SessionNotOpen`] if the client has no open session with this id.
pub fn switch(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    session_id: SessionId,
) -> Result<ClientStep, SessionNotOpen> {
    let mut step = refresh(at, policy, browser, session_id, ActivitySource::Touch)?;
    // A touch of the active session does not write the client row: frequent touches must not cause
    // conflicts with a sign-out.
    if step.browser.client.last_active_session_id != Some(session_id) {
        step.browser.client.last_active_session_id = Some(session_id);
        step.browser.client.changed(at.now);
        step.client_changed = true;
    }
    Ok(step)
}

/// Records activity of one session, if `source` counts by the settings. The active session stays
/// the same (S3).
///
/// # Errors
/// [`SessionNotOpen`] if the client has no open session with this id.
pub fn refresh(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    session_id: SessionId,
    source: ActivitySource,
) -> Result<ClientStep, SessionNotOpen> {
    let mut step = close_overdue(at, policy, browser);
    match step.apply(at.now, policy, session_id, SessionInput::Activity(source)) {
        Ok(()) => {
            step.seen = step.subject.as_ref().filter(|session| session.counts(policy, source)).map(|s| s.id);
            Ok(step)
        }
        Err(()) => Err(SessionNotOpen(Box::new(step))),
    }
}

/// Ends one session, the sessions of one user, or all. `secret` rotates the client secret if the
/// browser itself signed out (SES-02). An overdue session keeps the end that its limit caused.
/// Ending no session is not an error.
pub fn sign_out(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    scope: SignOutScope,
    ending: Ending,
    secret: Option<SecretHash>,
) -> ClientStep {
    let mut step = close_overdue(at, policy, browser);
    let goes = |session: &Session| match scope {
        SignOutScope::One(id) => session.id == id,
        SignOutScope::All => true,
        SignOutScope::User(user_id) => session.user_id == user_id,
    };
    let (leaving, staying): (Vec<_>, Vec<_>) = step.browser.sessions.drain(..).partition(goes);
    step.browser.sessions = staying;
    for session in &leaving {
        // `close_overdue` returned open sessions only, so `close` succeeds.
        let Ok(closing) = ending.close(at.now, policy, session) else { continue };
        step.close(at, session, closing);
        step.subject = step.closed.last().cloned();
    }
    step.reselect();
    if let (Some(secret), false) = (secret, leaving.is_empty()) {
        step.browser.client.rotate(at.now, secret);
    }
    step
}

/// The client has no open session with this id. The step contains the overdue sessions that were
/// found; the caller must commit it before it responds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionNotOpen(pub Box<ClientStep>);

impl ClientWithSessions {
    /// The session of a request that names none: the last active one, else the one with the most
    /// recent activity. Call it after [`close_overdue`].
    pub fn active_session(&self) -> Option<&Session> {
        let last = self.client.last_active_session_id;
        self.sessions.iter().find(|session| Some(session.id) == last).or_else(|| self.most_recent())
    }

    fn most_recent(&self) -> Option<&Session> {
        // The id makes the result unique if several sessions have the same time.
        self.sessions.iter().max_by_key(|session| (session.last_active_at, session.id))
    }

    /// The value of `__client_uat`: the time of the last change in seconds, or 0 without an open
    /// session. Call it after [`close_overdue`].
    pub fn client_uat(&self) -> i64 {
        if self.sessions.is_empty() { 0 } else { self.client.signed_in_set_changed_at.as_secs() }
    }
}

impl ClientStep {
    fn close(&mut self, at: Moment, session: &Session, closing: Closing) {
        let mut session = session.clone();
        self.events.push(close(&mut session, at.now, closing));
        self.closed.push(session);
        self.set_changed(at);
    }

    /// If the last active session was closed, selects the one with the most recent activity.
    fn reselect(&mut self) {
        let last = self.browser.client.last_active_session_id;
        if last.is_some() && self.closed.iter().any(|closed| Some(closed.id) == last) {
            self.browser.client.last_active_session_id = self.browser.most_recent().map(|session| session.id);
        }
    }

    fn set_changed(&mut self, at: Moment) {
        let client = &mut self.browser.client;
        // Never decreases, even if the wall clock goes back: the SDKs compare `__client_uat` with
        // the `iat` of the session token (D15).
        client.signed_in_set_changed_at = client.signed_in_set_changed_at.max(at.wall);
        client.changed(at.now);
        self.client_changed = true;
    }

    fn apply(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        session_id: SessionId,
        input: SessionInput,
    ) -> Result<(), ()> {
        let session = self.browser.sessions.iter_mut().find(|session| session.id == session_id).ok_or(())?;
        match transition(now, policy, session, input) {
            Ok(Transition { session: next, events }) => {
                *session = next.clone();
                self.events.extend(events);
                self.subject = Some(next);
                Ok(())
            }
            Err(Refusal::AlreadyClosed { .. }) => Err(()),
        }
    }
}
