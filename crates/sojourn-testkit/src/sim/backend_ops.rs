//! What comes from outside the browsers: the application's server, the sweeper,
//! a ban.

use std::collections::BTreeSet;

use sojourn_core::{
    client::{SignOutScope, close_overdue, sign_out},
    id::{ClientId, SessionId, UserId},
    session::{EndReason, EndedBy, Ending, Session},
};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    Mutation, Violation,
    handlers::{Decision, Request},
    world::{World, ready, unexpected},
};

impl World {
    pub(super) fn redeem(&mut self, request: &Request, nonce: usize) -> Result<Decision, Violation> {
        let Some(nonce) = self.nonce(nonce) else { return Ok(self.refused(request)) };
        let engine = &self.nodes[request.node].engine;
        let handshake = ready(engine.handshake(self.instance, nonce)).map_err(unexpected)?;
        let Some(handshake) = handshake.filter(|one| request.at.now < one.expires_at) else {
            return Ok(self.refused(request));
        };
        match (handshake.client_id, handshake.session_id) {
            (Some(client), Some(session)) => self.token_from_outside(request, client, session, None),
            _ => Ok(self.nothing(request)),
        }
    }

    pub(super) fn mint_for_backend(
        &mut self,
        request: &Request,
        session: usize,
    ) -> Result<Decision, Violation> {
        let Some(id) = self.session(session) else { return Ok(self.refused(request)) };
        let Some(session) = self.load_session(request, id)? else { return Ok(self.refused(request)) };
        self.token_from_outside(request, session.client_id, id, Some(3600))
    }

    fn token_from_outside(
        &mut self,
        request: &Request,
        client: ClientId,
        id: SessionId,
        lifetime_seconds: Option<u32>,
    ) -> Result<Decision, Violation> {
        let Some(loaded) = self.load_client(request, client)? else { return Ok(self.refused(request)) };
        let at = self.judged_at(request.at);
        let step = close_overdue(at, &loaded.policy, &loaded.browser);
        self.check_step(request.at, &loaded.browser, &step, None)?;
        let mut decision = self.nothing(request);
        decision.found_over = step.closed.iter().map(|session| session.id).collect();
        decision.changes = decision.changes.browser(&step);
        let mut session = step.browser.sessions.iter().find(|session| session.id == id).cloned();
        if self.mutation == Some(Mutation::TokenAfterEnd) {
            let remembered = ready(self.rows.session(self.instance, id)).map_err(unexpected)?;
            session = session.or(remembered.map(|session| Session { closed: None, ..session }));
        }
        match &session {
            Some(session) => {
                if self.issue_token(at, &loaded.policy, &loaded.settings, session, lifetime_seconds)? {
                    decision.answer.tokens.push(id);
                }
            }
            None => decision.answer.is_refused = true,
        }
        Ok(decision)
    }

    fn load_session(&self, request: &Request, id: SessionId) -> Result<Option<Session>, Violation> {
        let engine = &self.nodes[request.node].engine;
        let (_, policy) = ready(engine.settings(self.instance)).map_err(unexpected)?;
        let session = ready(engine.session(self.instance, id)).map_err(unexpected)?;
        if let Some(session) = &session {
            self.reference.check_session(self.place(request), &policy, session)?;
        }
        Ok(session)
    }

