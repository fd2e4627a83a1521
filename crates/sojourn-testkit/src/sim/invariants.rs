//! The invariants, checked in every decision (which sessions stay open, how the others
//! ended, the times of every token), before every answer, and after every step.

use sojourn_core::{
    claims::{self, TokenRequest, time_left},
    client::{ClientStep, ClientWithSessions},
    id::SessionId,
    policy::Policy,
    session::{Ending, Session},
    settings::Settings,
    testing::oracle::End,
    time::{Moment, Timestamp},
};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    Mutation, Violation, ensure,
    handlers::{Decision, Loaded, Request},
    reference_state::{has_come, predicted_end},
    violation,
    world::{World, ready, unexpected},
};

impl World {
    /// The moment by which a decision is taken.
    pub(super) fn judged_at(&self, at: Moment) -> Moment {
        match self.mutation {
            Some(Mutation::ClosedInterval) => {
                Moment { now: Timestamp::from_millis(at.now.as_millis() - 1), ..at }
            }
            _ => at,
        }
    }

    /// Looks at a step about a browser as it was loaded: what remains is open,
    /// what was closed ended as it should have.
    pub(super) fn check_step(
        &self,
        at: Moment,
        before: &ClientWithSessions,
        step: &ClientStep,
        ending: Option<Ending>,
    ) -> Result<(), Violation> {
        let settings = &self.reference.settings;
        let was = |id: SessionId| before.sessions.iter().find(|session| session.id == id);
        for session in &step.browser.sessions {
            let Some(was) = was(session.id) else { continue };
            let predicted_end = predicted_end(settings, was);
            let is_open = !has_come(settings, was, &predicted_end, at.now) && !self.is_known_over(session.id);
            ensure(is_open, "nothing that is over is taken for open", || {
                format!("{predicted_end:?} at {:?}", at.now)
            })?;
        }
        for session in &step.closed {
            let (Some(was), Some(closing)) = (was(session.id), session.closed) else { continue };
            let predicted_end = predicted_end(settings, was);
            let mut expected = predicted_end;
            if !has_come(settings, was, &predicted_end, at.now) {
                let Some(ending) = ending else {
                    return violation(
                        "only what is over is ended by limits",
                        format!("{closing:?}, {predicted_end:?}"),
                    );
                };
                expected.at = at.now.as_millis();
                expected.deadline = predicted_end.at;
                expected.version = self.reference.newest().version;
                expected.status = ending.status.as_str();
                expected.reason = ending.reason.as_str();
                expected.by = ending.by.as_str();
            }
            ensure(End::from(closing) == expected, "an end says how, when, why and by whom", || {
                format!("{closing:?} instead of {expected:?}")
            })?;
        }
        Ok(())
    }

    fn is_known_over(&self, id: SessionId) -> bool {
        self.reference.sessions.get(&id).is_some_and(|known| known.closing.is_some())
    }

    /// Tokens for all sessions that a browser is shown.
    pub(super) fn tokens(
        &mut self,
        at: Moment,
        loaded: &Loaded,
        browser: &ClientWithSessions,
    ) -> Result<Vec<SessionId>, Violation> {
        let shown = browser.sessions.iter().filter(|one| time_left(at.now, &loaded.policy, one).is_some());
        let mut minted = Vec::new();
        for session in shown {
            if self.issue_token(at, &loaded.policy, &loaded.settings, session, None)? {
                minted.push(session.id);
            }
        }
        Ok(minted)
    }

    /// Whether there is a token for a session, its times checked.
    pub(super) fn issue_token(
        &mut self,
        at: Moment,
        policy: &Policy,
        settings: &Settings,
        session: &Session,
        lifetime_seconds: Option<u32>,
    ) -> Result<bool, Violation> {
        let request = TokenRequest {
            now: at.now,
            wall: at.wall,
            issuer: "https://clerk.example.com",
            origin: None,
            jti: String::new(),
            lifetime_seconds,
        };
        let minted = claims::issue_token(request, policy, &settings.token, session, None);
        let predicted_end = predicted_end(&self.reference.settings, session);
        let left = if has_come(&self.reference.settings, session, &predicted_end, at.now) {
            0
        } else {
            predicted_end.at - at.now.as_millis()
        };
        let Ok(claims) = minted else {
            return ensure(left < 1000, "an open session gets its token", || format!("{left} ms are left"))
                .map(|()| false);
        };
        let lifetime = i64::from(lifetime_seconds.unwrap_or(settings.token.lifetime));
        let end = (at.wall.as_secs() + lifetime).min((at.wall.as_millis() + left).div_euclid(1000));
        ensure(left >= 1000 && claims.expires_at() == end, "no token outlives its session", || {
            format!("exp {} instead of {end}, {left} ms are left at {at:?}", claims.expires_at())
        })?;
        self.coverage.tokens += 1;
        Ok(true)
    }

