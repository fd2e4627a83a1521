//! Every history of one client on a tiny clock, up to a certain length: sign-ins of two users and
//! of an actor, switches, sign-outs, a revocation, settings that change and change back, retention,
//! and time. After each step the test checks the invariants and compares every end with the
//! reference model.

use std::time::Duration;

use sojourn_core::{
    activity::Activity,
    client::{
        Client, ClientWithSessions, Identity, NewSession, SecretHash, SignInRefused, SignOutScope, admit,
        close_overdue, sign_out, switch,
    },
    id::{ClientId, SessionId, UserId},
    impersonation::{INACTIVITY, Impersonation},
    lifetime::Lifetime,
    policy::{Policy, PolicyVersion},
    session::{Closing, Device, EndReason, EndedBy, Ending, Session, decide},
    testing::{
        SeededRng,
        oracle::{End, Limits, ReferenceSession, millis},
    },
    time::{Moment, Timestamp},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    SignIn(usize),
    /// An impersonation of the first user.
    SignInActing,
    SwitchTo(usize),
    SignOut(usize),
    SignOutAll,
    /// A revocation by the application's backend.
    Revoke(usize),
    /// Stricter limits.
    Tighten,
    /// Looser limits.
    Loosen,
    /// Stricter limits and back, in one millisecond.
    Jump,
    /// Switches multi-session mode on or off.
    ToggleMulti,
    /// Ends all sessions.
    EndAll,
    /// Deletes sessions whose retention is over.
    Purge,
    Wait(i64),
}

const STEPS: [Step; 15] = [
    Step::SignIn(0),
    Step::SignIn(1),
    Step::SignInActing,
    Step::SwitchTo(0),
    Step::SignOut(0),
    Step::SignOutAll,
    Step::Revoke(1),
    Step::Tighten,
    Step::Loosen,
    Step::Jump,
    Step::ToggleMulti,
    Step::EndAll,
    Step::Purge,
    Step::Wait(1),
    Step::Wait(3),
];

#[derive(Clone)]
struct World {
    now: Timestamp,
    policy: Policy,
    browser: ClientWithSessions,
    users: [UserId; 2],
    /// Every session that existed, in the reference model, and whether its end was recorded.
    lives: Vec<(SessionId, ReferenceSession, bool)>,
    ended: Vec<(SessionId, Closing)>,
    purged: Vec<SessionId>,
    secrets: Vec<SecretHash>,
    rng: SeededRng,
    steps: Vec<Step>,
}

fn lifetime(inactivity: u64, maximum: u64) -> Lifetime {
    Lifetime::Both { inactivity: Duration::from_millis(inactivity), maximum: Duration::from_millis(maximum) }
}

/// Retention of ended sessions.
const KEPT: Duration = Duration::from_millis(2);
/// Maximum lifetime of an impersonation session.
const ACTS_FOR: Duration = Duration::from_millis(3);

impl World {
    fn new() -> Self {
        let (now, mut rng) = (Timestamp::from_millis(1000), SeededRng::new(9));
        let first = PolicyVersion {
            version: 1,
            in_force_from: now,
            lifetime: lifetime(4, 8),
            multi_session: true,
            activity: Activity::default(),
            ends_all: false,
        };
        let secret = SecretHash([0; 32]);
        Self {
            now,
            policy: Policy::new(first),
            browser: ClientWithSessions {
                client: Client::new(ClientId::generate(now, &mut rng), secret, Moment::real(now)),
                sessions: Vec::new(),
            },
            users: [UserId::generate(now, &mut rng), UserId::generate(now, &mut rng)],
            lives: Vec::new(),
            ended: Vec::new(),
            purged: Vec::new(),
            secrets: vec![secret],
            rng,
            steps: Vec::new(),
        }
    }

    fn open_of(&self, user: usize) -> Option<SessionId> {
        let settled = close_overdue(Moment::real(self.now), &self.policy, &self.browser);
        settled.browser.sessions.iter().find(|one| one.user_id == self.users[user]).map(|one| one.id)
    }

    fn set(&mut self, lifetime: Lifetime, multi_session: bool) {
        self.put(lifetime, multi_session, false);
    }

    fn put(&mut self, lifetime: Lifetime, multi_session: bool, ends_all: bool) {
        let version = self.policy.current().version + 1;
        let next = PolicyVersion {
            version,
            in_force_from: self.now,
            lifetime,
            multi_session,
            activity: Activity::default(),
            ends_all,
        };
        self.policy = self.policy.clone().then(next);
        for (_, life, _) in self.lives.iter_mut().filter(|(_, _, is_recorded)| !is_recorded) {
            life.change(Limits::from(&next));
        }
    }