    pub(super) fn revoke(&mut self, request: &Request, session: usize) -> Result<Decision, Violation> {
        let Some(id) = self.session(session) else { return Ok(self.refused(request)) };
        let session = self.load_session(request, id)?.filter(|session| session.closed.is_none());
        let Some(session) = session else { return Ok(self.nothing(request)) };
        let ending = Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend);
        self.end_in(request, session.client_id, SignOutScope::One(id), ending)
    }

    /// Ends sessions of a browser from outside.
    fn end_in(
        &mut self,
        request: &Request,
        client: ClientId,
        leaving: SignOutScope,
        ending: Ending,
    ) -> Result<Decision, Violation> {
        let mut decision = self.nothing(request);
        let Some(loaded) = self.load_client(request, client)? else { return Ok(decision) };
        let at = self.judged_at(request.at);
        let step = sign_out(at, &loaded.policy, &loaded.browser, leaving, ending, None);
        self.check_step(request.at, &loaded.browser, &step, Some(ending))?;
        decision.found_over = step.closed.iter().map(|session| session.id).collect();
        decision.changes = decision.changes.browser(&step);
        Ok(decision)
    }

    /// Adds the end of all open sessions of a user but `keep`.
    pub(super) fn end_of_user(
        &mut self,
        request: &Request,
        mut changes: ChangeSet,
        user: UserId,
        keep: Option<SessionId>,
        ending: Ending,
    ) -> Result<ChangeSet, Violation> {
        let filter = SessionFilter {
            user_id: Some(user),
            stored: Some(StoredStatus::Open),
            limit: u32::MAX,
            ..SessionFilter::default()
        };
        let engine = &self.nodes[request.node].engine;
        let (sessions, _) = ready(engine.sessions(self.instance, filter)).map_err(unexpected)?;
        let clients: BTreeSet<ClientId> =
            sessions.iter().filter(|one| Some(one.id) != keep).map(|one| one.client_id).collect();
        for client in clients {
            let ended = self.end_in(request, client, SignOutScope::User(user), ending)?;
            changes.writes.extend(ended.changes.writes);
            changes.events.extend(ended.changes.events);
        }
        Ok(changes)
    }

    pub(super) fn look(&mut self, request: &Request, session: usize) -> Result<Decision, Violation> {
        let Some(id) = self.session(session) else { return Ok(self.refused(request)) };
        let Some(session) = self.load_session(request, id)? else { return Ok(self.refused(request)) };
        if session.closed.is_some() {
            return Ok(self.nothing(request));
        }
        self.settle_client(request, session.client_id)
    }

    fn settle_client(&mut self, request: &Request, client: ClientId) -> Result<Decision, Violation> {
        let mut decision = self.nothing(request);
        let Some(loaded) = self.load_client(request, client)? else { return Ok(decision) };
        let step = close_overdue(self.judged_at(request.at), &loaded.policy, &loaded.browser);
        self.check_step(request.at, &loaded.browser, &step, None)?;
        decision.found_over = step.closed.iter().map(|session| session.id).collect();
        decision.changes = decision.changes.browser(&step);
        Ok(decision)
    }

    pub(super) fn stand(
        &mut self,
        request: &Request,
        user: usize,
        banned: bool,
    ) -> Result<Decision, Violation> {
        let id = self.user(user);
        let Some(mut user) = self.load_user(request, id)? else { return Ok(self.refused(request)) };
        user.banned = banned;
        user.changed(request.at.now);
        let mut decision = self.nothing(request);
        decision.changes = decision.changes.write(Write::User(user));
        if banned {
            let ending = Ending::revoked(EndReason::UserBanned, EndedBy::Backend);
            decision.changes = self.end_of_user(request, decision.changes, id, None, ending)?;
        }
        Ok(decision)
    }

    /// Records everything that is over, all browsers in one set.
    pub(super) fn sweep(&mut self, request: &Request) -> Result<Decision, Violation> {
        let mut decision = self.nothing(request);
        let (mut after, mut clients) = (None, BTreeSet::new());
        loop {
            let engine = &self.nodes[request.node].engine;
            let group = ready(engine.open_sessions(self.instance, after, 3)).map_err(unexpected)?;
            let Some(last) = group.last() else { break };
            after = Some((last.created_at, last.id));
            clients.extend(group.iter().map(|session| session.client_id));
        }
        for client in clients {
            let settled = self.settle_client(request, client)?;
            decision.changes.writes.extend(settled.changes.writes);
            decision.changes.events.extend(settled.changes.events);
            decision.found_over.extend(settled.found_over);
        }
        Ok(decision)
    }
}
