//! Answers, checked before they are sent: what they show and to whom, the times of their
//! tokens, that every end is stored, and that what was asked for has happened.

use sojourn_core::{
    client::Identity,
    id::{ClientId, SessionId, UserId},
    session::Session,
    testing::oracle::Limits,
    time::Moment,
};
use sojourn_service::{Shown, tokens::session_claims};
use sojourn_store::Engine as _;

use super::{
    Violation, ensure,
    invariants::I5,
    reference_state::{has_come, predicted_end},
    request::{Loaded, Request},
    step::Ask,
    use_cases::{MINTED_SECONDS, Outcome},
    violation,
    world::{World, ready, unexpected},
};

/// Whether the secret that a request came with may see a session of a browser: one that was
/// rotated away sees for a while what began before.
fn may_see(request: &Request, at: Moment, loaded: &Loaded, session: &Session) -> bool {
    let client = loaded.browser.client.id;
    let is_own = request.meant.cookie.as_ref().is_some_and(|own| own.client_id == client);
    match (loaded.age, loaded.newest) {
        (Some(1), Some(newest)) if is_own => {
            session.created_at.as_millis() < newest.since && !newest.is_all(at)
        }
        (age, _) => !is_own || age == Some(0),
    }
}

impl World {
    /// Before an answer is sent.
    pub(super) fn check_answer(&mut self, request: &Request, outcome: &Outcome) -> Result<(), Violation> {
        let at = request.at(self);
        self.coverage.refused += u64::from(outcome.is_refused);
        if let Some(shown) = &outcome.shown {
            self.check_identity(request, outcome, shown)?;
            self.check_shown(request, outcome, shown)?;
        }
        self.check_token(request, outcome)?;
        self.check_stored(request, outcome)?;
        self.check_done(request, outcome)?;
        self.check_seen(request, outcome)?;
        if request.ask.is_some_and(Ask::is_sign_in) {
            self.check_sign_in(request, outcome, at)?;
        }
        let confirms = request.ask.is_some_and(Ask::shows_the_secret) && !outcome.is_refused;
        if let (true, Some(cookie)) = (confirms, &request.meant.cookie) {
            self.reference.shown(cookie.client_id, &cookie.hash(), at.now.as_millis());
        }
        Ok(())
    }

    /// What an old secret may see, and that it changes nothing.
    fn check_identity(
        &mut self,
        request: &Request,
        outcome: &Outcome,
        shown: &Shown,
    ) -> Result<(), Violation> {
        let Some(own) = request.own() else { return Ok(()) };
        self.coverage.old_secrets += u64::from(own.age != Some(0));
        // Who was signed in has a newer secret now; how, the rotation was asked.
        if outcome.admitted.is_some() {
            return Ok(());
        }
        let identity = shown.caller.identity;
        let may_change = matches!(identity, Identity::Current { .. });
        let may_read = matches!(identity, Identity::Predecessor { .. });
        let at = request.at(self);
        let is_late = own.newest.is_none_or(|newest| newest.is_all(at));
        let what = || format!("{identity:?} by a secret of {:?} rotations ago, {:?}", own.age, own.newest);
        ensure(!may_change || own.age == Some(0), I5, what)?;
        ensure(!may_read || (own.age == Some(1) && !is_late), I5, what)?;
        let sees = shown.browser.iter().flat_map(|browser| &browser.sessions);
        for session in sees.filter(|_| may_read) {
            let admitted = self.reference.sessions.get(&session.id).map(|known| known.admitted);
            let was_there = admitted < own.newest.map(|newest| newest.order);
            ensure(was_there, I5, || format!("it sees {session:?}"))?;
        }
        let is_known = may_change || may_read || shown.browser.is_none();
        ensure(is_known, I5, || format!("{identity:?} sees {:?}", shown.browser))
    }