    fn newcomer(&mut self, user: usize, acts: bool, secret: SecretHash) -> NewSession {
        let impersonation = acts.then(|| Impersonation { actor: serde_json::Map::new(), maximum: ACTS_FOR });
        NewSession {
            session_id: SessionId::generate(self.now, &mut self.rng),
            user_id: self.users[user],
            device: Device::default(),
            impersonation,
            strategy: "password".to_owned(),
            secret,
        }
    }

    fn life(&mut self, id: SessionId) -> &mut ReferenceSession {
        let found = self.lives.iter_mut().find(|(other, _, _)| *other == id);
        &mut found.expect("it was admitted").1
    }

    /// Ends the session in the reference model too.
    fn ends(&mut self, id: SessionId, status: &'static str, reason: &'static str, by: &'static str) {
        let (now, version) = (self.now.as_millis(), self.policy.current().version);
        assert!(self.life(id).end(now, status, reason, by, version), "{self:?}");
    }

    fn take(&mut self, step: Step) {
        self.steps.push(step);
        let current = *self.policy.current();
        let before = self.browser.clone();
        let secret = SecretHash([u8::try_from(self.steps.len()).expect("few steps"); 32]);
        let at = Moment::real(self.now);
        let result = match step {
            Step::Wait(millis) => {
                self.now = self.now + Duration::from_millis(millis.unsigned_abs());
                return;
            }
            Step::Tighten => return self.set(lifetime(2, 5), current.multi_session),
            Step::Loosen => return self.set(lifetime(6, 12), current.multi_session),
            Step::Jump => {
                self.set(lifetime(2, 5), current.multi_session);
                return self.set(current.lifetime, current.multi_session);
            }
            Step::EndAll => return self.put(current.lifetime, current.multi_session, true),
            Step::ToggleMulti => return self.set(current.lifetime, !current.multi_session),
            Step::Purge => {
                let before = Timestamp::from_millis(self.now.as_millis() - millis(KEPT));
                let gone = self.ended.iter().filter(|(_, closing)| closing.at <= before).map(|(id, _)| *id);
                self.purged.extend(gone);
                self.ended.retain(|(_, closing)| closing.at > before);
                return;
            }
            Step::SignIn(_) | Step::SignInActing => {
                let (user, acts) = match step {
                    Step::SignIn(user) => (user, false),
                    _ => (0, true),
                };
                let (held, open) = (self.open_of(user), before_open(&before, self));
                let newcomer = self.newcomer(user, acts, secret);
                let id = newcomer.session_id;
                match admit(at, &self.policy, &self.browser, newcomer) {
                    Ok(step) => {
                        self.secrets.push(secret);
                        assert!(current.multi_session || open.is_empty(), "I3: {self:?}");
                        let life = match acts {
                            false => ReferenceSession::begin(self.now.as_millis(), Limits::from(&current)),
                            true => {
                                let (now, settings) = (self.now.as_millis(), Limits::from(&current));
                                ReferenceSession::begin_impersonation(
                                    now,
                                    millis(INACTIVITY),
                                    millis(ACTS_FOR),
                                    settings,
                                )
                            }
                        };
                        self.lives.push((id, life, false));
                        step
                    }
                    Err(SignInRefused::AlreadySignedIn(id)) => {
                        assert_eq!(Some(id), held, "{self:?}");
                        close_overdue(at, &self.policy, &self.browser)
                    }
                    Err(SignInRefused::SessionExists | SignInRefused::TooManySessions) => {
                        assert!(!open.is_empty(), "{self:?}");
                        close_overdue(at, &self.policy, &self.browser)
                    }
                }
            }
            Step::SwitchTo(user) => match self.open_of(user) {
                Some(id) => {
                    let now = self.now.as_millis();
                    assert!(self.life(id).activity(now), "{self:?}");
                    switch(at, &self.policy, &self.browser, id).expect("it is open")
                }
                None => close_overdue(at, &self.policy, &self.browser),
            },
            Step::SignOut(user) => match self.open_of(user) {
                Some(id) => {
                    self.secrets.push(secret);
                    self.ends(id, "removed", "signed_out", "user");
                    let (one, ending) = (SignOutScope::One(id), Ending::SIGNED_OUT);
                    sign_out(at, &self.policy, &self.browser, one, ending, Some(secret))
                }
                None => close_overdue(at, &self.policy, &self.browser),
            },
            Step::Revoke(user) => match self.open_of(user) {
                Some(id) => {
                    self.ends(id, "revoked", "revoked_by_backend", "backend");
                    let ending = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
                    sign_out(at, &self.policy, &self.browser, SignOutScope::One(id), ending, None)
                }
                None => close_overdue(at, &self.policy, &self.browser),
            },
            Step::SignOutAll => {
                let open = before_open(&before, self);
                if !open.is_empty() {
                    self.secrets.push(secret);
                }
                for id in open {
                    self.ends(id, "removed", "signed_out_everywhere", "user");
                }
                let ending = Ending::SIGNED_OUT_EVERYWHERE;
                sign_out(at, &self.policy, &self.browser, SignOutScope::All, ending, Some(secret))
            }
        };
        assert!(result.browser.client.updated_at >= before.client.updated_at, "{self:?}");
        if result.client_changed {
            assert!(result.browser.client.updated_at > before.client.updated_at, "trap 9: {self:?}");
        }
        for closed in &result.closed {
            self.ended.push((closed.id, closed.closed.expect("closed")));
        }
        self.check_ends(&result.closed);
        self.browser = result.browser;
    }

