//! The reference state of a simulated world: the facts, kept beside the server. What was
//! acknowledged, when sessions began, which activity was answered, which sessions are over.
//! What follows from the facts the oracle says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sojourn_core::{
    client::SecretHash,
    id::{ClientId, SessionId, TicketId, UserId},
    impersonation::INACTIVITY,
    policy::Policy,
    session::{Closing, Session, Verdict, decide},
    settings::Settings,
    testing::oracle::{End, Limits, ReferenceSession, millis},
    time::{Moment, Timestamp},
};
use sojourn_store::{ChangeSet, Write};

use super::{Violation, ensure, violation};

/// Everything that the simulation knows independently of the server.
#[derive(Debug, Default)]
pub struct ReferenceState {
    pub settings: Vec<Limits>,
    /// Whether a browser may hold several accounts, by the newest settings.
    pub multi_session: bool,
    /// How long ended sessions are kept, by the newest settings.
    pub kept: Duration,
    pub sessions: BTreeMap<SessionId, Known>,
    pub clients: BTreeMap<ClientId, Vec<Secret>>,
    pub tickets: BTreeMap<TicketId, u32>,
    /// Runs of nodes that cannot write activity for now.
    pub stalled: BTreeSet<u64>,
    /// Counts commits.
    pub order: u64,
}

/// A session that was admitted.
#[derive(Debug)]
pub struct Known {
    pub client: ClientId,
    pub user: UserId,
    /// With which commit.
    pub admitted: u64,
    noted: Vec<Noted>,
    /// How it ended, and with which commit.
    pub closing: Option<(Closing, u64)>,
    pub is_purged: bool,
    created_at: i64,
    /// The newest settings when it began.
    under: u64,
}

/// Activity that was answered.
#[derive(Clone, Copy, Debug)]
struct Noted {
    at: i64,
    /// When, on a clock that is never wrong.
    real: i64,
    node: u64,
    /// How coarsely it was to be stored.
    coarse: i64,
    /// The node was gone before it had time to write it.
    is_lost: bool,
    /// It is in the rows, to the millisecond.
    is_stored: bool,
}

/// A secret that a browser was given.
#[derive(Clone, Copy, Debug)]
pub struct Secret {
    pub hash: SecretHash,
    /// By the session clock.
    pub since: i64,
    /// With which commit.
    pub order: u64,
    /// When it came back, by the clock of the node that saw it: from then on the
    /// one before is good for nothing.
    pub seen_at: Option<i64>,
}

/// Where and when something is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub at: Moment,
    /// On a clock that is never wrong.
    pub real: i64,
    /// Which run of which node.
    pub node: u64,
}

/// How a session ends by what is stored of it, if nothing happens any more.
pub fn predicted_end(settings: &[Limits], session: &Session) -> End {
    let (created, active) = (session.created_at.as_millis(), session.last_active_at.as_millis());
    let under = session.settings_version;
    match &session.impersonation {
        None => ReferenceSession::predicted_end(created, active, under, settings),
        Some(own) => ReferenceSession::predicted_end_of_impersonation(
            (created, active, under),
            millis(INACTIVITY),
            millis(own.maximum),
            settings,
        ),
    }
}

/// Whether a session is over at `now`. A revocation of all sessions ends those that
/// began before it on every node, also on one whose clock is behind.
pub fn has_come(settings: &[Limits], session: &Session, predicted_end: &End, now: Timestamp) -> bool {
    let signs_out = |limits: &Limits| limits.ends_all && limits.version > session.settings_version;
    predicted_end.at <= now.as_millis() || settings.iter().any(signs_out)
}

impl ReferenceState {
    /// The newest settings.
    pub fn newest(&self) -> Limits {
        *self.settings.last().expect("settings")
    }

    /// Settings are in force.
    pub fn change(&mut self, settings: &Settings) {
        let mut limits = Limits::from(&settings.policy_version());
        limits.from = self.settings.last().map_or(limits.from, |last| limits.from.max(last.from));
        self.multi_session = settings.session.multi_session_enabled;
        self.kept = settings.session.ended_sessions_kept();
        self.settings.push(limits);
    }