    /// Nothing that is over is shown, and everything that is open, with its token.
    fn check_shown(&mut self, request: &Request, outcome: &Outcome, shown: &Shown) -> Result<(), Violation> {
        let Some(browser) = &shown.browser else { return Ok(()) };
        let at = request.at(self);
        let Some(loaded) = request.loaded.get(&browser.client.id) else { return Ok(()) };
        let settings = &loaded.settings;
        for session in &browser.sessions {
            // As it was before this request counted as activity.
            let was = loaded.browser.sessions.iter().find(|one| one.id == session.id).unwrap_or(session);
            let predicted_end = predicted_end(settings, was);
            let closed = self.reference.sessions.get(&session.id).and_then(|known| known.closing);
            let was_closed = closed.is_some_and(|(_, order)| order <= loaded.order);
            let is_open = !has_come(settings, was, &predicted_end, at.now) && !was_closed;
            ensure(is_open, "nothing that is over is taken for open", || {
                format!("{predicted_end:?} at {:?}", at.now)
            })?;
            // As the answer carries one with each session.
            if outcome.token.is_none() {
                let service = &self.nodes[request.node].service;
                let claims = session_claims(service, &shown.caller.request, session, None);
                let exp = claims.ok().map(|claims| claims.expires_at());
                self.check_expiry(at, settings, session, None, exp)?;
            }
        }
        let is_current = matches!(shown.caller.identity, Identity::Current { .. });
        for session in loaded.browser.sessions.iter().filter(|_| is_current) {
            let is_shown = browser.sessions.iter().any(|one| one.id == session.id);
            if !is_shown && !request.closed.contains(&session.id) {
                self.check_expiry(at, settings, session, None, None)?;
            }
        }
        Ok(())
    }

    /// No token for what was over when the request began, nor for longer than the session is.
    fn check_token(&mut self, request: &Request, outcome: &Outcome) -> Result<(), Violation> {
        let at = request.at(self);
        let named = request.meant.session.filter(|_| matches!(request.ask, Some(Ask::Token { .. })));
        let Some((id, claims)) = &outcome.token else {
            // A refusal of what is open would sign somebody out.
            let own = request.own().filter(|own| own.age == Some(0));
            let held = |own: &Loaded| own.browser.sessions.iter().find(|one| Some(one.id) == named).cloned();
            let session = own.and_then(held).filter(|session| !request.closed.contains(&session.id));
            return match (own, session) {
                (Some(own), Some(session)) => self.check_expiry(at, &own.settings, &session, None, None),
                _ => Ok(()),
            };
        };
        let known = self.reference.sessions.get(id);
        let ended = known.and_then(|known| known.closing);
        let is_late = ended.is_some_and(|(_, order)| order <= request.begun);
        ensure(!is_late, "I2: no token after an end that was acknowledged", || format!("{id}: {ended:?}"))?;
        let Some(loaded) = known.and_then(|known| request.loaded.get(&known.client)) else {
            return violation("I2: no token after an end that was acknowledged", format!("{id}: {known:?}"));
        };
        let shown = outcome.shown.as_ref().and_then(|shown| shown.browser.as_ref());
        let browser = shown.unwrap_or(&loaded.browser);
        let Some(session) = browser.sessions.iter().find(|one| one.id == *id) else {
            return violation("nothing that is over is taken for open", format!("{id}, {browser:?}"));
        };
        let lifetime = matches!(request.ask, Some(Ask::Mint { .. })).then_some(MINTED_SECONDS);
        self.check_expiry(at, &loaded.settings, session, lifetime, Some(claims.expires_at()))
    }

