//! What is done to the whole instance: its settings, its test clock, what is
//! kept; and how it is told.

use sojourn_core::{
    event::Event,
    forecast::{Forecast, HORIZON, WouldEnd},
    policy::Policy,
    session::{Closing, EndReason, Session},
    settings::Settings,
    testing::oracle::Limits,
    time::{Moment, Timestamp, minutes, seconds},
};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    Mutation, Violation, ensure,
    handlers::Request,
    reference_state::predicted_end,
    step::{Ask, Choice, Turn, Way},
    world::{World, ready, session_settings, unexpected},
};

impl World {
    /// Puts settings into force. With `audit`, what the dry run says is held
    /// against what then happens, at once and within the hour.
    pub(super) fn settings(&mut self, node: usize, choice: Choice, audit: bool) -> Result<(), Violation> {
        let node = node % self.nodes.len();
        self.follow_test_clock(node)?;
        let audit = audit && self.nodes.len() == 1 && self.nodes[node].test.frozen_at.is_none();
        if audit {
            self.ask(node, 0, Ask::Sweep, Way::AtOnce)?;
        }
        let at = self.moment(node);
        let engine = &self.nodes[node].engine;
        let (before, policy) = ready(engine.settings(self.instance)).map_err(unexpected)?;
        let mut after = Settings { version: before.version + 1, ..before.clone() };
        after.ends_all_sessions = choice.ends_all;
        after.session = session_settings(&before, choice, choice.multi_session);
        after.in_force_from = at.now.max(before.in_force_from);
        let open = self.open()?;
        let judged_by = match self.mutation {
            Some(Mutation::WrongForecast) => Policy::new(*policy.current()),
            _ => policy,
        };
        let mut forecast = Forecast::new(at.now, judged_by, after.policy_version());
        open.iter().for_each(|session| forecast.see(session));
        let dry_run = forecast.would_end();
        let expected = self.would_end(at.now, &after, &open);
        let version = after.version;
        let set = ChangeSet::new(self.instance, at, &mut self.rng)
            .write(Write::Settings(after))
            .event(Event::SessionSettingsChanged { version });
        self.tell(&format!("node {node}: {}", told_choice(choice)));
        let place = self.place_of(node, at);
        ready(self.nodes[node].engine.commit(set.clone())).map_err(unexpected)?;
        self.reference.commit(place, &set)?;
        if audit { self.audit(node, at, dry_run, expected) } else { Ok(()) }
    }

    /// What a dry run has to say, and how many end within the hour in all.
    fn would_end(&self, now: Timestamp, after: &Settings, open: &[Session]) -> (WouldEnd, u64) {
        let mut changed = self.reference.settings.clone();
        changed.push(Limits::from(&after.policy_version()));
        let (now, later) = (now.as_millis(), (now + HORIZON).as_millis());
        let mut would_end = WouldEnd::default();
        let mut all = 0;
        for session in open {
            let (before, after) =
                (predicted_end(&self.reference.settings, session).at, predicted_end(&changed, session).at);
            let is_its_doing = |at: i64| after <= at && at < before;
            would_end.now += u64::from(is_its_doing(now));
            would_end.within_one_hour += u64::from(!is_its_doing(now) && is_its_doing(later));
            all += u64::from(after <= later);
        }
        (would_end, all)
    }

    /// Holds the dry run of a change against what happens then, if nobody comes.
    fn audit(
        &mut self,
        node: usize,
        at: Moment,
        dry_run: WouldEnd,
        (expected, all): (WouldEnd, u64),
    ) -> Result<(), Violation> {
        const PROMISE: &str = "the dry run says what then happens";
        self.coverage.audits += 1;
        ensure(dry_run == expected, PROMISE, || format!("{dry_run:?} instead of {expected:?}"))?;
        let ended =
            |world: &Self| world.reference.sessions.values().filter(|known| known.closing.is_some()).count();
        let before = ended(self);
        self.ask(node, 0, Ask::Sweep, Way::AtOnce)?;
        let at_once = (ended(self) - before) as u64;
        ensure(at_once == dry_run.now, PROMISE, || format!("{at_once} ended at once, {dry_run:?}"))?;
        // A clock that was set back stands still for a while.
        let mut now = at.now;
        while now < at.now + HORIZON {
            self.wait((at.now + HORIZON).as_millis() - now.as_millis())?;
            now = self.moment(node).now;
        }
        self.ask(node, 0, Ask::Sweep, Way::AtOnce)?;
        let within = (ended(self) - before) as u64;
        ensure(within == all || now > at.now + HORIZON, PROMISE, || {
            format!("{within} ended within the hour instead of {all}")
        })
    }

