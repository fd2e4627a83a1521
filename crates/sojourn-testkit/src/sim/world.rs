//! A simulated world: the nodes, their rows, the browsers, and time.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use sojourn_core::{
    activity::Activity,
    id::{ClientId, InstanceId, Randomness as _, SessionId, SignInTokenId, TicketId, UserId},
    session::Session,
    settings::{SessionSettings, SessionSettingsDocument, Settings},
    testing::SeededRng,
    time::{Moment, Timestamp, minutes},
    user::User,
};
use sojourn_store::{
    ChangeSet, Engine as _, Environment, Instance, SessionFilter, StoredStatus, Ticket, TicketStatus, Write,
};

use super::{
    Coverage, Mutation, Violation,
    handlers::Cookie,
    node::Node,
    reference_state::{ReferenceState, predicted_end},
    request::UnderWay,
    step::{Choice, Step, Story},
};
use crate::{START, memory::MemoryEngine};

const USERS: u64 = 4;
pub(super) const BROWSERS: usize = 4;

/// The answer of something that never waits.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the store in memory never waits"),
    }
}

/// What a browser keeps.
#[derive(Debug, Default)]
pub struct Profile {
    pub cookie: Option<Cookie>,
    /// All that it ever had.
    pub before: Vec<Cookie>,
    pub nonces: Vec<[u8; 32]>,
}

/// All there is.
#[derive(Debug)]
pub struct World {
    pub mutation: Option<Mutation>,
    pub instance: InstanceId,
    pub rng: SeededRng,
    pub nodes: Vec<Node>,
    pub reference: ReferenceState,
    pub coverage: Coverage,
    /// The rows themselves, without anybody's memory.
    pub rows: Arc<MemoryEngine>,
    /// Sessions that a planted bug opened again.
    pub revived: BTreeSet<SessionId>,
    /// The ticket of the sign-in under decision.
    pub planned_ticket: Option<TicketId>,
    /// Milliseconds, on a clock that is never wrong.
    pub real: i64,
    /// Counts the runs of all nodes.
    pub runs: u64,
    users: Vec<UserId>,
    pub profiles: Vec<Profile>,
    tickets: Vec<TicketId>,
    pub under_way: Vec<UnderWay>,
    /// What happened, for people.
    pub story: Vec<String>,
    /// Sessions whose rows were looked at after they were over.
    over: BTreeMap<SessionId, Session>,
}

impl World {
    /// The world in which a story begins.
    pub fn new(story: &Story, mutation: Option<Mutation>) -> Self {
        let mut rng = SeededRng::new(story.seed);
        let instance = InstanceId::generate(START, &mut rng);
        let rows = Arc::new(MemoryEngine::default());
        let mut settings = Settings::initial(START);
        settings.session = session_settings(&settings, story.limits, Some(story.multi_session));
        let (at, host) = (Moment::real(START), "clerk.example.com".to_owned());
        let row = Instance { id: instance, environment: Environment::Development, host, created_at: START };
        let mut set = ChangeSet::new(instance, at, &mut rng)
            .write(Write::InsertInstance(row))
            .write(Write::Settings(settings.clone()));
        let mut users = Vec::new();
        for _ in 0..USERS {
            let user = User::new(UserId::generate(START, &mut rng), START);
            users.push(user.id);
            set = set.write(Write::User(user));
        }
        ready(rows.commit(set)).expect("an empty store takes an instance");
        let mut reference = ReferenceState { is_exact: story.nodes == 1, ..ReferenceState::default() };
        reference.change(&settings);
        let profiles = (0..BROWSERS).map(|_| Profile::default()).collect();
        let mut world = Self {
            mutation,
            instance,
            rng,
            nodes: Vec::new(),
            reference,
            coverage: Coverage::default(),
            rows,
            revived: BTreeSet::new(),
            planned_ticket: None,
            real: START.as_millis() + 1,
            runs: 0,
            users,
            profiles,
            tickets: Vec::new(),
            under_way: Vec::new(),
            story: Vec::new(),
            over: BTreeMap::new(),
        };
        for _ in 0..story.nodes {
            let node = world.started(0);
            world.nodes.push(node);
        }
        world
    }