    /// Every closed session is over in the reference model, with the same end.
    fn check_ends(&mut self, closed: &[Session]) {
        let now = self.now.as_millis();
        for index in 0..self.lives.len() {
            let (id, life, is_recorded) = &mut self.lives[index];
            life.pass(now);
            let (id, over, was_recorded) = (*id, life.over(), *is_recorded);
            *is_recorded |= over.is_some();
            let found = closed.iter().find(|session| session.id == id);
            assert_eq!(found.is_some(), over.is_some() && !was_recorded, "{id} {over:?} {self:?}");
            if let (Some(session), Some(mut over)) = (found, over) {
                let closing = session.closed.expect("closed");
                if session.impersonation.is_some() {
                    over.version = closing.settings_version;
                }
                assert_eq!(End::from(closing), over, "{self:?}");
            }
        }
    }

    fn check(&self) {
        let settled = close_overdue(Moment::real(self.now), &self.policy, &self.browser);
        // I1: an ended session never opens again, and ends once.
        for (id, _) in &self.ended {
            assert!(!self.browser.sessions.iter().any(|session| session.id == *id), "{self:?}");
            assert_eq!(self.ended.iter().filter(|(other, _)| other == id).count(), 1, "{self:?}");
        }
        for id in &self.purged {
            assert!(!self.browser.sessions.iter().any(|session| session.id == *id), "{self:?}");
        }
        // The same sessions are open in the core and in the reference model.
        let open = self.lives.iter().filter(|(_, life, _)| {
            let mut life = life.clone();
            life.pass(self.now.as_millis());
            life.over().is_none()
        });
        let mut open: Vec<SessionId> = open.map(|(id, _, _)| *id).collect();
        let mut found: Vec<SessionId> = settled.browser.sessions.iter().map(|session| session.id).collect();
        open.sort();
        found.sort();
        assert_eq!(open, found, "{self:?}");
        // Each account is signed in once.
        let mut users: Vec<_> = settled.browser.sessions.iter().map(|session| session.user_id).collect();
        users.sort();
        users.dedup();
        assert_eq!(users.len(), settled.browser.sessions.len(), "{self:?}");
        for session in &settled.browser.sessions {
            assert!(decide(self.now, &self.policy, session).is_open(), "{self:?}");
        }
        // The active session is open, and there is one if any session is open.
        let active = settled.browser.active_session().map(|session| session.id);
        assert_eq!(active.is_some(), !settled.browser.sessions.is_empty(), "{self:?}");
        assert_eq!(settled.browser.client_uat() > 0, active.is_some(), "{self:?}");
        // I5: of all client secrets the newest is current, the one before it is a predecessor
        // within its grace, and no other authenticates anything.
        let client = &self.browser.client;
        for (age, secret) in self.secrets.iter().rev().enumerate() {
            let identity = client.identify(self.now, secret);
            match age {
                0 => assert!(matches!(identity, Identity::Current { .. }), "{self:?}"),
                1 => assert!(
                    matches!(
                        identity,
                        Identity::Predecessor { .. } | Identity::Superseded | Identity::Retired
                    ),
                    "{self:?}"
                ),
                _ => assert!(matches!(identity, Identity::Superseded | Identity::Stranger), "{self:?}"),
            }
        }
    }
}

fn before_open(before: &ClientWithSessions, world: &World) -> Vec<SessionId> {
    close_overdue(Moment::real(world.now), &world.policy, before)
        .browser
        .sessions
        .iter()
        .map(|session| session.id)
        .collect()
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after {:?} at {:?}", self.steps, self.now)
    }
}

fn explore(world: &World, depth: usize, visited: &mut u64) {
    for step in STEPS {
        let mut next = world.clone();
        next.take(step);
        next.check();
        *visited += 1;
        if depth > 1 {
            explore(&next, depth - 1, visited);
        }
    }
}

#[test]
fn no_history_of_six_steps_breaks_a_promise() {
    let mut visited = 0;
    explore(&World::new(), if cfg!(debug_assertions) { 5 } else { 6 }, &mut visited);
    assert!(visited > 100_000, "only {visited} states were looked at");
}
