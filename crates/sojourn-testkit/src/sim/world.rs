//! A simulated world: the nodes, their rows, the browsers, and time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::pin,
    sync::{Arc, Mutex, atomic::AtomicI64},
    task::{Context, Poll, Waker},
};

use sojourn_core::{
    activity::Activity,
    id::{ClientId, InstanceId, SessionId, UserId},
    policy::Policy,
    session::Session,
    settings::{SessionSettings, SessionSettingsDocument, Settings},
    testing::SeededRng,
    time::Moment,
    user::User,
};
use sojourn_service::browser::Credential;
use sojourn_store::{ChangeSet, Engine as _, Environment, Instance, SessionFilter, StoredStatus, Write};
use url::Url;

use super::{
    Coverage, Mutation, Violation,
    node::Node,
    reference_state::{ReferenceState, predicted_end},
    request::{Request, UnderWay},
    step::{Ask, Choice, Step, Story},
    use_cases::{Meant, new_ticket},
};
use crate::{START, memory::MemoryEngine, seed};

const USERS: u64 = 4;
pub(super) const BROWSERS: usize = 4;

/// The answer of something that nobody comes between.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    unreachable!("the store in memory answers")
}

/// What a browser keeps.
#[derive(Debug, Default)]
pub struct Profile {
    pub cookie: Option<Credential>,
    /// All that it ever had.
    pub before: Vec<Credential>,
    pub nonces: Vec<String>,
    /// The sign-in whose answer never arrived.
    pub lost: Option<Lost>,
}

/// A sign-in whose answer never arrived.
#[derive(Clone, Debug)]
pub struct Lost {
    pub ticket: String,
    pub user: UserId,
    /// The commit by which the ticket was used for the first time.
    pub spent: Option<u64>,
}

/// All there is.
pub struct World {
    pub seed: u64,
    pub mutation: Option<Mutation>,
    pub instance: InstanceId,
    pub base_url: Url,
    pub nodes: Vec<Node>,
    pub reference: ReferenceState,
    pub coverage: Coverage,
    /// The rows themselves, without anybody's memory.
    pub rows: Arc<MemoryEngine>,
    /// The policy that is stored.
    pub policy: Policy,
    pub token_lifetime: u32,
    /// Sessions that a planted bug opened again.
    pub revived: Arc<Mutex<BTreeSet<SessionId>>>,
    /// Milliseconds, on a clock that is never wrong.
    pub time: Arc<AtomicI64>,
    /// Counts the runs of all nodes.
    pub runs: u64,
    users: Vec<UserId>,
    pub profiles: Vec<Profile>,
    tickets: Vec<(String, UserId)>,
    tickets_made: u64,
    pub under_way: Vec<UnderWay>,
    /// What the outbox told of each session: names of events and reasons.
    pub events: BTreeMap<SessionId, Vec<(String, String)>>,
    pub events_read: u64,
    /// Rows were written since they were looked at.
    pub has_written: bool,
    /// What happened, for people, if anybody wants to know.
    pub story: Vec<String>,
    pub is_told: bool,
    /// Sessions whose rows were looked at after they were over.
    over: BTreeMap<SessionId, Session>,
}

impl World {
    /// The world in which a story begins.
    pub fn new(story: &Story, mutation: Option<Mutation>, is_told: bool) -> Result<Self, Violation> {
        let mut rng = SeededRng::new(story.seed);
        let instance = InstanceId::generate(START, &mut rng);
        let rows = Arc::new(MemoryEngine::default());
        let mut settings = Settings::initial(START);
        settings.session = session_settings(&settings, story.limits, Some(story.multi_session));
        let (at, host) = (Moment::real(START), "clerk.example.com".to_owned());
        let row = Instance { id: instance, environment: Environment::Development, host, created_at: START };
        let mut set = ChangeSet::new(instance, at, &mut rng)
            .write(Write::InsertInstance(row))
            .write(Write::InsertSigningKey(seed::parsed_key().0))
            .write(Write::Settings(settings.clone()));
        let mut users = Vec::new();
        for _ in 0..USERS {
            let user = User::new(UserId::generate(START, &mut rng), START);
            users.push(user.id);
            set = set.write(Write::User(user));
        }
        ready(rows.commit(set)).map_err(unexpected)?;
        let mut reference = ReferenceState::default();
        reference.change(&settings);
        let mut world = Self {
            seed: story.seed,
            mutation,
            instance,
            base_url: Url::parse(crate::BASE_URL).map_err(unexpected)?,
            nodes: Vec::new(),
            reference,
            coverage: Coverage::default(),
            rows,
            policy: Policy::new(settings.policy_version()),
            token_lifetime: settings.token.lifetime,
            revived: Arc::default(),
            time: Arc::new(AtomicI64::new(START.as_millis() + 1)),
            runs: 0,
            users,
            profiles: (0..BROWSERS).map(|_| Profile::default()).collect(),
            tickets: Vec::new(),
            tickets_made: 0,
            under_way: Vec::new(),
            events: BTreeMap::new(),
            events_read: 0,
            has_written: false,
            story: Vec::new(),
            is_told,
            over: BTreeMap::new(),
        };
        for _ in 0..story.nodes {
            let node = world.started(0)?;
            world.nodes.push(node);
        }
        Ok(world)
    }

