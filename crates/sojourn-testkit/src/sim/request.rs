//! Requests on their way through a simulated server: each is a use case of the real service,
//! polled step by step, with others in between.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use sojourn_core::{
    activity::Activity,
    client::{ClientWithSessions, Identity},
    id::{ClientId, SessionId},
    testing::oracle::Limits,
    time::{Moment, Timestamp},
};
use sojourn_store::CommitError;

use super::{
    Violation,
    engine::{Committed, Seen, Serving},
    ensure,
    reference_state::{Place, Secret, has_come, predicted_end},
    step::{Ask, Until, Way},
    use_cases::{Meant, Outcome, serve},
    violation,
    world::{BROWSERS, Lost, World, unexpected},
};

/// Steps in which every request comes to an end.
const MOST_STEPS: usize = 2000;

/// A request and what it has seen so far.
#[derive(Debug)]
pub struct Request {
    pub node: usize,
    /// Which run of the node has it.
    pub run: u64,
    pub browser: usize,
    /// Nothing where the simulation itself does something to a node.
    pub ask: Option<Ask>,
    pub meant: Meant,
    /// How many commits there were when it began.
    pub begun: u64,
    /// Nobody came in between.
    pub is_alone: bool,
    sends_twice: bool,
    /// When it read the clocks.
    read_at: Arc<OnceLock<Moment>>,
    /// The newest settings that it loaded.
    pub version: u64,
    /// All of them, as they were when it loaded them by themselves.
    settings: Vec<Limits>,
    /// The browsers that it loaded, each as it was the last time.
    pub loaded: BTreeMap<ClientId, Loaded>,
    /// Browsers of sessions that a sweep met and that are over.
    pub overdue: Vec<ClientId>,
    /// Sessions that it ended.
    pub closed: Vec<SessionId>,
    /// Sessions whose activity it noted, and when.
    pub seen: Vec<(SessionId, Moment)>,
    /// Whether it removes what ended long ago.
    pub purges: bool,
    /// What ended by then leaves with it.
    purges_before: Option<Timestamp>,
}

/// A browser as a request loaded it, and what was so at that moment.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub browser: ClientWithSessions,
    /// The settings.
    pub settings: Vec<Limits>,
    pub multi_session: bool,
    /// Only visible tabs count as activity.
    pub visible: bool,
    /// How many commits there were.
    pub order: u64,
    /// How many secrets were given out since the one that the request came with.
    pub age: Option<usize>,
    pub newest: Option<Secret>,
}

/// A request on its way.
pub struct UnderWay {
    pub request: Request,
    stage: Stage,
}

enum Stage {
    Running(Running),
    Answered(Box<Outcome>),
}

type Running = Pin<Box<dyn Future<Output = Result<Outcome, CommitError>> + Send>>;

impl Request {
    /// What the simulation itself does to a node.
    pub fn of_node(world: &World, node: usize) -> Self {
        Self {
            node,
            run: world.nodes[node].run,
            browser: 0,
            ask: None,
            meant: Meant::default(),
            begun: world.reference.order,
            is_alone: true,
            sends_twice: false,
            read_at: Arc::default(),
            version: 0,
            settings: Vec::new(),
            loaded: BTreeMap::new(),
            overdue: Vec::new(),
            closed: Vec::new(),
            seen: Vec::new(),
            purges: false,
            purges_before: None,
        }
    }

    /// The one reading of the clocks; of now, as long as there was none.
    pub fn at(&self, world: &World) -> Moment {
        self.read_at.get().copied().unwrap_or_else(|| world.moment(self.node))
    }

    pub fn place(&self, world: &World) -> Place {
        Place { at: self.at(world), real: world.real(), node: self.run }
    }

    /// The browser that it comes from, as it was loaded the last time.
    pub fn own(&self) -> Option<&Loaded> {
        self.loaded.get(&self.meant.cookie.as_ref()?.client_id)
    }
}

impl World {
    pub(super) fn ask(&mut self, node: usize, browser: usize, ask: Ask, way: Way) -> Result<(), Violation> {
        let (node, browser) = (node % self.nodes.len(), browser % BROWSERS);
        let Some(meant) = self.meant(node, browser, ask)? else { return Ok(()) };
        let request = Request {
            browser,
            ask: Some(ask),
            meant,
            is_alone: !matches!(way, Way::Held(_)),
            sends_twice: way == Way::SentTwice,
            purges: ask == Ask::Purge,
            ..Request::of_node(self, node)
        };
        self.told_asked(&request, ask, way);
        let service = self.nodes[node].service.clone();
        let running = serve(service, ask, request.meant.clone(), Arc::clone(&request.read_at));
        let mut under_way = UnderWay { request, stage: Stage::Running(Box::pin(running)) };
        match way {
            Way::Held(until) => {
                self.advance(&mut under_way, until)?;
                self.under_way.push(under_way);
            }
            Way::AtOnce | Way::SentTwice => {
                self.advance(&mut under_way, Until::Answer)?;
                self.deliver(under_way);
            }
            Way::AnswerLost => {
                self.advance(&mut under_way, Until::Answer)?;
                self.lose(under_way);
            }
        }
        Ok(())
    }

