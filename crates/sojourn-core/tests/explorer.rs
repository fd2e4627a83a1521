//! Every history of one browser over a tiny clock, up to a length: sign-ins of
//! two accounts, switches, sign-outs, changed settings, passing time. What must
//! never happen is looked for after each step of each history.

use std::time::Duration;

use sojourn_core::{
    activity::Activity,
    client::{
        Browser, Client, Identity, Leaving, Newcomer, SecretHash, Turned, admit, leave, settle, switch,
    },
    id::{ClientId, SessionId, UserId},
    lifetime::Lifetime,
    policy::{Policy, PolicyVersion},
    session::{Closing, Device, Ending, decide},
    testing::Dice,
    time::{Moment, Timestamp},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    SignIn(usize),
    SwitchTo(usize),
    SignOut(usize),
    SignOutAll,
    /// Stricter limits.
    Tighten,
    /// Looser limits.
    Loosen,
    /// Several accounts on or off.
    ToggleMulti,
    Wait(i64),
}

const STEPS: [Step; 11] = [
    Step::SignIn(0),
    Step::SignIn(1),
    Step::SwitchTo(0),
    Step::SwitchTo(1),
    Step::SignOut(0),
    Step::SignOutAll,
    Step::Tighten,
    Step::Loosen,
    Step::ToggleMulti,
    Step::Wait(1),
    Step::Wait(3),
];

#[derive(Clone)]
struct World {
    now: Timestamp,
    policy: Policy,
    browser: Browser,
    users: [UserId; 2],
    ended: Vec<(SessionId, Closing)>,
    secrets: Vec<SecretHash>,
    dice: Dice,
    steps: Vec<Step>,
}

fn lifetime(inactivity: u64, maximum: u64) -> Lifetime {
    Lifetime::Both { inactivity: Duration::from_millis(inactivity), maximum: Duration::from_millis(maximum) }
}

impl World {
    fn new() -> Self {
        let (now, mut dice) = (Timestamp::from_millis(1000), Dice::new(9));
        let first = PolicyVersion {
            version: 1,
            in_force_from: now,
            lifetime: lifetime(4, 8),
            multi_session: true,
            activity: Activity::default(),
        };
        let secret = SecretHash([0; 32]);
        Self {
            now,
            policy: Policy::new(first),
            browser: Browser {
                client: Client::new(ClientId::generate(now, &mut dice), secret, Moment::real(now)),
                sessions: Vec::new(),
            },
            users: [UserId::generate(now, &mut dice), UserId::generate(now, &mut dice)],
            ended: Vec::new(),
            secrets: vec![secret],
            dice,
            steps: Vec::new(),
        }
    }

    fn open_of(&self, user: usize) -> Option<SessionId> {
        let settled = settle(Moment::real(self.now), &self.policy, &self.browser);
        settled.browser.sessions.iter().find(|one| one.user_id == self.users[user]).map(|one| one.id)
    }

    fn set(&mut self, lifetime: Lifetime, multi_session: bool) {
        let version = self.policy.current().version + 1;
        let next = PolicyVersion {
            version,
            in_force_from: self.now,
            lifetime,
            multi_session,
            activity: Activity::default(),
        };
        self.policy = self.policy.clone().then(next);
    }

    fn take(&mut self, step: Step) {
        self.steps.push(step);
        let current = *self.policy.current();
        let before = self.browser.clone();
        let secret = SecretHash([u8::try_from(self.steps.len()).expect("few steps"); 32]);
        let result = match step {
            Step::Wait(millis) => {
                self.now = self.now + Duration::from_millis(millis.unsigned_abs());
                return;
            }
            Step::Tighten => return self.set(lifetime(2, 5), current.multi_session),
            Step::Loosen => return self.set(lifetime(6, 12), current.multi_session),
            Step::ToggleMulti => return self.set(current.lifetime, !current.multi_session),
            Step::SignIn(user) => {
                let held = self.open_of(user);
                let newcomer = Newcomer {
                    session_id: SessionId::generate(self.now, &mut self.dice),
                    user_id: self.users[user],
                    device: Device::default(),
                    impersonation: None,
                    strategy: "password".to_owned(),
                    secret,
                };
                match admit(Moment::real(self.now), &self.policy, &self.browser, newcomer) {
                    Ok(step) => {
                        self.secrets.push(secret);
                        assert!(
                            current.multi_session || before_open(&before, self).is_empty(),
                            "I3: {self:?}"
                        );
                        step
                    }
                    Err(Turned::AlreadySignedIn(id)) => {
                        assert_eq!(Some(id), held, "{self:?}");
                        settle(Moment::real(self.now), &self.policy, &self.browser)
                    }
                    Err(Turned::SessionExists | Turned::TooManySessions) => {
                        assert!(!before_open(&before, self).is_empty(), "{self:?}");
                        settle(Moment::real(self.now), &self.policy, &self.browser)
                    }
                }
            }
            Step::SwitchTo(user) => match self.open_of(user) {
                Some(id) => {
                    switch(Moment::real(self.now), &self.policy, &self.browser, id).expect("it is open")
                }
                None => settle(Moment::real(self.now), &self.policy, &self.browser),
            },
            Step::SignOut(user) => match self.open_of(user) {
                Some(id) => {
                    self.secrets.push(secret);
                    leave(
                        Moment::real(self.now),
                        &self.policy,
                        &self.browser,
                        Leaving::One(id),
                        Ending::SIGNED_OUT,
                        Some(secret),
                    )
                }
                None => settle(Moment::real(self.now), &self.policy, &self.browser),
            },
            Step::SignOutAll => {
                if !before_open(&before, self).is_empty() {
                    self.secrets.push(secret);
                }
                leave(
                    Moment::real(self.now),
                    &self.policy,
                    &self.browser,
                    Leaving::All,
                    Ending::SIGNED_OUT_EVERYWHERE,
                    Some(secret),
                )
            }
        };
        assert!(result.browser.client.updated_at >= before.client.updated_at, "{self:?}");
        if result.client_changed {
            assert!(result.browser.client.updated_at > before.client.updated_at, "trap 9: {self:?}");
        }
        for closed in &result.closed {
            self.ended.push((closed.id, closed.closed.expect("closed")));
        }
        self.browser = result.browser;
    }

    fn check(&self) {
        let settled = settle(Moment::real(self.now), &self.policy, &self.browser);
        // I1: what ended never comes back, and ends once.
        for (id, _) in &self.ended {
            assert!(!self.browser.sessions.iter().any(|session| session.id == *id), "{self:?}");
            assert_eq!(self.ended.iter().filter(|(other, _)| other == id).count(), 1, "{self:?}");
        }
        // One account once.
        let mut users: Vec<_> = settled.browser.sessions.iter().map(|session| session.user_id).collect();
        users.sort();
        users.dedup();
        assert_eq!(users.len(), settled.browser.sessions.len(), "{self:?}");
        for session in &settled.browser.sessions {
            assert!(decide(self.now, &self.policy, session).is_open(), "{self:?}");
        }
        // The chosen session is one of the open ones, and there is one whenever any is open.
        let active = settled.browser.active_session().map(|session| session.id);
        assert_eq!(active.is_some(), !settled.browser.sessions.is_empty(), "{self:?}");
        assert_eq!(settled.browser.client_uat() > 0, active.is_some(), "{self:?}");
        // I5: of all secrets ever given out, the newest is the browser's, the one
        // before it may finish what it began, and no other is anybody's.
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

fn before_open(before: &Browser, world: &World) -> Vec<SessionId> {
    settle(Moment::real(world.now), &world.policy, before)
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