    /// Before an answer is sent: no token for what was over when the request
    /// began, and every end that it found is stored.
    pub(super) fn check_answer(&mut self, request: &Request, decision: &Decision) -> Result<(), Violation> {
        self.coverage.refused += u64::from(decision.answer.is_refused);
        for id in &decision.answer.tokens {
            let ended = self.reference.sessions.get(id).and_then(|known| known.closing);
            let is_late = ended.is_some_and(|(_, order)| order <= request.begun);
            ensure(!is_late, "I2: no token after an end that was acknowledged", || {
                format!("{id}: {ended:?}")
            })?;
        }
        for id in &decision.found_over {
            let row = self.row(*id)?;
            let is_stored = row.is_none_or(|row| row.closed.is_some());
            ensure(is_stored, "an end is stored before it is answered", || format!("{id}"))?;
        }
        Ok(())
    }

    fn row(&self, id: SessionId) -> Result<Option<Session>, Violation> {
        ready(self.rows.session(self.instance, id)).map_err(unexpected)
    }

    /// After an admission: one session in single-session mode, one per account otherwise.
    pub(super) fn check_admission(&self, changes: &ChangeSet) -> Result<(), Violation> {
        for write in &changes.writes {
            let Write::InsertSession(admitted) = write else { continue };
            let filter = SessionFilter {
                client_id: Some(admitted.client_id),
                stored: Some(StoredStatus::Open),
                limit: u32::MAX,
                ..SessionFilter::default()
            };
            let (open, _) = ready(self.rows.sessions(self.instance, filter)).map_err(unexpected)?;
            let multi_session = self.reference.multi_session;
            ensure(
                multi_session || open.len() == 1,
                "I3: single-session mode never admits a second session",
                || format!("{open:?}"),
            )?;
            let same = open.iter().filter(|one| one.user_id == admitted.user_id).count();
            ensure(same == 1, "I3: an account is signed in once in a browser", || format!("{open:?}"))?;
            let user = ready(self.rows.user(self.instance, admitted.user_id)).map_err(unexpected)?;
            let is_banned = user.is_some_and(|user| user.banned);
            ensure(!is_banned, "a banned user is not admitted", || format!("{}", admitted.user_id))?;
        }
        Ok(())
    }

    /// After every step: what is over is stored so and stays so, what is not is open.
    pub(super) fn check_rows(&mut self) -> Result<(), Violation> {
        let ids: Vec<SessionId> = self.reference.sessions.keys().copied().collect();
        for id in ids {
            let (closing, is_purged) = {
                let known = &self.reference.sessions[&id];
                (known.closing.map(|(closing, _)| closing), known.is_purged)
            };
            let row = self.row(id)?;
            let Some(row) = row else {
                ensure(is_purged, "a session leaves only when its time after the end is over", || {
                    format!("{id}")
                })?;
                continue;
            };
            ensure(row.closed == closing, "I1: what is over stays over", || {
                format!("{id} is stored as {:?} instead of {closing:?}", row.closed)
            })?;
            let stays = row.closed.is_none() || self.stays_as_it_ended(&row);
            ensure(stays, "I1: what is over stays as it ended", || format!("{row:?}"))?;
        }
        Ok(())
    }

    /// At the end: the outbox has every admission and every end exactly once.
    pub(super) fn check_events(&self) -> Result<(), Violation> {
        let entries = ready(self.rows.outbox(self.instance, None, u32::MAX)).map_err(unexpected)?;
        for (id, known) in &self.reference.sessions {
            let text = id.to_string();
            let of_this = entries.iter().filter(|entry| entry.data.to_string().contains(&text));
            let (created, ended): (Vec<_>, Vec<_>) =
                of_this.partition(|entry| entry.name == "session.created");
            ensure(created.len() == 1, "every admission is in the outbox once", || {
                format!("{id}: {created:?}")
            })?;
            let is_right = match (known.closing, ended.as_slice()) {
                (None, []) => true,
                (Some((closing, _)), [entry]) => {
                    entry.name == format!("session.{}", closing.status.as_str())
                        && entry.data.to_string().contains(closing.reason.as_str())
                }
                _ => false,
            };
            ensure(is_right, "every end is in the outbox once", || {
                format!("{:?} as {ended:?}", known.closing)
            })?;
        }
        Ok(())
    }
}
