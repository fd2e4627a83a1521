//! What a server has to do, told by plain numbers: which sessions there are,
//! which are over, how each ended, and which one a browser is handed.

use serde_json::{Value, json};
use sojourn_core::testing::oracle::{End, Limits, ReferenceSession};

/// The session settings as the settings API takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document {
    pub idle: (bool, u64),
    pub longest: (bool, u64),
    pub multi_session: bool,
    pub visible: bool,
}

impl Document {
    pub fn patch(&self) -> Value {
        let limit =
            |(enabled, seconds): (bool, u64)| json!({"enabled": enabled, "duration_seconds": seconds});
        json!({
            "inactivity_timeout": limit(self.idle),
            "maximum_lifetime": limit(self.longest),
            "multi_session_enabled": self.multi_session,
            "activity": if self.visible { "visible" } else { "token" },
        })
    }

    fn limits(&self, version: u64, from: i64) -> Limits {
        let millis =
            |(enabled, seconds): (bool, u64)| enabled.then(|| i64::try_from(seconds).expect("small") * 1000);
        Limits { version, from, idle: millis(self.idle), longest: millis(self.longest), ends_all: false }
    }
}

/// A session that was admitted.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: String,
    pub user: usize,
    pub browser: usize,
    pub life: ReferenceSession,
    /// Somebody acts as the user.
    pub acts: bool,
    /// The end was found: a request or the sweeper came by.
    pub is_recorded: bool,
}

/// A session token lives so long.
const TOKEN_SECONDS: i64 = 60;

#[derive(Clone, Debug)]
pub struct Model {
    /// The clock on the wall.
    pub wall: i64,
    /// By how much the session clock is ahead.
    pub ahead: i64,
    pub document: Document,
    pub settings: Limits,
    pub sessions: Vec<Held>,
    /// The session that each browser is at.
    last: Vec<Option<usize>>,
    pub banned: Vec<bool>,
}

impl Model {
    pub fn new(wall: i64, document: Document, browsers: usize, users: usize) -> Self {
        Self {
            wall,
            ahead: 0,
            document,
            settings: document.limits(1, wall),
            sessions: Vec::new(),
            last: vec![None; browsers],
            banned: vec![false; users],
        }
    }

    /// The session clock.
    pub const fn now(&self) -> i64 {
        self.wall + self.ahead
    }

    /// Time has passed.
    pub fn pass(&mut self) {
        let now = self.now();
        self.sessions.iter_mut().for_each(|held| held.life.pass(now));
    }

    /// The browser has no cookies any more: it is another one.
    pub fn forget(&mut self, browser: usize, another: usize) {
        for held in self.sessions.iter_mut().filter(|held| held.browser == browser) {
            held.browser = another;
        }
        let last = self.last[browser].take();
        self.last.resize(self.last.len().max(another + 1), None);
        self.last[another] = last;
    }

    /// The sessions of a browser that are open, oldest first.
    pub fn open(&self, browser: usize) -> Vec<usize> {
        let is_open = |held: &Held| held.browser == browser && held.life.over().is_none();
        let mut open: Vec<usize> =
            (0..self.sessions.len()).filter(|index| is_open(&self.sessions[*index])).collect();
        open.sort_by_key(|index| (self.sessions[*index].life.created(), &self.sessions[*index].id));
        open
    }

    fn most_recent(&self, browser: usize) -> Option<usize> {
        let open = self.open(browser).into_iter();
        open.max_by_key(|index| (self.sessions[*index].life.active(), &self.sessions[*index].id))
    }

    /// The session that a page load is handed.
    pub fn active(&self, browser: usize) -> Option<usize> {
        let last = self.last[browser].filter(|index| self.sessions[*index].life.over().is_none());
        last.or_else(|| self.most_recent(browser))
    }

    /// Somebody looks at this browser: what is over is recorded.
    pub fn close_overdue(&mut self, browser: usize) {
        let mut lost_last = false;
        for (index, held) in self.sessions.iter_mut().enumerate() {
            if held.browser == browser && held.life.over().is_some() && !held.is_recorded {
                held.is_recorded = true;
                lost_last |= self.last[browser] == Some(index);
            }
        }
        if lost_last {
            self.last[browser] = self.most_recent(browser);
        }
    }

    /// Everything that is over is recorded.
    pub fn sweep(&mut self) {
        let overdue = |held: &&Held| held.life.over().is_some() && !held.is_recorded;
        let browsers: Vec<usize> = self.sessions.iter().filter(overdue).map(|held| held.browser).collect();
        browsers.into_iter().for_each(|browser| self.close_overdue(browser));
    }

