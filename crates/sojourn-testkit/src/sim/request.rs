//! Requests on their way through a simulated server: decided, committed,
//! answered, with others in between.

use sojourn_core::{
    id::SessionId,
    session::{ClosedStatus, Session},
    time::seconds,
};
use sojourn_store::{ChangeSet, CommitError, Engine as _, Write};

use super::{
    Mutation, Violation, ensure,
    handlers::{Answer, Decision, Request},
    step::{Ask, Way},
    violation,
    world::{BROWSERS, World, ready, unexpected},
};

/// A request on its way.
#[derive(Debug)]
pub struct UnderWay {
    request: Request,
    /// Which run of which node has it.
    pub run: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Decided(Box<Decision>),
    Committed(Answer),
}

impl World {
    pub(super) fn ask(&mut self, node: usize, browser: usize, ask: Ask, way: Way) -> Result<(), Violation> {
        let (node, browser) = (node % self.nodes.len(), browser % BROWSERS);
        // As each request of a development instance does where nodes share the rows.
        self.follow_test_clock(node)?;
        let at = self.moment(node);
        let cookie = self.profiles[browser].cookie.filter(|_| ask.is_of_a_browser());
        let request = Request { node, browser, ask, at, cookie, begun: self.reference.order };
        self.told_asked(&request, way);
        if let Ask::Purge { minutes } = ask {
            return self.purge(node, at, minutes);
        }
        let decision = self.decide(&request)?;
        let run = self.nodes[node].run;
        self.under_way.push(UnderWay { request, run, stage: Stage::Decided(Box::new(decision)) });
        let last = self.under_way.len() - 1;
        match way {
            Way::Held => Ok(()),
            Way::AtOnce => {
                self.go(last, false)?;
                self.go(last, false)
            }
            Way::AnswerLost => {
                self.go(last, false)?;
                self.under_way.pop();
                Ok(())
            }
            Way::SentTwice => {
                let set = match &self.under_way[last].stage {
                    Stage::Decided(decision) => decision.changes.clone(),
                    Stage::Committed(_) => return Ok(()),
                };
                self.go(last, false)?;
                self.send_again(node, set)?;
                self.go(last, false)
            }
        }
    }

    /// A request under way commits, or its answer arrives.
    pub(super) fn go(&mut self, index: usize, is_late: bool) -> Result<(), Violation> {
        let UnderWay { request, run, stage } = self.under_way.remove(index);
        if is_late {
            let stage = if matches!(stage, Stage::Decided(_)) { "is written" } else { "is answered" };
            self.tell(&format!(
                "what browser {} asked node {} {stage}: {:?}",
                request.browser, request.node, request.ask
            ));
        }
        match stage {
            Stage::Decided(decision) => {
                let answer = self.finish(&request, *decision)?;
                let stage = Stage::Committed(answer);
                self.under_way.insert(index, UnderWay { request, run, stage });
            }
            Stage::Committed(answer) => {
                let profile = &mut self.profiles[request.browser];
                if let Some(cookie) = answer.cookie {
                    profile.cookie = Some(cookie);
                    profile.before.push(cookie);
                }
                profile.nonces.extend(answer.nonce);
            }
        }
        Ok(())
    }

    /// Commits a decision; decides again while others change the same rows.
    fn finish(&mut self, request: &Request, mut decision: Decision) -> Result<Answer, Violation> {
        for _ in 0..32 {
            match self.commit(request, &decision) {
                Ok(()) => {
                    self.check_answer(request, &decision)?;
                    return Ok(decision.answer);
                }
                Err(Refused::Violation(violation)) => return Err(violation),
                Err(Refused::Conflict) => {
                    self.coverage.conflicts += 1;
                    self.tell("  …decided again");
                    decision = self.decide(request)?;
                }
            }
        }
        violation("conflicts come to an end", format!("{:?}", request.ask))
    }

