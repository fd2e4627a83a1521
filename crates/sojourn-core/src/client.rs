//! One browser: the sessions it holds, the secret that proves it is the same
//! one, and the rules of admitting, switching and signing out.

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

/// The stored facts of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Kept across sign-out.
    pub id: ClientId,
    /// Counts every stored change: two changes decided on one version cannot both commit.
    pub version: u64,
    /// When the browser was first seen.
    pub created_at: Timestamp,
    /// Grows strictly with every change that the browser can see.
    pub updated_at: Timestamp,
    /// When the set of signed-in sessions last changed, on the wall clock: feeds
    /// `__client_uat` (D15).
    pub signed_in_set_changed_at: Timestamp,
    /// The secret that the cookie carries now.
    pub secret: SecretHash,
    /// The secret before it.
    pub predecessor: Option<Predecessor>,
    /// The session that a page load gets when it names none.
    pub last_active_session_id: Option<SessionId>,
    /// How the newest sign-in proved itself.
    pub last_authentication_strategy: Option<String>,
    /// The unfinished attempt to sign in.
    pub sign_in_id: Option<SignInId>,
    /// The unfinished attempt to sign up.
    pub sign_up_id: Option<SignUpId>,
    /// The application origin this browser last called from.
    pub last_origin: Option<String>,
}

/// A client secret that was rotated away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Its hash.
    pub secret: SecretHash,
    /// Sessions created at this moment or later are not its business.
    pub rotated_at: Timestamp,
    /// Good until this moment: [`GRACE`] after the rotation, or when the new
    /// secret was first seen.
    pub good_until: Timestamp,
}

/// How long a rotated secret may still read and refresh, at most: answers that
/// were on their way when it rotated (D10).
pub const GRACE: Duration = Duration::from_secs(30);

/// Whose secret a request presents in its client cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The browser itself. `confirms_rotation`: the new secret is seen for the
    /// first time, so the predecessor has to be retired.
    Current {
        /// Whether [`Client::retire_predecessor`] is due.
        confirms_rotation: bool,
    },
    /// A request that left before the rotation: may read and refresh the
    /// sessions admitted before it, and nothing else. Never answer it with
    /// `Set-Cookie`, which would overwrite the new cookie.
    Predecessor {
        /// Sessions created at or after this moment are hidden from it.
        admitted_before: Timestamp,
    },
    /// A secret that was rotated away while answers to it may still be on their
    /// way: it authenticates nothing and is never answered with `Set-Cookie`.
    Superseded,
    /// A predecessor whose time is over: who still has it never got the answer
    /// that rotated it, and begins anew.
    Retired,
    /// Anybody.
    Stranger,
}

impl Client {
    /// A browser that was not seen before.
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

    /// Whose secret `secret` is at `now`.
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
            // Also for a secret of two rotations ago, whose hash is gone.
            Identity::Superseded
        } else if is_predecessor {
            Identity::Retired
        } else {
            Identity::Stranger
        }
    }

    /// The new secret was seen: the old one is good for nothing any more.
    pub fn retire_predecessor(&mut self, now: Timestamp) {
        if let Some(old) = &mut self.predecessor {
            old.good_until = old.good_until.min(now);
        }
    }

    /// Replaces the secret, keeping the old one for the requests under way (SES-01).
    fn rotate(&mut self, now: Timestamp, secret: SecretHash) {
        self.predecessor =
            Some(Predecessor { secret: self.secret, rotated_at: now, good_until: now + GRACE });
        self.secret = secret;
    }

    /// Notes a change that the browser can see.
    pub fn changed(&mut self, now: Timestamp) {
        self.updated_at = after(self.updated_at, now);
    }
}

/// A client with its sessions that are not stored as closed, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientWithSessions {
    /// The browser.
    pub client: Client,
    /// Its sessions; some may turn out to be over.
    pub sessions: Vec<Session>,
}