    /// A request under way goes on, or its answer arrives.
    pub(super) fn go(&mut self, index: usize, until: Until) -> Result<(), Violation> {
        let mut under_way = self.under_way.remove(index);
        let Request { browser, node, ask, .. } = under_way.request;
        if let Stage::Answered(_) = under_way.stage {
            self.tell(format_args!("what browser {browser} asked node {node} is answered: {ask:?}"));
            self.deliver(under_way);
            return Ok(());
        }
        self.tell(format_args!("what browser {browser} asked node {node} goes on, {until:?}: {ask:?}"));
        self.advance(&mut under_way, until)?;
        self.under_way.insert(index, under_way);
        Ok(())
    }

    fn advance(&mut self, under_way: &mut UnderWay, until: Until) -> Result<(), Violation> {
        let UnderWay { request, stage } = under_way;
        let Stage::Running(running) = stage else { return Ok(()) };
        for calls in 1..MOST_STEPS {
            let (polled, has_loaded) = self.poll(request, running)?;
            if let Poll::Ready(outcome) = polled {
                let outcome = outcome.map_err(|error| match error {
                    CommitError::Conflict => {
                        let promise = "conflicts come to an end";
                        Violation { promise, what: format!("{:?}", request.ask), story: Vec::new() }
                    }
                    error => unexpected(error),
                })?;
                self.check_answer(request, &outcome)?;
                *stage = Stage::Answered(Box::new(outcome));
                return Ok(());
            }
            match until {
                Until::Calls(most) if calls >= most => return Ok(()),
                Until::Loaded if has_loaded => return Ok(()),
                _ => {}
            }
        }
        violation("every request comes to an end", format!("{:?}", request.ask))
    }

    /// Does something to a node, nobody in between.
    pub(super) fn finish<T>(
        &mut self,
        request: &mut Request,
        future: impl Future<Output = T>,
    ) -> Result<T, Violation> {
        let mut future = std::pin::pin!(future);
        for _ in 0..MOST_STEPS {
            if let (Poll::Ready(done), _) = self.poll(request, &mut future)? {
                return Ok(done);
            }
        }
        violation("every request comes to an end", "of the simulation".to_owned())
    }

    /// One step: up to the next answer of the store. Also whether that was a browser.
    fn poll<F: Future + Unpin>(
        &mut self,
        request: &mut Request,
        future: &mut F,
    ) -> Result<(Poll<F::Output>, bool), Violation> {
        let cookie = request.meant.cookie.as_ref().map(|cookie| (cookie.client_id, cookie.hash()));
        let is_old =
            |(client, hash): &(ClientId, _)| self.reference.age(*client, hash).is_some_and(|age| age > 0);
        let engine = Arc::clone(&self.nodes[request.node].engine);
        engine.serve(Serving {
            ask: request.ask,
            session: request.meant.session,
            old_secret: cookie.filter(is_old).map(|(_, hash)| hash),
            sends_twice: request.sends_twice,
            is_dry_run: request.ask.is_none(),
        });
        let polled = Pin::new(future).poll(&mut Context::from_waker(Waker::noop()));
        let mut has_loaded = false;
        for seen in engine.take_seen() {
            has_loaded |= matches!(seen, Seen::Browser(..));
            self.saw(request, seen)?;
        }
        if let (true, Some(before)) = (request.purges, request.purges_before) {
            self.has_written = true;
            for known in self.reference.sessions.values_mut() {
                known.is_purged |= known.closing.is_some_and(|(closing, _)| closing.at <= before);
            }
        }
        Ok((polled, has_loaded))
    }

