//! The invariants of what the service writes (how sessions end, who may rotate a secret, who is
//! admitted), and of the rows and the outbox after every step.

use sojourn_core::{
    id::SessionId,
    session::{ClosedStatus, EndReason, EndedBy, Ending, Session},
    testing::oracle::End,
    time::Moment,
};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    Violation, ensure,
    reference_state::{Secret, has_come, predicted_end},
    request::{Loaded, Request},
    step::Ask,
    violation,
    world::{World, ready, unexpected},
};

pub(super) const I5: &str = "I5: an identity older than the last rotation authenticates nothing";
/// How long a secret that was rotated away is good, in milliseconds.
const GRACE: i64 = 30_000;
/// The end of a session that nobody heard of.
const REPLACED: Ending =
    Ending { status: ClosedStatus::Replaced, reason: EndReason::Replaced, by: EndedBy::User };

impl Secret {
    /// Whether the one before it is good for nothing any more.
    pub fn is_all(&self, at: Moment) -> bool {
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
    pub(super) fn open_of<'a>(&self, own: &'a Loaded, at: Moment) -> (Vec<&'a Session>, Vec<&'a Session>) {
        let is_open = |session: &&Session| {
            !has_come(&own.settings, session, &predicted_end(&own.settings, session), at.now)
        };
        own.browser.sessions.iter().filter(is_open).partition(|session| self.is_unheard(own, session))
    }

    /// Whether what the lost answer opened is the account's that is proved, and in time.
    pub(super) fn repeats(&self, request: &Request, own: &Loaded, at: Moment) -> bool {
        let (unheard, _) = self.open_of(own, at);
        let of_user = |session: &&Session| Some(session.user_id) == request.meant.user;
        request.ask.is_some_and(Ask::is_sign_in)
            && Self::is_in_time(own, at)
            && !unheard.is_empty()
            && unheard.iter().all(of_user)
    }

    pub(super) fn is_in_time(own: &Loaded, at: Moment) -> bool {
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

    pub(super) fn row(&self, id: SessionId) -> Result<Option<Session>, Violation> {
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
