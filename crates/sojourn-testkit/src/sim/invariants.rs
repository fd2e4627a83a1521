//! The invariants, checked in everything that the service loads and writes (which sessions
//! stay open, how the others ended, who may rotate a secret), in every answer (what it shows,
//! the times of its tokens), and after every step.

use sojourn_core::{
    client::Identity,
    id::{ClientId, SessionId},
    session::{ClosedStatus, EndReason, EndedBy, Ending, Session},
    testing::oracle::{End, Limits},
    time::Moment,
};
use sojourn_service::{Shown, tokens::session_claims};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    Violation, ensure,
    reference_state::{Secret, has_come, predicted_end},
    request::{Loaded, Request},
    step::Ask,
    use_cases::{MINTED_SECONDS, Outcome},
    violation,
    world::{World, ready, unexpected},
};

const I5: &str = "I5: an identity older than the last rotation authenticates nothing";
/// How long a secret that was rotated away is good, in milliseconds.
const GRACE: i64 = 30_000;
/// The end of a session that nobody heard of.
const REPLACED: Ending =
    Ending { status: ClosedStatus::Replaced, reason: EndReason::Replaced, by: EndedBy::User };

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

impl Secret {
    /// Whether the one before it is good for nothing any more.
    fn is_all(&self, at: Moment) -> bool {
        let now = at.now.as_millis();
        now >= self.since + GRACE || self.seen_at.is_some_and(|seen_at| now >= seen_at)
    }
}