    /// Lets the story happen.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn run(&mut self, story: &Story) -> Result<Coverage, Violation> {
        let mut all = || {
            for step in &story.steps {
                self.take(*step)?;
                self.check_rows()?;
            }
            self.check_events()?;
            Ok(self.coverage)
        };
        all()
            .map_err(|violation: Violation| Violation { story: std::mem::take(&mut self.story), ..violation })
    }

    fn take(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Wait { millis } => self.wait(millis),
            Step::WaitFor { session, off } => self.wait_for(session, off),
            Step::Asked { node, browser, ask, way } => self.ask(node, browser, ask, way),
            Step::Go { request } => match self.under_way.len() {
                0 => Ok(()),
                many => self.go(request % many, true),
            },
            Step::Settings { node, choice, audit } => self.settings(node, choice, audit),
            Step::Clock { node, turn } => self.turn_clock(node, turn),
            Step::Crash { node } => {
                let node = node % self.nodes.len();
                self.tell(&format!("node {node} crashes"));
                self.reference.crash(self.nodes[node].run, self.real);
                self.start_again(node);
                Ok(())
            }
            Step::Restart { node } => {
                let node = node % self.nodes.len();
                self.tell(&format!("node {node} is started again"));
                self.write_held(node);
                let Node { engine, latest, run, .. } = &self.nodes[node];
                ready(engine.flush_activity()).map_err(unexpected)?;
                ready(engine.raise_high_water(Timestamp::from_millis(*latest))).map_err(unexpected)?;
                self.reference.flushed(*run);
                self.start_again(node);
                Ok(())
            }
            Step::Skew { node, millis } => {
                let node = node % self.nodes.len();
                self.tell(&format!("node {node}'s clock is wrong by {millis} ms"));
                self.nodes[node].skew = millis;
                Ok(())
            }
            Step::HoldActivity { node } => {
                let node = node % self.nodes.len();
                let batch = self.nodes[node].engine.take_activity(false);
                if !batch.is_empty() {
                    self.tell(&format!("node {node}'s activity is held up"));
                    self.reference.stall(self.nodes[node].run, self.real, true);
                    self.nodes[node].held.push(batch);
                }
                Ok(())
            }
            Step::WriteHeld { node } => {
                let node = node % self.nodes.len();
                self.write_held(node);
                Ok(())
            }
            Step::LoseCookies { browser } => {
                let browser = browser % BROWSERS;
                self.tell(&format!("browser {browser} loses its cookies"));
                self.profiles[browser].cookie = None;
                Ok(())
            }
            Step::OldCookie { browser, age } => {
                let browser = browser % BROWSERS;
                let profile = &mut self.profiles[browser];
                if let Some(cookie) = profile.before.iter().rev().nth(age).copied() {
                    profile.cookie = Some(cookie);
                    self.tell(&format!("browser {browser} has a cookie of {age} ago again"));
                }
                Ok(())
            }
            Step::Ticket { user } => self.make_ticket(user),
        }
    }

    /// A line for people.
    pub(super) fn tell(&mut self, line: &str) {
        let real = self.real - START.as_millis();
        self.story.push(format!("{:>9}.{:03} s  {line}", real / 1000, real % 1000));
    }

    fn wait_for(&mut self, session: usize, off: i64) -> Result<(), Violation> {
        let filter =
            SessionFilter { stored: Some(StoredStatus::Open), limit: u32::MAX, ..SessionFilter::default() };
        let (open, _) = ready(self.rows.sessions(self.instance, filter)).map_err(unexpected)?;
        let Some(session) = open.get(session % open.len().max(1)) else { return Ok(()) };
        let due = predicted_end(&self.reference.settings, session).at + off;
        let millis = due - self.moment(0).now.as_millis();
        if millis > 0 && self.nodes[0].test.frozen_at.is_none() {
            self.tell(&format!("until {off} ms after the end of {}", session.id));
            self.wait(millis)?;
        }
        Ok(())
    }

    fn make_ticket(&mut self, user: usize) -> Result<(), Violation> {
        let (user_id, at) = (self.user(user), self.moment(0));
        let id = SignInTokenId::generate(at.now, &mut self.rng).into();
        let ticket = Ticket {
            id,
            hash: self.rng.array(),
            user_id,
            status: TicketStatus::Pending,
            created_at: at.now,
            updated_at: at.now,
            expires_at: at.now + minutes(30),
            impersonation: None,
        };
        let set = ChangeSet::new(self.instance, at, &mut self.rng).write(Write::InsertTicket(ticket));
        self.tickets.push(id);
        self.tell(&format!("a ticket for user {}", user % self.users.len()));
        ready(self.nodes[0].engine.commit(set)).map_err(unexpected)
    }

    pub(super) fn user(&self, index: usize) -> UserId {
        self.users[index % self.users.len()]
    }

    pub(super) fn ticket(&self, index: usize) -> Option<TicketId> {
        self.tickets.get(index % self.tickets.len().max(1)).copied()
    }

    pub(super) fn nonce(&self, index: usize) -> Option<[u8; 32]> {
        let nonces: Vec<_> = self.profiles.iter().flat_map(|profile| &profile.nonces).collect();
        nonces.get(index % nonces.len().max(1)).copied().copied()
    }

    /// A session that ever was, in the order of their ids.
    pub(super) fn session(&self, index: usize) -> Option<SessionId> {
        self.reference.sessions.keys().nth(index % self.reference.sessions.len().max(1)).copied()
    }

    /// A session that this browser ever had.
    pub(super) fn session_of(&self, client: ClientId, index: usize) -> Option<SessionId> {
        let of_this = self.reference.sessions.iter().filter(|(_, known)| known.client == client);
        let ids: Vec<SessionId> = of_this.map(|(id, _)| *id).collect();
        // The newest ones are the ones that tabs ask for.
        ids.iter().rev().nth(index % ids.len().clamp(1, 3)).copied()
    }

    /// Keeps the row of a session that is over, and compares it with the one kept before.
    pub(super) fn stays_as_it_ended(&mut self, session: &Session) -> bool {
        let before = self.over.entry(session.id).or_insert_with(|| session.clone());
        before == session
    }
}

/// Session settings after a choice.
pub fn session_settings(settings: &Settings, choice: Choice, multi_session: Option<bool>) -> SessionSettings {
    let mut document = SessionSettingsDocument::from(settings.session);
    document.inactivity_timeout.enabled = choice.idle.is_some();
    document.inactivity_timeout.duration_seconds = choice.idle.unwrap_or(1800);
    document.maximum_lifetime.enabled = choice.longest.is_some();
    document.maximum_lifetime.duration_seconds = choice.longest.unwrap_or(604_800);
    document.multi_session_enabled = multi_session.unwrap_or(document.multi_session_enabled);
    document.activity = match choice.visible {
        true => Activity::Visible,
        false => Activity::Token,
    };
    document.try_into().expect("one limit is on")
}

/// The store in memory fails nowhere.
pub fn unexpected(error: impl std::fmt::Display) -> Violation {
    Violation { promise: "the store answers", what: error.to_string(), story: Vec::new() }
}
