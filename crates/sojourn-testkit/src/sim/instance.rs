//! What is done to the whole instance: its settings, its test clock, what is
//! kept; and how it is told.

use sojourn_core::{
    audit::AuditContext,
    forecast::{HORIZON, WouldEnd},
    session::{Closing, EndReason, Session},
    settings::Settings,
    testing::oracle::Limits,
    time::{Moment, Timestamp, seconds},
};
use sojourn_service::{
    Failure,
    clock::ClockMove,
    settings::{Author, ChangeRequest},
};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoredStatus, Write};

use super::{
    Violation, ensure,
    reference_state::predicted_end,
    request::Request,
    step::{Ask, Choice, Turn, Way},
    world::{World, ready, session_settings, unexpected},
};

impl World {
    /// Puts settings into force. With `audit`, what the dry run says is held
    /// against what then happens, at once and within the hour.
    pub(super) fn settings(&mut self, node: usize, choice: Choice, audit: bool) -> Result<(), Violation> {
        let node = node % self.nodes.len();
        self.follow_test_clock(node)?;
        let audit =
            audit && self.nodes.len() == 1 && self.nodes[node].service.test_clock().frozen_at.is_none();
        if audit {
            self.ask(node, 0, Ask::Sweep, Way::AtOnce)?;
        }
        let (at, service) = (self.moment(node), self.nodes[node].service.clone());
        let mut request = Request::of_node(self, node);
        let decide = |before: &Settings| {
            let session = session_settings(before, choice, choice.multi_session);
            Ok(Settings { session, ..before.clone() })
        };
        let change = ChangeRequest {
            ends_all_sessions: choice.ends_all,
            ..ChangeRequest::by(Author::Named("backend".to_owned()), AuditContext::command_line(None))
        };
        let mut audited = None;
        if audit {
            let dry_run = ChangeRequest { dry_run: true, ..change.clone() };
            let changed = self.finish(&mut request, service.change_settings(&dry_run, decide))?;
            let changed = changed.map_err(unexpected)?;
            let told = self.finish(&mut request, service.would_end(&changed))?.map_err(unexpected)?;
            audited = Some((told, self.would_end(at.now, &changed.after)?));
        }
        self.tell(format_args!("node {node}: {}", told_choice(choice)));
        self.finish(&mut request, service.change_settings(&change, decide))?.map_err(unexpected)?;
        match audited {
            Some((told, expected)) => self.audit(node, at, told, expected),
            None => Ok(()),
        }
    }

    /// What a dry run has to say, and how many end within the hour in all.
    fn would_end(&self, now: Timestamp, after: &Settings) -> Result<(WouldEnd, u64), Violation> {
        let open = self.open()?;
        let mut changed = self.reference.settings.clone();
        // What is in force already makes no version.
        if after.version > self.reference.newest().version {
            changed.push(Limits::from(&after.policy_version()));
        }
        let (now, later) = (now.as_millis(), (now + HORIZON).as_millis());
        let mut would_end = WouldEnd::default();
        let mut all = 0;
        for session in &open {
            let (before, after) =
                (predicted_end(&self.reference.settings, session).at, predicted_end(&changed, session).at);
            let is_its_doing = |at: i64| after <= at && at < before;
            would_end.now += u64::from(is_its_doing(now));
            would_end.within_one_hour += u64::from(!is_its_doing(now) && is_its_doing(later));
            all += u64::from(after <= later);
        }
        Ok((would_end, all))
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
            self.wait((at.now + HORIZON).as_millis() - now.as_millis());
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
        self.tell(format_args!("node {node}: the test clock, {turn:?}"));
        let service = self.nodes[node].service.clone();
        // With what is due by it: a sweep and a purge.
        let mut request = Request::of_node(self, node);
        request.purges = true;
        let by = match turn {
            Turn::Advance { seconds: by } => ClockMove::Advance(seconds(by)),
            Turn::Freeze => ClockMove::Freeze,
            Turn::Resume => ClockMove::Resume,
            Turn::Reset => ClockMove::Reset,
        };
        let context = AuditContext::command_line(None);
        match self.finish(&mut request, Box::pin(service.move_test_clock(&context, by)))? {
            Ok(_) | Err(Failure::Refused(..)) => {}
            Err(Failure::Storage(error)) => return Err(unexpected(error)),
        }
        if turn == Turn::Reset {
            // What other nodes have in memory is of the time before, until they follow.
            for other in 0..self.nodes.len() {
                self.follow_test_clock(other)?;
            }
            // Tickets are void.
            self.profiles.iter_mut().for_each(|profile| profile.lost = None);
        }
        Ok(())
    }

    fn open(&self) -> Result<Vec<Session>, Violation> {
        let filter =
            SessionFilter { stored: Some(StoredStatus::Open), limit: u32::MAX, ..SessionFilter::default() };
        Ok(ready(self.nodes[0].engine.node.sessions(self.instance, filter)).map_err(unexpected)?.0)
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

    pub(super) fn told_asked(&mut self, request: &Request, ask: Ask, way: Way) {
        if !self.is_told {
            return;
        }
        let Request { node, browser, .. } = request;
        let who = match ask.is_of_a_browser() {
            true => format!("browser {browser}"),
            false => "the server of the application".to_owned(),
        };
        let how = match way {
            Way::AtOnce => String::new(),
            Way::Held(until) => format!(", {until:?}"),
            Way::AnswerLost => "; the answer is lost".to_owned(),
            Way::SentTwice => "; it is written twice".to_owned(),
        };
        let clock = told_clock(self.moment(*node));
        self.tell(format_args!("{who} asks node {node}{clock}: {ask:?}{how}"));
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