    /// Lets the story happen.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn run(&mut self, story: &Story) -> Result<Coverage, Violation> {
        let mut all = || {
            for step in &story.steps {
                self.take(*step)?;
                if std::mem::take(&mut self.has_written) {
                    self.check_rows()?;
                    self.read_events()?;
                }
            }
            self.check_events()?;
            Ok(self.coverage)
        };
        all()
            .map_err(|violation: Violation| Violation { story: std::mem::take(&mut self.story), ..violation })
    }

    fn take(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Wait { millis } => {
                self.wait(millis);
                Ok(())
            }
            Step::WaitFor { session, off } => self.wait_for(session, off),
            Step::Asked { node, browser, ask, way } => self.ask(node, browser, ask, way),
            Step::Go { request, until } => match self.under_way.len() {
                0 => Ok(()),
                many => self.go(request % many, until),
            },
            Step::Settings { node, choice, audit } => self.settings(node, choice, audit),
            Step::Clock { node, turn } => self.turn_clock(node, turn),
            Step::Crash { node } => {
                let node = node % self.nodes.len();
                self.tell(format_args!("node {node} crashes"));
                self.reference.crash(self.nodes[node].run, self.real());
                self.start_again(node)
            }
            Step::Restart { node } => {
                let node = node % self.nodes.len();
                self.tell(format_args!("node {node} is started again"));
                self.write_held(node);
                let (service, run) = (self.nodes[node].service.clone(), self.nodes[node].run);
                let mut request = Request::of_node(self, node);
                // As `Service::close` does, which first waits for mail with a timer.
                let close = async {
                    service.store().raise_high_water(service.moment().wall).await?;
                    service.store().close().await
                };
                self.finish(&mut request, Box::pin(close))?.map_err(unexpected)?;
                self.reference.flushed(run);
                self.start_again(node)
            }
            Step::Skew { node, millis } => {
                let node = node % self.nodes.len();
                self.tell(format_args!("node {node}'s clock is wrong by {millis} ms"));
                self.nodes[node].skew(millis);
                Ok(())
            }
            Step::HoldActivity { node } => {
                let node = node % self.nodes.len();
                let batch = self.nodes[node].engine.take_activity(false);
                if !batch.is_empty() {
                    self.tell(format_args!("node {node}'s activity is held up"));
                    self.reference.stall(self.nodes[node].run, self.real(), true);
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
                self.tell(format_args!("browser {browser} loses its cookies"));
                self.profiles[browser].cookie = None;
                self.profiles[browser].lost = None;
                Ok(())
            }
            Step::OldCookie { browser, age } => {
                let browser = browser % BROWSERS;
                let profile = &mut self.profiles[browser];
                if let Some(cookie) = profile.before.iter().rev().nth(age).cloned() {
                    profile.cookie = Some(cookie);
                    profile.lost = None;
                    self.tell(format_args!("browser {browser} has a cookie of {age} ago again"));
                }
                Ok(())
            }
            Step::Ticket { user } => {
                let id = self.user(user);
                self.tell(format_args!("a ticket for {id}"));
                let ticket = self.make_ticket(0, id, false)?;
                self.tickets.push((ticket, id));
                Ok(())
            }
        }
    }

    /// A line for people.
    pub(super) fn tell(&mut self, line: fmt::Arguments<'_>) {
        if !self.is_told {
            return;
        }
        let real = self.real() - START.as_millis();
        self.story.push(format!("{:>9}.{:03} s  {line}", real / 1000, real % 1000));
    }

    fn wait_for(&mut self, session: usize, off: i64) -> Result<(), Violation> {
        let filter =
            SessionFilter { stored: Some(StoredStatus::Open), limit: u32::MAX, ..SessionFilter::default() };
        let (open, _) = ready(self.rows.sessions(self.instance, filter)).map_err(unexpected)?;
        let Some(session) = open.get(session % open.len().max(1)) else { return Ok(()) };
        let due = predicted_end(&self.reference.settings, session).at + off;
        let millis = due - self.moment(0).now.as_millis();
        if millis > 0 && self.nodes[0].service.test_clock().frozen_at.is_none() {
            self.tell(format_args!("until {off} ms after the end of {}", session.id));
            self.wait(millis);
        }
        Ok(())
    }

    /// The application's server makes a ticket; its text.
    fn make_ticket(&mut self, node: usize, user: UserId, acting: bool) -> Result<String, Violation> {
        self.tickets_made += 1;
        let text = format!("ticket {}", self.tickets_made);
        let service = self.nodes[node].service.clone();
        let mut request = Request::of_node(self, node);
        let made = new_ticket(service, user, acting, text.clone());
        let made = self.finish(&mut request, Box::pin(made))?;
        made.map_err(|failure| unexpected(format!("{failure:?}")))?;
        Ok(text)
    }

    /// What is asked for, in the world as it is; nothing where there is no such thing yet.
    pub(super) fn meant(
        &mut self,
        node: usize,
        browser: usize,
        ask: Ask,
    ) -> Result<Option<Meant>, Violation> {
        let cookie = self.profiles[browser].cookie.clone().filter(|_| ask.is_of_a_browser());
        let session = ask.session().and_then(|index| match ask.is_of_a_browser() {
            true => self.session_of(cookie.as_ref()?.client_id, index),
            false => self.session(index),
        });
        let mut meant = Meant { cookie, session, ..Meant::default() };
        match ask {
            Ask::SignIn { user, acting } => {
                let user = self.user(user);
                meant.user = Some(user);
                meant.ticket = Some(self.make_ticket(node, user, acting)?);
            }
            Ask::SignInWithTicket { ticket } => {
                let ticket = self.tickets.get(ticket % self.tickets.len().max(1)).cloned();
                let Some((ticket, user)) = ticket else { return Ok(None) };
                (meant.user, meant.ticket) = (Some(user), Some(ticket));
            }
            Ask::ProveAgain { anew } => {
                let Some(lost) = self.profiles[browser].lost.clone() else { return Ok(None) };
                meant.user = Some(lost.user);
                meant.ticket = Some(match anew {
                    true => self.make_ticket(node, lost.user, false)?,
                    false => lost.ticket,
                });
            }
            Ask::Ban { user } | Ask::Unban { user } => meant.user = Some(self.user(user)),
            Ask::Redeem { nonce } => {
                let nonces: Vec<_> = self.profiles.iter().flat_map(|profile| &profile.nonces).collect();
                meant.nonce = nonces.get(nonce % nonces.len().max(1)).map(|nonce| (*nonce).clone());
            }
            _ => {}
        }
        Ok(Some(meant))
    }

    /// Reads the policy that is stored now.
    pub(super) fn read_policy(&mut self) -> Result<(), Violation> {
        self.policy = ready(self.rows.settings(self.instance)).map_err(unexpected)?.1;
        Ok(())
    }

    pub(super) fn user(&self, index: usize) -> UserId {
        self.users[index % self.users.len()]
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
    document.ended_sessions_kept_seconds = choice.kept;
    document.multi_session_enabled = multi_session.unwrap_or(document.multi_session_enabled);
    document.activity = match choice.visible {
        true => Activity::Visible,
        false => Activity::Token,
    };
    document.try_into().expect("one limit is on")
}

/// The store in memory fails nowhere.
pub fn unexpected(error: impl fmt::Display) -> Violation {
    Violation { promise: "the store answers", what: error.to_string(), story: Vec::new() }
}