    fn commit(&mut self, request: &Request, decision: &Decision) -> Result<(), Refused> {
        let mut set = decision.changes.clone();
        let is_revocation = matches!(request.ask, Ask::Revoke { .. });
        match self.mutation {
            Some(Mutation::UncheckedAdmission) => self.overlook_others(&mut set)?,
            Some(Mutation::EndNotTold) if is_revocation => set.events.clear(),
            Some(Mutation::AnsweredBeforeWritten) if is_revocation => {
                set.writes.clear();
                set.events.clear();
            }
            _ => {}
        }
        let place = self.place_of(request.node, request.at);
        let seen_since = self.seen_since(request.node, &set)?;
        if self.mutation == Some(Mutation::ActivityNotConsulted) {
            overlook_activity(&mut set);
        }
        if !set.is_empty() {
            match ready(self.nodes[request.node].engine.commit(set)) {
                Ok(()) => {
                    ensure(seen_since.is_empty(), "nobody who was seen is ended for inactivity", || {
                        format!("{seen_since:?}")
                    })?;
                }
                Err(CommitError::Conflict) => return Err(Refused::Conflict),
                Err(error) => return Err(Refused::Violation(unexpected(error))),
            }
        }
        self.count(&decision.changes);
        self.reference.commit(place, &decision.changes)?;
        if self.mutation == Some(Mutation::TicketNotSpent)
            && let Some(ticket) = self.planned_ticket.take()
        {
            let spend = ChangeSet::new(self.instance, request.at, &mut self.rng);
            self.reference.commit(place, &spend.write(Write::AcceptTicket(ticket)))?;
        }
        if let Some(secret) = decision.confirms.and_then(|client| self.reference.newest_secret(client)) {
            let now = request.at.now.as_millis();
            secret.seen_at = Some(secret.seen_at.map_or(now, |before| before.min(now)));
        }
        if let Some(id) = decision.seen {
            let engine = &self.nodes[request.node].engine;
            engine.record_activity(self.instance, id, request.at);
            self.reference.note(place, id, decision.settings);
        }
        self.check_admission(&decision.changes).map_err(Refused::Violation)
    }

    /// Takes back what keeps two admissions apart.
    fn overlook_others(&self, set: &mut ChangeSet) -> Result<(), Refused> {
        set.expects.clear();
        for write in &mut set.writes {
            if let Write::Client(client) = write
                && let Some(stored) =
                    ready(self.rows.browser(self.instance, client.id)).map_err(unexpected)?
            {
                client.version = stored.browser.client.version;
            }
        }
        Ok(())
    }

    /// Sessions that a set ends for inactivity, and of which the node or the rows
    /// know newer activity than it was decided on.
    fn seen_since(&self, node: usize, set: &ChangeSet) -> Result<Vec<SessionId>, Violation> {
        let mut seen = Vec::new();
        for write in &set.writes {
            let Write::CloseSession(row) = write else { continue };
            let is_abandoned = row.closed.is_some_and(|closing| closing.status == ClosedStatus::Abandoned);
            let known = ready(self.nodes[node].engine.session(self.instance, row.id)).map_err(unexpected)?;
            let is_newer =
                |known: &Session| known.closed.is_none() && known.last_active_at > row.last_active_at;
            if is_abandoned && known.as_ref().is_some_and(is_newer) {
                seen.push(row.id);
            }
        }
        Ok(seen)
    }

    /// The same set once more: its answer was lost.
    fn send_again(&mut self, node: usize, set: ChangeSet) -> Result<(), Violation> {
        let (id, writes) = (set.id, !set.is_empty());
        let known = ready(self.nodes[node].engine.was_committed(self.instance, id)).map_err(unexpected)?;
        // Decided again in between, it was another set.
        if !writes || !known {
            return Ok(());
        }
        let outcome = ready(self.nodes[node].engine.commit(set));
        ensure(outcome.is_ok(), "a set sent twice is applied once", || format!("{outcome:?}"))
    }
}

/// Has a set claim to know all activity.
fn overlook_activity(set: &mut ChangeSet) {
    for write in &mut set.writes {
        if let Write::CloseSession(row) = write {
            row.last_active_at = row.last_active_at + seconds(1_000_000);
        }
    }
}

/// Why a set was not committed.
enum Refused {
    Conflict,
    Violation(Violation),
}

impl From<Violation> for Refused {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}
