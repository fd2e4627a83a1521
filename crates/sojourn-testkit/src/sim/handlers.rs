//! The handlers of a simulated server: what happens between a load and a commit, with
//! the core's own functions and nothing of HTTP.

use sojourn_core::{
    activity::ActivitySource,
    client::{
        Client, ClientStep, ClientWithSessions, Identity, NewSession, SecretHash, SignOutScope, admit,
        close_overdue, refresh, sign_out, switch,
    },
    handshake::{Handshake, NONCE_LIFETIME},
    id::{ClientId, Randomness as _, SessionId, TicketId, UserId},
    impersonation::Impersonation,
    policy::Policy,
    session::{Device, EndReason, EndedBy, Ending, Session},
    settings::Settings,
    time::{Moment, minutes},
    user::User,
};
use sojourn_store::{ChangeSet, Engine as _, Expect, TicketStatus, Write};

use super::{
    Mutation, Violation, ensure,
    reference_state::Place,
    step::Ask,
    world::{World, ready, unexpected},
};

/// A cookie: which browser, and its secret.
pub type Cookie = (ClientId, SecretHash);

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Request {
    pub node: usize,
    pub browser: usize,
    pub ask: Ask,
    pub at: Moment,
    pub cookie: Option<Cookie>,
    /// How many commits there were when it began.
    pub begun: u64,
}

/// What a node makes of a request: what to write, and what to answer then.
#[derive(Clone, Debug)]
pub struct Decision {
    pub changes: ChangeSet,
    /// The session whose activity is noted once it is durable.
    pub seen: Option<SessionId>,
    /// The newest settings when it was decided.
    pub settings: u64,
    pub answer: Answer,
    /// Ends that were found: stored before the answer is sent.
    pub found_over: Vec<SessionId>,
    /// Whether the browser's newest secret came, and is known to have come by the commit.
    pub confirms: Option<ClientId>,
}

/// What the browser or the application gets.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub cookie: Option<Cookie>,
    pub nonce: Option<[u8; 32]>,
    pub tokens: Vec<SessionId>,
    pub is_refused: bool,
}

/// What was loaded for a request.
pub struct Loaded {
    pub browser: ClientWithSessions,
    pub settings: Settings,
    pub policy: Policy,
    pub identity: Identity,
}

impl World {
    /// Decides a request by what its node sees now.
    pub(super) fn decide(&mut self, request: &Request) -> Result<Decision, Violation> {
        match request.ask {
            Ask::SignIn { user, acting } => {
                let user = self.user(user);
                let own =
                    acting.then(|| Impersonation { actor: serde_json::Map::new(), maximum: minutes(30) });
                self.sign_in(request, user, own, None)
            }
            Ask::SignInWithTicket { ticket } => self.sign_in_with_ticket(request, ticket),
            Ask::Token { .. }
            | Ask::Touch { .. }
            | Ask::Load
            | Ask::Handshake
            | Ask::Read { .. }
            | Ask::SignOut { .. }
            | Ask::End { .. }
            | Ask::SignOutAll
            | Ask::Password { .. } => self.of_browser(request),
            Ask::Redeem { nonce } => self.redeem(request, nonce),
            Ask::Mint { session } => self.mint_for_backend(request, session),
            Ask::Revoke { session } => self.revoke(request, session),
            Ask::Look { session } => self.look(request, session),
            Ask::Ban { user } => self.stand(request, user, true),
            Ask::Unban { user } => self.stand(request, user, false),
            Ask::Sweep => self.sweep(request),
            Ask::Purge { .. } => Ok(self.nothing(request)),
        }
    }

    pub(super) fn nothing(&mut self, request: &Request) -> Decision {
        Decision {
            changes: ChangeSet::new(self.instance, request.at, &mut self.rng),
            seen: None,
            settings: self.reference.newest().version,
            answer: Answer::default(),
            found_over: Vec::new(),
            confirms: None,
        }
    }

    pub(super) fn refused(&mut self, request: &Request) -> Decision {
        let answer = Answer { is_refused: true, ..Answer::default() };
        Decision { answer, ..self.nothing(request) }
    }

    pub(super) fn place(&self, request: &Request) -> Place {
        self.place_of(request.node, request.at)
    }