    /// The policy that a node loaded is the one that is stored.
    pub fn check_policy(&self, policy: &Policy) -> Result<(), Violation> {
        let seen = policy.spans().map(|(version, _)| (version.version, version.in_force_from.as_millis()));
        let stored = self.settings.iter().map(|limits| (limits.version, limits.from));
        ensure(seen.eq(stored), "every request reads the newest settings", || {
            format!("{policy:?} instead of {:?}", self.settings)
        })
    }

    /// A session as a node loaded it: the rule agrees with the oracle on what is
    /// stored, and what is stored is not staler than it may be.
    pub fn check_session(&self, place: Place, policy: &Policy, session: &Session) -> Result<(), Violation> {
        let id = session.id;
        let Some(known) = self.sessions.get(&id) else {
            return violation("no session comes from nowhere", format!("{id}"));
        };
        if let Some((closing, _)) = known.closing {
            return ensure(session.closed == Some(closing), "I1: what is over stays over", || {
                format!("{id} ended with {closing:?} and is {:?}", session.closed)
            });
        }
        ensure(session.closed.is_none(), "an end has a record", || format!("{id}: {:?}", session.closed))?;
        let (now, predicted_end) = (place.at.now, predicted_end(&self.settings, session));
        let is_over = has_come(&self.settings, session, &predicted_end, now);
        let verdict = decide(now, policy, session);
        let agrees = match verdict {
            Verdict::Open { until, .. } => !is_over && until.as_millis() == predicted_end.at,
            Verdict::Closed(closing) => is_over && End::from(closing) == predicted_end,
        };
        ensure(agrees, "the rule agrees with the oracle", || {
            format!("{verdict:?} at {now:?}, but {predicted_end:?} of {session:?} under {:?}", self.settings)
        })?;
        let began = (session.created_at.as_millis(), session.settings_version);
        ensure(began == (known.created_at, known.under), "a session began when it began", || {
            format!("{session:?} instead of {known:?}")
        })?;
        self.check_activity(place, known, session)
    }

    /// Activity is exact on the node that saw it; elsewhere it is known within a
    /// second, but for the coarseness with which it is stored.
    fn check_activity(&self, place: Place, known: &Known, session: &Session) -> Result<(), Violation> {
        let seen = session.last_active_at.as_millis();
        let least = known.noted.iter().filter_map(|noted| {
            let had_time = noted.real + 1000 <= place.real && !self.stalled.contains(&noted.node);
            match noted.node == place.node || noted.is_stored {
                true => Some(noted.at),
                false => (had_time && !noted.is_lost).then_some(noted.at - noted.coarse),
            }
        });
        let (least, most) = (least.max(), known.noted.iter().map(|noted| noted.at).max());
        let is_known = least.is_none_or(|least| least <= seen);
        ensure(is_known && most.is_none_or(|most| seen <= most), "activity is known in time", || {
            format!("{} was last active at {seen}, but it is {least:?} to {most:?}", session.id)
        })
    }

    /// A node is gone: what it had less than a second to write may be lost.
    pub fn crash(&mut self, node: u64, real: i64) {
        let was_stalled = self.stalled.remove(&node);
        for noted in self.noted_by(node) {
            noted.is_lost |= was_stalled || real < noted.real + 1000;
        }
    }

    /// A node's activity does not arrive in the rows, until it does.
    pub fn stall(&mut self, node: u64, real: i64, is_stalled: bool) {
        if is_stalled {
            self.stalled.insert(node);
        } else if self.stalled.remove(&node) {
            // From now on it has the second that it always has.
            self.noted_by(node).for_each(|noted| noted.real = real);
        }
    }

    /// A node has written all that it knew: it was stopped cleanly, or it changed
    /// the settings, before which those who were active are known to everybody.
    pub fn flushed(&mut self, node: u64) {
        self.noted_by(node).for_each(|noted| noted.is_stored = true);
    }

    fn noted_by(&mut self, node: u64) -> impl Iterator<Item = &mut Noted> {
        let noted = self.sessions.values_mut().flat_map(|known| &mut known.noted);
        noted.filter(move |noted| noted.node == node)
    }