    /// The end of a token, or that there is none.
    fn check_expiry(
        &mut self,
        at: Moment,
        settings: &[Limits],
        session: &Session,
        lifetime_seconds: Option<u32>,
        exp: Option<i64>,
    ) -> Result<(), Violation> {
        let predicted_end = predicted_end(settings, session);
        let left = match has_come(settings, session, &predicted_end, at.now) {
            true => 0,
            false => predicted_end.at - at.now.as_millis(),
        };
        let Some(exp) = exp else {
            return ensure(left < 1000, "an open session gets its token", || format!("{left} ms are left"));
        };
        let lifetime = i64::from(lifetime_seconds.unwrap_or(self.token_lifetime));
        let end = (at.wall.as_secs() + lifetime).min((at.wall.as_millis() + left).div_euclid(1000));
        ensure(left >= 1000 && exp == end, "no token outlives its session", || {
            format!("exp {exp} instead of {end}, {left} ms are left at {at:?}")
        })?;
        self.coverage.tokens += 1;
        Ok(())
    }

    /// Every end that the request found or made is stored.
    fn check_stored(&self, request: &Request, outcome: &Outcome) -> Result<(), Violation> {
        let at = request.at(self);
        let mut found = request.closed.clone();
        let shown = outcome.shown.as_ref().and_then(|shown| Some(shown.browser.as_ref()?.client.id));
        let is_sign_in = request.ask.is_some_and(Ask::is_sign_in);
        for loaded in request.loaded.values() {
            // Who is refused, or enters another browser, is told nothing of this one.
            if !is_sign_in || shown == Some(loaded.browser.client.id) {
                let over = loaded.browser.sessions.iter().filter(|session| {
                    let settings = &loaded.settings;
                    may_see(request, at, loaded, session)
                        && has_come(settings, session, &predicted_end(settings, session), at.now)
                });
                found.extend(over.map(|session| session.id));
            }
        }
        for id in found {
            self.ensure_stored(id)?;
        }
        let is_passed_by = |client: &&ClientId| !request.loaded.contains_key(client);
        let passed_by: Vec<&ClientId> = request.overdue.iter().filter(is_passed_by).collect();
        ensure(passed_by.is_empty(), "an end is stored before it is answered", || format!("{passed_by:?}"))
    }

    fn ensure_stored(&self, id: SessionId) -> Result<(), Violation> {
        let row = self.row(id)?;
        let is_stored = row.is_none_or(|row| row.closed.is_some());
        ensure(is_stored, "an end is stored before it is answered", || format!("{id}"))
    }

    /// What was asked to end has ended.
    fn check_done(&self, request: &Request, outcome: &Outcome) -> Result<(), Violation> {
        let Some(ask) = request.ask.filter(|_| !outcome.is_refused) else { return Ok(()) };
        let ended: Vec<SessionId> = match ask {
            Ask::SignOut { .. } | Ask::End { .. } | Ask::Revoke { .. } => {
                request.meant.session.into_iter().collect()
            }
            Ask::SignOutAll => match request.own().filter(|own| own.age == Some(0)) {
                Some(own) => own.browser.sessions.iter().map(|session| session.id).collect(),
                None => Vec::new(),
            },
            Ask::Ban { .. } => {
                let of_user = self.reference.sessions.iter().filter(|(_, known)| {
                    Some(known.user) == request.meant.user && known.admitted <= request.begun
                });
                of_user.map(|(id, _)| *id).collect()
            }
            _ => Vec::new(),
        };
        ended.into_iter().try_for_each(|id| self.ensure_stored(id))
    }