    /// A browser as its node sees it, everything about it checked.
    pub(super) fn load_client(
        &mut self,
        request: &Request,
        id: ClientId,
    ) -> Result<Option<Loaded>, Violation> {
        let record = ready(self.nodes[request.node].engine.browser(self.instance, id)).map_err(unexpected)?;
        let Some(record) = record else { return Ok(None) };
        let (mut browser, mut policy) = (record.browser, record.policy);
        self.reference.check_policy(&policy)?;
        for session in &browser.sessions {
            self.reference.check_session(self.place(request), &policy, session)?;
        }
        match self.mutation {
            Some(Mutation::NewestSettingsOnly) => policy = Policy::new(*policy.current()),
            Some(Mutation::LateActivityRevives) => {
                for id in self.revived.clone() {
                    let session = ready(self.nodes[request.node].engine.session(self.instance, id));
                    let of_this = |session: &Session| session.client_id == browser.client.id;
                    if let Some(mut session) = session.map_err(unexpected)?.filter(of_this) {
                        session.closed = None;
                        browser.sessions.push(session);
                    }
                }
            }
            Some(Mutation::CachedBrowser) if matches!(request.ask, Ask::Token { .. }) => {
                let cached = self.nodes[request.node].cached.entry(id).or_insert_with(|| browser.clone());
                browser.sessions.clone_from(&cached.sessions);
            }
            _ => {}
        }
        let identity = Identity::Stranger;
        Ok(Some(Loaded { browser, settings: record.settings, policy, identity }))
    }

    /// The browser that the cookie names, with what this cookie may see of it.
    fn load_caller(&mut self, request: &Request) -> Result<Option<Loaded>, Violation> {
        let Some((client, secret)) = request.cookie else { return Ok(None) };
        let Some(mut loaded) = self.load_client(request, client)? else { return Ok(None) };
        let age = self.reference.age(client, &secret);
        loaded.identity = match self.mutation {
            Some(Mutation::RotationIgnored) if age.is_some() => {
                Identity::Current { confirms_rotation: false }
            }
            _ => loaded.browser.client.identify(request.at.now, &secret),
        };
        if let Identity::Predecessor { admitted_before } = loaded.identity {
            loaded.browser.sessions.retain(|session| session.created_at < admitted_before);
        }
        self.coverage.old_secrets += u64::from(age != Some(0));
        let may_change = matches!(loaded.identity, Identity::Current { .. });
        let may_read = matches!(loaded.identity, Identity::Predecessor { .. });
        let newest = self.reference.newest_secret(client).map(|secret| (secret.seen_at, secret.since));
        let now = request.at.now.as_millis();
        let is_late = newest.is_none_or(|(seen_at, since)| {
            now >= since + 30_000 || seen_at.is_some_and(|seen_at| now >= seen_at)
        });
        let why = "I5: an identity older than the last rotation authenticates nothing";
        let what = || format!("{:?} by a secret of {age:?} rotations ago, {newest:?}", loaded.identity);
        ensure(!may_change || age == Some(0), why, what)?;
        ensure(!may_read || (age == Some(1) && !is_late), why, what)?;
        if may_read {
            let shown = loaded.browser.sessions.iter();
            let hidden = shown.clone().find(|shown| !self.reference.was_there_before_rotation(shown.id));
            ensure(hidden.is_none(), why, || format!("it sees {hidden:?}"))?;
        }
        Ok(Some(loaded).filter(|_| may_change || may_read))
    }