    /// How signing in goes: the code of the refusal, if it is one.
    pub fn refusal(&self, browser: usize, user: usize) -> Option<&'static str> {
        let open = self.open(browser);
        if !self.document.multi_session && !open.is_empty() {
            return Some("session_exists");
        }
        if open.iter().any(|index| self.sessions[*index].user == user) {
            return Some("identifier_already_signed_in");
        }
        self.banned[user].then_some("user_banned")
    }

    /// Somebody signed in; with `longest`, somebody who acts as the user.
    pub fn admit(&mut self, browser: usize, user: usize, id: String, longest: Option<i64>) -> usize {
        let now = self.now();
        let life = match longest {
            Some(longest) => ReferenceSession::begin_impersonation(now, 600_000, longest, self.settings),
            None => ReferenceSession::begin(now, self.settings),
        };
        let acts = longest.is_some();
        self.sessions.push(Held { id, user, browser, life, acts, is_recorded: false });
        self.last[browser] = Some(self.sessions.len() - 1);
        self.sessions.len() - 1
    }

    /// The user is there.
    pub fn activity(&mut self, index: usize) {
        let now = self.now();
        self.sessions[index].life.activity(now);
    }

    /// The session is the one that its browser is at.
    pub fn choose(&mut self, index: usize) {
        self.last[self.sessions[index].browser] = Some(index);
    }

    /// A refresh: the `exp` of the token, if there is one. Counts as activity then.
    pub fn refresh(&mut self, index: usize, hidden: bool) -> Option<i64> {
        let held = &self.sessions[index];
        // Who acts as the user is held to no setting.
        if hidden && self.document.visible && !held.acts {
            return self.exp(index, TOKEN_SECONDS);
        }
        let before = held.life.clone();
        self.activity(index);
        let exp = self.exp(index, TOKEN_SECONDS);
        if exp.is_none() && self.sessions[index].life.over().is_none() {
            self.sessions[index].life = before;
        }
        exp
    }

    /// The `exp` of a token told now that may live for `seconds`.
    pub fn exp(&self, index: usize, seconds: i64) -> Option<i64> {
        let life = &self.sessions[index].life;
        let left = life.due().at - self.now();
        (life.over().is_none() && left >= 1000)
            .then(|| (self.wall.div_euclid(1000) + seconds).min((self.wall + left).div_euclid(1000)))
    }

    /// What a browser is shown: the ids and the `exp` of each token, by id.
    pub fn shown(&self, browser: usize) -> Vec<(String, i64)> {
        let token = |index: usize| Some((self.sessions[index].id.clone(), self.exp(index, TOKEN_SECONDS)?));
        let mut shown: Vec<_> = self.open(browser).into_iter().filter_map(token).collect();
        shown.sort();
        shown
    }

    /// Somebody ends it; whether it was open.
    pub fn end(&mut self, index: usize, how: (&'static str, &'static str, &'static str)) -> bool {
        let (now, version) = (self.now(), self.settings.version);
        let held = &mut self.sessions[index];
        let was_open = held.life.end(now, how.0, how.1, how.2, version);
        let browser = held.browser;
        self.close_overdue(browser);
        was_open
    }

    /// Other settings are in force from now on; nothing happens where they are the same.
    pub fn change(&mut self, document: Document) {
        if document == self.document {
            return;
        }
        self.document = document;
        self.put(document.limits(self.settings.version + 1, self.now()));
    }

    /// How many are open by the settings as they are; nobody has noticed yet who is not.
    pub fn open_now(&self) -> u64 {
        let is_open = |held: &&Held| {
            let mut life = held.life.clone();
            life.pass(self.now());
            life.over().is_none()
        };
        self.sessions.iter().filter(is_open).count() as u64
    }

    /// Everybody is signed out.
    pub fn end_all(&mut self) {
        let next = self.document.limits(self.settings.version + 1, self.now());
        self.put(Limits { ends_all: true, ..next });
    }

    fn put(&mut self, settings: Limits) {
        self.settings = settings;
        for held in self.sessions.iter_mut().filter(|held| !held.is_recorded) {
            held.life.change(settings);
        }
    }

    /// What a dry run has to say: over at once, and over within an hour.
    pub fn would_end(&self, document: Document) -> (u64, u64) {
        let mut changed = self.clone();
        changed.change(document);
        let ended = |model: &Self, later: i64| {
            let lives = model.sessions.iter().map(|held| {
                let mut life = held.life.clone();
                life.pass(model.now() + later);
                life.over().is_some()
            });
            lives.collect::<Vec<bool>>()
        };
        let count = |later: i64, but: &[bool]| {
            let (before, after) = (ended(self, later), ended(&changed, later));
            before
                .iter()
                .zip(after)
                .zip(but)
                .map(|((before, after), but)| after && !before && !but)
                .collect::<Vec<_>>()
        };
        let at_once = count(0, &vec![false; self.sessions.len()]);
        let within = count(3_600_000, &at_once);
        let sum = |ended: &[bool]| ended.iter().filter(|ended| **ended).count() as u64;
        (sum(&at_once), sum(&within))
    }

    /// The test clock is reset: what is open moves along.
    pub fn reset(&mut self) {
        let by = -self.ahead;
        self.sweep();
        self.ahead = 0;
        self.settings.from += by;
        for held in self.sessions.iter_mut().filter(|held| !held.is_recorded) {
            held.life.shift(by);
        }
    }

    /// How a session ended, as the record of the end tells it.
    pub fn over(&self, index: usize) -> Option<End> {
        self.sessions[index].life.over()
    }
}