impl World {
    /// Before a set counts: what it closes ended as it should have.
    pub(super) fn check_ends(&self, request: &Request, changes: &ChangeSet) -> Result<(), Violation> {
        for write in &changes.writes {
            let Write::CloseSession(session) = write else { continue };
            let Some(closing) = session.closed else { continue };
            let loaded = request.loaded.get(&session.client_id);
            let settings = loaded.map_or(&self.reference.settings, |loaded| &loaded.settings);
            let predicted_end = predicted_end(settings, session);
            let mut expected = predicted_end;
            if !has_come(settings, session, &predicted_end, changes.at.now) {
                let Some(ending) = self.asked_end(request, session) else {
                    return violation(
                        "only what is over is ended by limits",
                        format!("{closing:?}, {predicted_end:?}, for {:?}", request.ask),
                    );
                };
                expected.at = changes.at.now.as_millis();
                expected.deadline = predicted_end.at;
                expected.version = settings.last().map_or(0, |newest| newest.version);
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

    /// How a request ends a session that no limit ends, if it may.
    fn asked_end(&self, request: &Request, session: &Session) -> Option<Ending> {
        let (ask, meant) = (request.ask?, &request.meant);
        let is_named = meant.session == Some(session.id);
        let is_own = meant.cookie.as_ref().is_some_and(|cookie| cookie.client_id == session.client_id);
        let user_of = |id: SessionId| self.reference.sessions.get(&id).map(|known| known.user);
        match ask {
            Ask::SignOut { .. } if is_named && is_own => Some(Ending::SIGNED_OUT),
            Ask::End { .. } if is_named && is_own => Some(Ending::ENDED),
            Ask::SignOutAll if is_own => Some(Ending::SIGNED_OUT_EVERYWHERE),
            Ask::Revoke { .. } if is_named => {
                Some(Ending::revoked(EndReason::RevokedByBackend, EndedBy::Backend))
            }
            Ask::Ban { .. } if meant.user == Some(session.user_id) => {
                Some(Ending::revoked(EndReason::UserBanned, EndedBy::Backend))
            }
            Ask::Password { .. } if !is_named && meant.session.and_then(user_of) == Some(session.user_id) => {
                Some(Ending::revoked(EndReason::PasswordChanged, EndedBy::User))
            }
            _ if ask.is_sign_in() && is_own && meant.user == Some(session.user_id) => {
                request.own().filter(|own| self.is_unheard(own, session)).map(|_| REPLACED)
            }
            _ => None,
        }
    }

    /// Whether the secret of before the last rotation came, and nobody has shown the new one.
    fn is_unanswered(own: &Loaded) -> bool {
        own.age == Some(1) && own.newest.is_some_and(|newest| newest.seen_at.is_none())
    }

    /// Whether a session was opened by an answer that may never have arrived. What began in
    /// the same millisecond is taken for its doing as well, or later by a clock that is ahead.
    fn is_unheard(&self, own: &Loaded, session: &Session) -> bool {
        let Some(newest) = own.newest.filter(|_| Self::is_unanswered(own)) else { return false };
        let known = self.reference.sessions.get(&session.id);
        known.is_some_and(|known| known.admitted >= newest.order)
            || session.created_at.as_millis() >= newest.since
    }

    /// The sessions of a browser that are open: those that its holder knows nothing of, and
    /// the others.
    fn open_of<'a>(&self, own: &'a Loaded, at: Moment) -> (Vec<&'a Session>, Vec<&'a Session>) {
        let is_open = |session: &&Session| {
            !has_come(&own.settings, session, &predicted_end(&own.settings, session), at.now)
        };
        own.browser.sessions.iter().filter(is_open).partition(|session| self.is_unheard(own, session))
    }

    /// Whether what the lost answer opened is the account's that is proved, and in time.
    fn repeats(&self, request: &Request, own: &Loaded, at: Moment) -> bool {
        let (unheard, _) = self.open_of(own, at);
        let of_user = |session: &&Session| Some(session.user_id) == request.meant.user;
        request.ask.is_some_and(Ask::is_sign_in)
            && Self::is_in_time(own, at)
            && !unheard.is_empty()
            && unheard.iter().all(of_user)
    }

    fn is_in_time(own: &Loaded, at: Moment) -> bool {
        let since = own.newest.map(|newest| newest.since);
        Self::is_unanswered(own) && since.is_some_and(|since| at.now.as_millis() < since + GRACE)
    }

    /// Before a set counts: only who has the newest secret of a browser replaces it, or who
    /// proves again what a lost answer was to.
    pub(super) fn check_rotation(&mut self, request: &Request, changes: &ChangeSet) -> Result<(), Violation> {
        for write in &changes.writes {
            let Write::Client(client) = write else { continue };
            let newest = self.reference.newest_secret(client.id);
            if newest.is_none_or(|newest| newest.hash == client.secret) {
                continue;
            }
            let own = request.own().filter(|own| own.browser.client.id == client.id);
            let is_current = own.is_some_and(|own| own.age == Some(0));
            let repeats = own.is_some_and(|own| self.repeats(request, own, changes.at));
            ensure(is_current || repeats, I5, || format!("{:?} rotates by {own:?}", request.ask))?;
            if repeats {
                // Nobody has the secret that was never answered.
                self.reference.forget_newest_secret(client.id);
                self.coverage.repeats += 1;
            }
        }
        Ok(())
    }

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

    fn is_banned(&self, user: Option<sojourn_core::id::UserId>) -> Result<bool, Violation> {
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
            let is_banned = self.is_banned(Some(admitted.user_id))?;
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

    /// Reads on in the outbox: what was told of each session.
    pub(super) fn read_events(&mut self) -> Result<(), Violation> {
        let behind = Some(self.events_read);
        let entries = ready(self.rows.outbox(self.instance, behind, u32::MAX)).map_err(unexpected)?;
        for entry in entries {
            self.events_read = entry.seq;
            let Some(id) = entry.data["session_id"].as_str().and_then(|id| id.parse().ok()) else { continue };
            let reason = entry.data["reason"].as_str().unwrap_or_default().to_owned();
            self.events.entry(id).or_default().push((entry.name, reason));
        }
        Ok(())
    }

    /// At the end: the outbox had every admission and every end exactly once.
    pub(super) fn check_events(&self) -> Result<(), Violation> {
        for (id, known) in &self.reference.sessions {
            let told = self.events.get(id).map(Vec::as_slice).unwrap_or_default();
            let (created, ended): (Vec<_>, Vec<_>) =
                told.iter().partition(|(name, _)| name == "session.created");
            ensure(created.len() == 1, "every admission is in the outbox once", || {
                format!("{id}: {created:?}")
            })?;
            let is_right = match (known.closing, ended.as_slice()) {
                (None, []) => true,
                (Some((closing, _)), [(name, reason)]) => {
                    *name == format!("session.{}", closing.status.as_str())
                        && reason == closing.reason.as_str()
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