    /// What a request of a known browser comes to.
    fn of_browser(&mut self, request: &Request) -> Result<Decision, Violation> {
        let Some(loaded) = self.load_caller(request)? else { return Ok(self.refused(request)) };
        let at = self.judged_at(request.at);
        let (policy, browser) = (&loaded.policy, &loaded.browser);
        let is_current = matches!(loaded.identity, Identity::Current { .. });
        let named = request.ask.session().and_then(|index| self.session_of(browser.client.id, index));
        let settled = close_overdue(at, policy, browser);
        let (mut is_refused, mut ending, mut nonce) = (false, None, None);
        let mut cookie = None;
        let mut step = match request.ask {
            Ask::Token { hidden, .. } => {
                match named.map(|id| refresh(at, policy, browser, id, ActivitySource::Token { hidden })) {
                    Some(Ok(step)) => step,
                    _ => (settled, is_refused = true).0,
                }
            }
            Ask::Touch { .. } if is_current => match named.map(|id| switch(at, policy, browser, id)) {
                Some(Ok(step)) => step,
                _ => (settled, is_refused = true).0,
            },
            Ask::Load => match settled.browser.active_session().map(|session| session.id) {
                Some(id) => with_activity(at, policy, settled, id, ActivitySource::PageLoad),
                None => settled,
            },
            Ask::Handshake => {
                let active = settled.browser.active_session().map(|session| session.id);
                nonce = Some(Handshake {
                    client_id: Some(browser.client.id),
                    session_id: active,
                    origin: "http://localhost:3000".to_owned(),
                    expires_at: request.at.now + NONCE_LIFETIME,
                });
                match active {
                    Some(id) => with_activity(at, policy, settled, id, ActivitySource::Handshake),
                    None => settled,
                }
            }
            Ask::SignOut { .. } | Ask::End { .. } if is_current => {
                let how = match request.ask {
                    Ask::End { .. } => Ending::ENDED,
                    _ => Ending::SIGNED_OUT,
                };
                let open = |id: &SessionId| settled.browser.sessions.iter().any(|one| one.id == *id);
                match named.filter(open) {
                    Some(id) => {
                        ending = Some(how);
                        let secret = SecretHash(self.rng.array());
                        cookie = Some((browser.client.id, secret));
                        sign_out(at, policy, browser, SignOutScope::One(id), how, Some(secret))
                    }
                    None => (settled, is_refused = true).0,
                }
            }
            Ask::SignOutAll if is_current => {
                ending = Some(Ending::SIGNED_OUT_EVERYWHERE);
                let signed_in = !settled.browser.sessions.is_empty();
                let secret = signed_in.then(|| SecretHash(self.rng.array()));
                cookie = secret.map(|secret| (browser.client.id, secret));
                sign_out(at, policy, browser, SignOutScope::All, Ending::SIGNED_OUT_EVERYWHERE, secret)
            }
            Ask::Read { .. } | Ask::Password { .. } => settled,
            _ => (settled, is_refused = true).0,
        };
        self.check_step(request.at, browser, &step, ending)?;
        let confirms = loaded.identity == (Identity::Current { confirms_rotation: true });
        let notes_visit =
            matches!(request.ask, Ask::Token { .. } | Ask::Touch { .. } | Ask::Load | Ask::Handshake);
        let confirms = confirms && notes_visit && !is_refused;
        if confirms {
            step.browser.client.retire_predecessor(request.at.now);
            step.client_changed = true;
        }
        let mut decision = self.nothing(request);
        decision.changes = decision.changes.browser(&step);
        decision.found_over = step.closed.iter().map(|session| session.id).collect();
        decision.confirms = confirms.then_some(browser.client.id);
        decision.seen = step.seen.filter(|_| !is_refused);
        if let Some(handshake) = nonce {
            let nonce = self.rng.array();
            decision.changes = decision.changes.write(Write::Handshake(nonce, handshake));
            decision.answer.nonce = Some(nonce);
        }
        // What was found over is written first, and the password with another request.
        if matches!(request.ask, Ask::Password { .. }) && is_current && !step.client_changed {
            let open = |id: &SessionId| step.browser.sessions.iter().any(|one| one.id == *id);
            if let Some(id) = named.filter(open) {
                decision.changes = self.change_password(request, decision.changes, id)?;
            }
        }
        decision.answer.cookie = cookie;
        decision.answer.is_refused = is_refused;
        decision.answer.tokens = self.tokens(at, &loaded, &step.browser)?;
        Ok(decision)
    }

    fn change_password(
        &mut self,
        request: &Request,
        changes: ChangeSet,
        keep: SessionId,
    ) -> Result<ChangeSet, Violation> {
        let Some(known) = self.reference.sessions.get(&keep) else { return Ok(changes) };
        let Some(mut user) = self.load_user(request, known.user)? else { return Ok(changes) };
        user.changed(request.at.now);
        let changes = changes.write(Write::User(user.clone()));
        let ending = Ending::revoked(EndReason::PasswordChanged, EndedBy::User);
        self.end_of_user(request, changes, user.id, Some(keep), ending)
    }