/// A browser after a decision, and what has to be written of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientStep {
    /// The client and the sessions that are still open.
    pub browser: ClientWithSessions,
    /// The session that was admitted, touched or ended by request.
    pub subject: Option<Session>,
    /// A session that did not exist before.
    pub admitted: Option<SessionId>,
    /// The session whose last activity moved: to be noted once the step is durable.
    pub seen: Option<SessionId>,
    /// Sessions that this step closed.
    pub closed: Vec<Session>,
    /// Whether the client row changed.
    pub client_changed: bool,
    /// For the outbox.
    pub events: Vec<Event>,
}

/// A session to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The id of the session to be.
    pub session_id: SessionId,
    /// The account.
    pub user_id: UserId,
    /// The browser, as it describes itself.
    pub device: Device,
    /// Set for an impersonation session.
    pub impersonation: Option<Impersonation>,
    /// How the account proved itself: `password`, `email_code`, `ticket` …
    pub strategy: String,
    /// The secret that the cookie carries from now on.
    pub secret: SecretHash,
}

/// Why a second session is not admitted (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInRefused {
    /// Single-session mode, and the client has an open session.
    SessionExists,
    /// This account is signed in here already.
    AlreadySignedIn(SessionId),
    /// The browser holds [`MAX_SESSIONS`] accounts.
    TooManySessions,
}

/// Accounts that one browser may hold at once (SES-15).
pub const MAX_SESSIONS: usize = 20;

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOutScope {
    /// One of them.
    One(SessionId),
    /// All of them (S9: `signOut()`).
    All,
    /// The sessions of one user: a ban, a deletion.
    User(UserId),
}

/// Closes the sessions that are over at `now`; the others remain.
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
            Verdict::Closed(_) => {}
        }
    }
    step.reselect();
    step
}

/// Lets an account in and rotates the secret (S8, SES-01).
///
/// # Errors
/// [`SignInRefused`] says why not; `close_overdue` still has to be committed then.
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

/// Makes `session_id` the active one and counts as its activity (S8, S3).
///
/// # Errors
/// [`SessionNotOpen`] when the browser holds no such open session.
pub fn switch(
    at: Moment,
    policy: &Policy,
    browser: &ClientWithSessions,
    session_id: SessionId,
) -> Result<ClientStep, SessionNotOpen> {
    let mut step = refresh(at, policy, browser, session_id, ActivitySource::Touch)?;
    // Touching the session that is active already writes nothing of the client:
    // frequent touches must not make a sign-out fail with conflicts.
    if step.browser.client.last_active_session_id != Some(session_id) {
        step.browser.client.last_active_session_id = Some(session_id);
        step.browser.client.changed(at.now);
        step.client_changed = true;
    }
    Ok(step)
}

/// Counts as activity of one session, if `source` does by the settings, without
/// making it the active one (S3).
///
/// # Errors
/// [`SessionNotOpen`] when the browser holds no such open session.
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

/// Ends one session, one user's or all, and rotates the secret when the
/// browser itself asked (SES-02). A session that is over already stays as it
/// ended; ending nothing is no error.
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
        // `close_overdue` left open sessions only.
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

/// No open session of that id in this browser. The step holds the ends that
/// were found on the way and have to be committed before the refusal is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionNotOpen(pub Box<ClientStep>);

impl ClientWithSessions {
    /// The session that a request gets which names none: the last active one,
    /// else the most recently active. Call it after [`close_overdue`].
    pub fn active_session(&self) -> Option<&Session> {
        let last = self.client.last_active_session_id;
        self.sessions.iter().find(|session| Some(session.id) == last).or_else(|| self.most_recent())
    }

    fn most_recent(&self) -> Option<&Session> {
        self.sessions.iter().max_by_key(|session| (session.last_active_at, session.id))
    }

    /// The value of `__client_uat`: seconds of the last change while a session is
    /// open, else 0. Call it after [`close_overdue`].
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

    /// Where the last active session is over, the most recently active one is next.
    fn reselect(&mut self) {
        let last = self.browser.client.last_active_session_id;
        if last.is_some() && self.closed.iter().any(|closed| Some(closed.id) == last) {
            self.browser.client.last_active_session_id = self.browser.most_recent().map(|session| session.id);
        }
    }

    fn set_changed(&mut self, at: Moment) {
        let client = &mut self.browser.client;
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