    /// What counts as activity was noted with the time of the request, and nothing else (S3).
    fn check_seen(&self, request: &Request, outcome: &Outcome) -> Result<(), Violation> {
        let (Some(ask), Some(own)) = (request.ask, request.own()) else { return Ok(()) };
        // A session that nobody may act for any more, or has less than a second left, has no token.
        let shown = outcome.shown.as_ref().and_then(|shown| shown.browser.as_ref());
        let named = request.meant.session.filter(|_| !outcome.is_refused);
        let acts = |id| {
            let session = own.browser.sessions.iter().find(|session| session.id == id);
            session.is_some_and(|session| session.impersonation.is_some())
        };
        let expected = match ask {
            Ask::Token { hidden, .. } => named.filter(|id| !(hidden && own.visible) || acts(*id)),
            Ask::Touch { .. } => named,
            // The session that a page load is handed.
            Ask::Load | Ask::Handshake => shown.and_then(|_| {
                let open = self.open_of(own, request.at(self));
                let may_see = |one: &&&Session| may_see(request, request.at(self), own, one);
                let open: Vec<_> = open.0.iter().chain(&open.1).filter(may_see).copied().collect();
                let last = own.browser.client.last_active_session_id;
                let is_last = open.iter().find(|session| Some(session.id) == last);
                let recent = || open.iter().max_by_key(|session| (session.last_active_at, session.id));
                is_last.or_else(recent).map(|session| session.id)
            }),
            _ => None,
        };
        if self.moment(request.node).now < request.at(self).now {
            // The test clock was reset in between: nobody was there at a time that has not come yet.
            return Ok(());
        }
        let noted: Vec<SessionId> = request.seen.iter().map(|(id, _)| *id).collect();
        let in_time = request.seen.iter().all(|(_, at)| *at == request.at(self));
        ensure(in_time && noted == expected.as_slice(), "what counts as activity is noted", || {
            format!("{noted:?} instead of {expected:?}, {own:?}")
        })
    }

    /// Who may sign in is signed in, and ends what nobody heard of (decision 20).
    fn check_sign_in(&self, request: &Request, outcome: &Outcome, at: Moment) -> Result<(), Violation> {
        let own = request.own();
        let left_after = |own: &Loaded| at.wall > own.browser.client.signed_in_set_changed_at;
        let user = request.meant.user;
        if let (Some(own), Some(_)) = (own.filter(|own| left_after(own)), outcome.admitted) {
            let (unheard, _) = self.open_of(own, at);
            for orphan in unheard.iter().filter(|session| Some(session.user_id) == user) {
                let row = self.row(orphan.id)?;
                let has_ended = row.is_none_or(|row| row.closed.is_some());
                ensure(has_ended, "what nobody heard of ends when its account is proved again", || {
                    format!("{orphan:?}")
                })?;
            }
        }
        let is_used = matches!(request.ask, Some(Ask::ProveAgain { anew: false }));
        let may_enter = match own {
            None => !is_used,
            Some(own) => {
                let (unheard, others) = self.open_of(own, at);
                let has_room = others.is_empty()
                    || (own.multi_session && others.iter().all(|one| Some(one.user_id) != user));
                let all_of_user = unheard.iter().all(|one| Some(one.user_id) == user);
                let again = Self::is_in_time(own, at) && left_after(own) && all_of_user;
                let spent_here = !unheard.is_empty() && self.spent_here(request, own);
                has_room
                    && match is_used {
                        true => again && spent_here,
                        false => again || own.age == Some(0),
                    }
            }
        };
        // Older tickets may be used, or too old.
        let has_ticket = matches!(request.ask, Some(Ask::SignIn { .. } | Ask::ProveAgain { .. }));
        let must_enter = request.is_alone && has_ticket && may_enter && !self.is_banned(user)?;
        let has_entered = outcome.admitted.is_some() || !must_enter;
        ensure(has_entered, "who may sign in is signed in", || {
            format!("{:?} with {:?}, {own:?}", request.ask, request.meant)
        })
    }

    pub(super) fn is_banned(&self, user: Option<UserId>) -> Result<bool, Violation> {
        let Some(id) = user else { return Ok(true) };
        let user = ready(self.rows.user(self.instance, id)).map_err(unexpected)?;
        Ok(user.is_none_or(|user| user.banned))
    }

    /// Whether the ticket of the lost answer was used for the session that nobody heard of.
    fn spent_here(&self, request: &Request, own: &Loaded) -> bool {
        let lost = self.profiles[request.browser].lost.as_ref();
        let spent = lost.and_then(|lost| lost.spent);
        spent.is_some() && spent == own.newest.map(|newest| newest.order)
    }
}