    pub(super) fn load_user(&self, request: &Request, id: UserId) -> Result<Option<User>, Violation> {
        ready(self.nodes[request.node].engine.user(self.instance, id)).map_err(unexpected)
    }

    fn sign_in_with_ticket(&mut self, request: &Request, ticket: usize) -> Result<Decision, Violation> {
        let Some(id) = self.ticket(ticket) else { return Ok(self.refused(request)) };
        let engine = &self.nodes[request.node].engine;
        let ticket = ready(engine.ticket_by_id(self.instance, id)).map_err(unexpected)?;
        let good = ticket
            .filter(|ticket| ticket.status == TicketStatus::Pending && request.at.now < ticket.expires_at);
        let Some(ticket) = good else { return Ok(self.refused(request)) };
        self.sign_in(request, ticket.user_id, None, Some(id))
    }

    fn sign_in(
        &mut self,
        request: &Request,
        user: UserId,
        impersonation: Option<Impersonation>,
        ticket: Option<TicketId>,
    ) -> Result<Decision, Violation> {
        let user = self.load_user(request, user)?.filter(|user| !user.banned);
        let Some(mut user) = user else { return Ok(self.refused(request)) };
        let loaded = match self.load_caller(request)? {
            Some(loaded) if matches!(loaded.identity, Identity::Current { .. }) => loaded,
            Some(_) => return Ok(self.refused(request)),
            None if self.is_superseded(request)? => return Ok(self.refused(request)),
            None => {
                let (settings, policy) =
                    ready(self.nodes[request.node].engine.settings(self.instance)).map_err(unexpected)?;
                self.reference.check_policy(&policy)?;
                let id = ClientId::generate(request.at.now, &mut self.rng);
                let client = Client::new(id, SecretHash(self.rng.array()), request.at);
                let browser = ClientWithSessions { client, sessions: Vec::new() };
                Loaded { browser, settings, policy, identity: Identity::Stranger }
            }
        };
        let at = self.judged_at(request.at);
        let secret = SecretHash(self.rng.array());
        let newcomer = NewSession {
            session_id: SessionId::generate(request.at.now, &mut self.rng),
            user_id: user.id,
            device: Device::default(),
            impersonation,
            strategy: "ticket".to_owned(),
            secret,
        };
        let (step, is_admitted) = match admit(at, &loaded.policy, &loaded.browser, newcomer) {
            Ok(step) => (step, true),
            Err(_) => (close_overdue(at, &loaded.policy, &loaded.browser), false),
        };
        self.check_step(request.at, &loaded.browser, &step, None)?;
        let mut decision = self.nothing(request);
        decision.found_over = step.closed.iter().map(|session| session.id).collect();
        decision.changes = decision.changes.browser(&step);
        if !is_admitted {
            decision.answer.is_refused = true;
            return Ok(decision);
        }
        user.signed_in(request.at.now);
        let version = loaded.settings.version;
        decision.changes = decision.changes.expect(Expect::Settings(version)).write(Write::User(user));
        match self.mutation {
            Some(Mutation::TicketNotSpent) => {}
            _ => decision.changes.writes.extend(ticket.map(Write::AcceptTicket)),
        }
        self.planned_ticket = ticket.or(self.planned_ticket);
        decision.answer.cookie = Some((loaded.browser.client.id, secret));
        decision.answer.tokens = self.tokens(at, &loaded, &step.browser)?;
        Ok(decision)
    }

    /// Whether the cookie belongs to a rotation that may still be under way.
    fn is_superseded(&self, request: &Request) -> Result<bool, Violation> {
        let Some((client, secret)) = request.cookie else { return Ok(false) };
        let engine = &self.nodes[request.node].engine;
        let record = ready(engine.browser(self.instance, client)).map_err(unexpected)?;
        let identity = record.map(|record| record.browser.client.identify(request.at.now, &secret));
        Ok(matches!(identity, Some(Identity::Superseded | Identity::Predecessor { .. })))
    }
}

/// Counts a request for the session that is active, as a page load does.
fn with_activity(
    at: Moment,
    policy: &Policy,
    mut step: ClientStep,
    id: SessionId,
    source: ActivitySource,
) -> ClientStep {
    if let Ok(active) = refresh(at, policy, &step.browser, id, source) {
        (step.browser, step.seen) = (active.browser, active.seen);
    }
    step
}