    /// Moves the test clock.
    pub(super) fn turn_clock(&mut self, node: usize, turn: Turn) -> Result<(), Violation> {
        let node = node % self.nodes.len();
        self.follow_test_clock(node)?;
        let (at, clock) = (self.moment(node), self.nodes[node].test);
        let mut set = ChangeSet::new(self.instance, at, &mut self.rng);
        let next = match turn {
            Turn::Advance { seconds: by } => clock.advance(at.wall, seconds(by)).unwrap_or(clock),
            Turn::Freeze => clock.freeze(at.wall),
            Turn::Resume => clock.resume(at.wall),
            Turn::Reset => {
                set = set.write(Write::RebaseOpenSessions(at.wall.as_millis() - at.now.as_millis()));
                clock.reset()
            }
        };
        set = set.write(Write::TestClock(next));
        self.tell(&format!("node {node}: the test clock, {turn:?}"));
        let place = self.place_of(node, at);
        ready(self.nodes[node].engine.commit(set.clone())).map_err(unexpected)?;
        self.reference.commit(place, &set)?;
        if turn == Turn::Reset {
            self.nodes[node].test.resets += 1;
            // What other nodes have in memory is of the time before, until they follow.
            for other in 0..self.nodes.len() {
                self.follow_test_clock(other)?;
            }
        }
        self.follow_test_clock(node)
    }

    pub(super) fn purge(&mut self, node: usize, at: Moment, kept: i64) -> Result<(), Violation> {
        let before = at.now - minutes(kept.unsigned_abs());
        while ready(self.nodes[node].engine.purge_sessions(self.instance, before, 2)).map_err(unexpected)? > 0
        {
        }
        for known in self.reference.sessions.values_mut() {
            known.is_purged |= known.closing.is_some_and(|(closing, _)| closing.at <= before);
        }
        Ok(())
    }

    fn open(&self) -> Result<Vec<Session>, Violation> {
        let filter =
            SessionFilter { stored: Some(StoredStatus::Open), limit: u32::MAX, ..SessionFilter::default() };
        Ok(ready(self.nodes[0].engine.sessions(self.instance, filter)).map_err(unexpected)?.0)
    }

    /// Counts what a set brings about.
    pub(super) fn count(&mut self, changes: &ChangeSet) {
        for write in &changes.writes {
            match write {
                Write::InsertSession(_) => self.coverage.admitted += 1,
                Write::CloseSession(Session { closed: Some(Closing { reason, .. }), .. }) => match reason {
                    EndReason::InactivityTimeout
                    | EndReason::MaximumLifetime
                    | EndReason::ImpersonationOver => {
                        self.coverage.lapsed += 1;
                    }
                    EndReason::SettingsTightened => self.coverage.tightened += 1,
                    _ => self.coverage.ended += 1,
                },
                _ => {}
            }
        }
    }

    pub(super) fn told_asked(&mut self, request: &Request, way: Way) {
        let Request { node, browser, ask, at, .. } = request;
        let who = match ask.is_of_a_browser() {
            true => format!("browser {browser}"),
            false => "the server of the application".to_owned(),
        };
        let how = match way {
            Way::AtOnce => "",
            Way::Held => "; it does not get through yet",
            Way::AnswerLost => "; the answer is lost",
            Way::SentTwice => "; it is written twice",
        };
        let clock = told_clock(*at);
        self.tell(&format!("{who} asks node {node}{clock}: {ask:?}{how}"));
    }
}

fn told_clock(at: Moment) -> String {
    let relative = |time: Timestamp| (time.as_millis() - crate::START.as_millis()) as f64 / 1000.0;
    match at.now == at.wall {
        true => format!(" at {}", relative(at.now)),
        false => format!(" at {} ({} on the wall)", relative(at.now), relative(at.wall)),
    }
}

fn told_choice(choice: Choice) -> String {
    let span = |span: Option<u64>| span.map_or("off".to_owned(), |seconds| format!("{seconds} s"));
    let multi_session = choice.multi_session.map_or("as before".to_owned(), |on| on.to_string());
    format!(
        "settings: inactivity {}, maximum {}, several accounts {multi_session}{}",
        span(choice.idle),
        span(choice.longest),
        if choice.ends_all { ", everybody signed out" } else { "" }
    )
}