    /// Activity was answered, by a node that knows the settings from `version` on:
    /// that is how coarsely it stores it.
    pub fn note(&mut self, place: Place, id: SessionId, version: u64) {
        let known = self.settings.iter().filter(|limits| limits.version >= version);
        let coarse = known.map(|limits| limits.idle.map_or(60_000, |idle| (idle / 20).min(60_000)));
        let coarse = coarse.max().unwrap_or(60_000);
        let Some(known) = self.sessions.get_mut(&id) else { return };
        let at = place.at.now.as_millis();
        known.noted.push(Noted {
            at,
            real: place.real,
            node: place.node,
            coarse,
            is_lost: false,
            is_stored: false,
        });
    }

    /// A set was committed.
    pub fn commit(&mut self, place: Place, changes: &ChangeSet) -> Result<(), Violation> {
        self.order += 1;
        for write in &changes.writes {
            match write {
                Write::InsertSession(session) => self.admit(place, session),
                Write::CloseSession(session) => self.close(session),
                Write::Client(client) => {
                    let secrets = self.clients.entry(client.id).or_default();
                    if secrets.last().is_none_or(|last| last.hash != client.secret) {
                        let since = changes.at.now.as_millis();
                        let order = self.order;
                        secrets.push(Secret { hash: client.secret, since, order, seen_at: None });
                    }
                }
                Write::AcceptTicket(id) => {
                    let uses = self.tickets.entry(*id).or_default();
                    *uses += 1;
                    let once = *uses == 1;
                    ensure(once, "I4: what is good for one use is used once", || format!("{id}"))?;
                }
                Write::Settings(settings) => {
                    self.flushed(place.node);
                    self.change(settings);
                }
                Write::RebaseOpenSessions(by) => {
                    self.flushed(place.node);
                    self.shift(*by);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn admit(&mut self, place: Place, session: &Session) {
        let at = session.last_active_at.as_millis();
        // What comes with the sign-in itself is stored at once.
        let noted =
            Noted { at, real: place.real, node: place.node, coarse: 0, is_lost: false, is_stored: true };
        let known = Known {
            client: session.client_id,
            user: session.user_id,
            admitted: self.order,
            noted: vec![noted],
            closing: None,
            is_purged: false,
            created_at: session.created_at.as_millis(),
            under: self.newest().version,
        };
        self.sessions.insert(session.id, known);
    }

    fn close(&mut self, session: &Session) {
        let (order, closing) = (self.order, session.closed);
        if let (Some(known), Some(closing)) = (self.sessions.get_mut(&session.id), closing) {
            known.closing.get_or_insert((closing, order));
        }
    }

    fn shift(&mut self, by: i64) {
        self.settings.iter_mut().for_each(|limits| limits.from += by);
        self.clients.values_mut().flatten().for_each(|secret| {
            secret.since += by;
            secret.seen_at = secret.seen_at.map(|at| at + by);
        });
        for known in self.sessions.values_mut().filter(|known| known.closing.is_none()) {
            known.noted.iter_mut().for_each(|noted| noted.at += by);
            known.created_at += by;
        }
    }

    /// How many secrets were given out since this one; `None` for one that was not.
    pub fn age(&self, client: ClientId, hash: &SecretHash) -> Option<usize> {
        self.clients.get(&client)?.iter().rev().position(|secret| secret.hash == *hash)
    }

    /// The newest secret of a browser.
    pub fn newest_secret(&self, client: ClientId) -> Option<Secret> {
        self.clients.get(&client)?.last().copied()
    }

    /// The newest secret was answered to nobody.
    pub fn forget_newest_secret(&mut self, client: ClientId) {
        if let Some(secrets) = self.clients.get_mut(&client) {
            secrets.pop();
        }
    }

    /// A secret came back, which the answer says that it saw at `now`.
    pub fn shown(&mut self, client: ClientId, hash: &SecretHash, now: i64) {
        let newest = self.clients.get_mut(&client).and_then(|secrets| secrets.last_mut());
        if let Some(secret) = newest.filter(|secret| secret.hash == *hash) {
            secret.seen_at = Some(secret.seen_at.map_or(now, |before| before.min(now)));
        }
    }
}