    fn saw(&mut self, request: &mut Request, seen: Seen) -> Result<(), Violation> {
        match seen {
            Seen::Settings(policy) => {
                self.reference.check_policy(&policy)?;
                request.version = policy.current().version;
                request.settings.clone_from(&self.reference.settings);
                request.purges_before = Some(request.at(self).now - self.reference.kept);
            }
            Seen::Browser(browser, policy) => {
                let visible = policy.current().activity == Activity::Visible;
                self.reference.check_policy(&policy)?;
                request.version = policy.current().version;
                let place = request.place(self);
                for session in &browser.sessions {
                    self.reference.check_session(place, &policy, session)?;
                }
                let client = browser.client.id;
                let cookie = request.meant.cookie.as_ref().filter(|cookie| cookie.client_id == client);
                let loaded = Loaded {
                    settings: self.reference.settings.clone(),
                    multi_session: self.reference.multi_session,
                    visible,
                    order: self.reference.order,
                    age: cookie.and_then(|cookie| self.reference.age(client, &cookie.hash())),
                    newest: self.reference.newest_secret(client),
                    browser: *browser,
                };
                request.loaded.insert(client, loaded);
            }
            Seen::Sessions(sessions) => {
                let place = request.place(self);
                let lists = request.ask == Some(Ask::Sweep);
                for session in &sessions {
                    self.reference.check_session(place, &self.policy, session)?;
                    let settings = &request.settings;
                    let is_over =
                        || has_come(settings, session, &predicted_end(settings, session), place.at.now);
                    if lists && is_over() {
                        request.overdue.push(session.client_id);
                    }
                }
            }
            Seen::Committed(committed) => self.committed(request, *committed)?,
            Seen::Conflict => {
                self.coverage.conflicts += 1;
                self.tell(format_args!("  …decided again"));
            }
            Seen::Active(id, at) => {
                let place = Place { at, ..request.place(self) };
                self.reference.note(place, id, request.version);
                request.seen.push((id, at));
            }
            Seen::Forgot => {
                // What it has in memory is of the time before: gone, as with a crash.
                let gone = self.nodes[request.node].run;
                self.reference.crash(gone, self.real());
                let run = self.next_run();
                for under_way in self.under_way.iter_mut().filter(|one| one.request.run == gone) {
                    under_way.request.run = run;
                }
                self.nodes[request.node].run = run;
                request.run = run;
            }
        }
        Ok(())
    }

    fn committed(&mut self, request: &mut Request, committed: Committed) -> Result<(), Violation> {
        let Committed { changes, seen_since, again } = committed;
        self.has_written = true;
        ensure(seen_since.is_empty(), "nobody who was seen is ended for inactivity", || {
            format!("{seen_since:?}")
        })?;
        ensure(again.is_ok(), "a set sent twice is applied once", || format!("{again:?}"))?;
        self.check_ends(request, &changes)?;
        self.check_rotation(request, &changes)?;
        self.count(&changes);
        let place = Place { at: changes.at, ..request.place(self) };
        let before = self.reference.settings.len();
        self.reference.commit(place, &changes)?;
        if changes.wants_all_activity() || before != self.reference.settings.len() {
            self.read_policy()?;
        }
        self.check_admission(&changes)?;
        let closed = changes.writes.iter().filter_map(|write| match write {
            sojourn_store::Write::CloseSession(session) => Some(session.id),
            _ => None,
        });
        request.closed.extend(closed);
        Ok(())
    }

    /// The browser takes over what the answer says.
    fn deliver(&mut self, under_way: UnderWay) {
        let Stage::Answered(outcome) = under_way.stage else { return };
        let had_cookie = under_way.request.meant.cookie.is_some();
        let profile = &mut self.profiles[under_way.request.browser];
        profile.nonces.extend(outcome.nonce);
        let Some(shown) = outcome.shown else { return };
        match (shown.caller.identity, &shown.browser) {
            (Identity::Current { .. }, Some(_)) => {
                let Some(cookie) = shown.caller.newly_issued() else { return };
                let is_new = |before: &sojourn_service::browser::Credential| before.hash() != cookie.hash();
                if profile.cookie.as_ref().is_none_or(is_new) {
                    profile.before.push(cookie.clone());
                    profile.lost = None;
                }
                profile.cookie = Some(cookie);
            }
            (Identity::Stranger, _) if had_cookie => profile.cookie = None,
            _ => {}
        }
    }

    /// The answer never arrives.
    fn lose(&mut self, under_way: UnderWay) {
        let (Request { browser, ask, meant, .. }, Stage::Answered(outcome)) =
            (under_way.request, under_way.stage)
        else {
            return;
        };
        let is_sign_in = ask.is_some_and(Ask::is_sign_in) && outcome.admitted.is_some();
        if let (true, Some(ticket), Some(user)) = (is_sign_in, meant.ticket, meant.user) {
            let client = outcome.shown.and_then(|shown| Some(shown.browser?.client.id));
            let newest = client.and_then(|client| self.reference.newest_secret(client));
            let is_fresh =
                !matches!(ask, Some(Ask::ProveAgain { anew: false } | Ask::SignInWithTicket { .. }));
            let spent = newest.filter(|_| is_fresh).map(|newest| newest.order);
            self.profiles[browser].lost = Some(Lost { ticket, user, spent });
        }
    }
}
