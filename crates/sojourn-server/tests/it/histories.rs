//! Random histories through the server's own routes, against a model that knows
//! nothing of the server: every status, every refusal, every `exp`, and of every
//! end its reason and its time. One node is exact to the millisecond.

mod model;
mod steps;

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};
use sojourn_core::testing::SeededRng;
use sojourn_store::{Engine as _, Store};
use sojourn_testkit::{Answer, Builder, FakeBrowser, START, TestApp};

use self::model::{Document, Model};

const USERS: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];
const BROWSERS: usize = 3;
const PAGE: &str = "http://localhost:3000/";
const SETTINGS: &str = "/v1/instance/session_settings";
/// Longest that somebody acts as a user, in seconds.
const ACTS_FOR: i64 = 900;

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// The clock on the wall moves; ends are found by whoever asks next.
    Real,
    /// The clock on the wall moves, and the sweeper comes by each time.
    Swept,
    /// `/dev/clock` moves the session clock, and now and then resets it.
    TestClock { resets: bool },
}

/// A server, who uses it, and what it has to do.
struct History {
    seed: u64,
    /// The nodes of one instance; requests go to any of them.
    nodes: Vec<TestApp>,
    node: usize,
    passing: Passing,
    browsers: Vec<FakeBrowser>,
    /// Under which number the model knows each browser.
    numbers: Vec<usize>,
    nonces: Vec<(String, Option<usize>, i64)>,
    users: Vec<String>,
    model: Model,
    rng: SeededRng,
    story: String,
}

fn roll_document(rng: &mut SeededRng, before: Option<Document>) -> Document {
    let idle = [5, 20, 60, 300, 1800][below(rng, 5)];
    let longest = [20, 90, 600, 3600, 86_400, 604_800][below(rng, 6)];
    let (idle_on, longest_on) = [(true, true), (true, false), (false, true)][below(rng, 3)];
    Document {
        idle: (idle_on, idle),
        longest: (longest_on, longest),
        multi_session: match before {
            Some(before) if below(rng, 3) > 0 => before.multi_session,
            _ => below(rng, 3) > 0,
        },
        visible: below(rng, 4) == 0,
    }
}

fn below(rng: &mut SeededRng, bound: u64) -> usize {
    usize::try_from(rng.below(bound)).expect("small")
}

impl History {
    async fn begin(seed: u64, passing: Passing, builder: Builder, nodes: usize) -> Self {
        let mut rng = SeededRng::new(seed);
        let document = roll_document(&mut rng, None);
        let app = builder.session_settings(document.patch()).start().await;
        let mut all = vec![app];
        while all.len() < nodes {
            all.push(all[0].neighbour().await);
        }
        let mut users = Vec::new();
        for email in USERS {
            users.push(all[0].user(email).await.id.to_string());
        }
        let browsers = (0..BROWSERS).map(|_| all[0].browser()).collect();
        Self {
            seed,
            nodes: all,
            node: 0,
            passing,
            browsers,
            numbers: (0..BROWSERS).collect(),
            nonces: Vec::new(),
            users,
            model: Model::new(START.as_millis(), document, BROWSERS, USERS.len()),
            rng,
            story: format!("{passing:?} {document:?}\n"),
        }
    }

    fn app(&self) -> &TestApp {
        &self.nodes[self.node]
    }

    fn browser(&self, browser: usize) -> FakeBrowser {
        self.browsers[browser].moved_to(self.app())
    }

    fn below(&mut self, bound: usize) -> usize {
        below(&mut self.rng, bound as u64)
    }

    fn tell(&mut self, line: &str) {
        let now = self.model.now() - START.as_millis();
        writeln!(self.story, "  {:>9}.{:03}  node {}  {line}", now / 1000, now % 1000, self.node)
            .expect("strings take text");
    }

    #[track_caller]
    fn agree<T: PartialEq + std::fmt::Debug>(&self, what: &str, found: &T, expected: &T, answer: &Answer) {
        assert_eq!(
            found, expected,
            "{what}, seed {}:\n{}the server on the left, the model on the right; {answer}",
            self.seed, self.story
        );
    }

    /// Time passes; every node writes its activity, as it does each second.
    async fn wait(&mut self, millis: i64) {
        let span = Duration::from_millis(millis.unsigned_abs());
        match self.passing {
            Passing::Real | Passing::Swept => {
                self.app().clock.advance(span);
                self.model.wall += millis;
            }
            Passing::TestClock { .. } => {
                self.model.ahead += millis;
                let to = json!({"now": self.model.now()});
                self.app().backend().post("/dev/clock/set", to).await.assert_ok();
            }
        }
        for node in &self.nodes {
            node.store().flush_activity().await.expect("written");
        }
        if self.passing == Passing::Swept {
            // A list of those that are active records the others.
            self.app().backend().get("/v1/sessions?status=active&limit=500").await.assert_ok();
        }
        if self.passing != Passing::Real {
            self.model.pass();
            self.model.sweep();
        }
    }

    async fn step(&mut self) {
        if self.nodes.len() > 1 && self.below(3) == 0 {
            // What a node saw is known to the others within a second.
            self.wait(1000).await;
            self.node = self.below(self.nodes.len());
        }
        let (browser, roll) = (self.below(BROWSERS), self.below(100));
        if self.passing != Passing::Real {
            // Two sessions of one moment are told apart by their ids alone, and those
            // are not the same in two runs.
            self.wait(1).await;
        }
        self.model.pass();
        match roll {
            0..22 => self.sign_in(browser).await,
            22..40 => self.refresh(browser).await,
            40..47 => self.touch(browser).await,
            47..54 => self.load(browser).await,
            54..58 => self.read(browser).await,
            58..63 => self.handshake(browser).await,
            63..66 => self.redeem().await,
            66..70 => self.sign_out(browser).await,
            70..72 => self.sign_out_all(browser).await,
            72..75 => self.backend(false).await,
            75..78 => self.backend(true).await,
            78 | 79 => self.stand().await,
            80 => {
                self.tell(&format!("browser {browser} loses its cookies"));
                self.browsers[browser] = self.app().browser();
                let another = self.numbers.iter().max().map_or(0, |most| most + 1);
                // Its sessions go on without it.
                self.model.forget(self.numbers[browser], another);
                self.numbers.push(another);
            }
            81 if self.passing == (Passing::TestClock { resets: true }) => self.reset().await,
            81 => self.end_all().await,
            82..87 => self.change().await,
            87..94 => {
                let open: Vec<i64> = self.due();
                let off = [-1000, -999, -1, 0, 0, 1][self.below(6)];
                if let Some(due) = open.get(self.below(open.len().max(1))) {
                    let millis = due + off - self.model.now();
                    if millis > 0 {
                        self.tell(&format!("to {off} ms from an end"));
                        self.wait(millis).await;
                    }
                }
            }
            _ => {
                let most = [30, 4000, 70_000, 2_000_000][self.below(4)];
                let millis = i64::try_from(self.below(most)).expect("small") + 1;
                self.tell(&format!("{millis} ms pass"));
                self.wait(millis).await;
            }
        }
    }

    /// The test clock shows the wall again: what is open keeps the time it has left.
    async fn reset(&mut self) {
        self.tell("the test clock is reset");
        self.app().backend().post("/dev/clock/reset", json!({})).await.assert_ok();
        self.model.reset();
        // Unfinished errands are void.
        self.nonces.iter_mut().for_each(|(_, _, until)| *until = i64::MIN);
    }

    fn due(&self) -> Vec<i64> {
        let open = self.model.sessions.iter().filter(|held| held.life.over().is_none());
        open.map(|held| held.life.due().at).collect()
    }

    /// A session of the browser that ever was, newest first.
    fn session(&mut self, browser: usize) -> Option<usize> {
        let number = self.numbers[browser];
        let of_this: Vec<usize> = (0..self.model.sessions.len())
            .rev()
            .filter(|index| self.model.sessions[*index].browser == number)
            .take(3)
            .collect();
        of_this.get(self.below(of_this.len().max(1))).copied()
    }

    /// The client that came with an answer shows what the model does, token by token.
    #[track_caller]
    fn check_client(&self, answer: &Answer, browser: usize) {
        let sessions = answer.client()["sessions"].as_array().cloned().unwrap_or_default();
        let shown = sessions.iter().map(|session| {
            let jwt = session["last_active_token"]["jwt"].as_str().expect("a token");
            let claims = self.app().verified(jwt);
            (session["id"].as_str().expect("an id").to_owned(), claims["exp"].as_i64().expect("seconds"))
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        self.agree("the client", &shown, &self.model.shown(self.numbers[browser]), answer);
    }
}

/// Lives through a history to its end.
async fn live(seed: u64, passing: Passing, builder: Builder, nodes: usize) -> History {
    let mut history = History::begin(seed, passing, builder, nodes).await;
    for _ in 0..30 {
        history.step().await;
    }
    history.check_ends().await;
    history
}

/// So many histories in memory; a tenth of them where each needs a database.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let engine = std::env::var("SOJOURN_TEST_ENGINE").unwrap_or_default();
    first..first + if engine.is_empty() { count } else { count.div_ceil(10) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_histories_agree_with_the_model() {
    for seed in seeds(0, 200) {
        live(seed, Passing::Real, TestApp::new(), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_agree_with_the_model_across_a_restart() {
    for seed in seeds(1000, 30) {
        let mut history = History::begin(seed, Passing::Real, TestApp::new().on_sqlite(), 1).await;
        for step in 0..30 {
            if step == 15 {
                history.tell("the server is started again");
                history.nodes[0] = history.nodes[0].restarted().await;
            }
            history.step().await;
        }
        history.check_ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_agree_with_the_model_by_the_test_clock() {
    for seed in seeds(2000, 60) {
        live(seed, Passing::TestClock { resets: true }, TestApp::new(), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_agree_with_the_model_on_two_nodes_of_one_store() {
    if matches!(TestApp::new().start().await.store(), Store::Sqlite(_)) {
        // One process has such a database for itself.
        return;
    }
    for seed in seeds(3000, 60) {
        live(seed, Passing::Real, TestApp::new(), 2).await;
    }
}

/// What the outbox tells, without ids and in an order that does not depend on them.
async fn events(history: &History) -> Vec<Value> {
    let app = history.app();
    let outbox = app.store().outbox(app.server().instance_id(), None, 10_000).await;
    let number = |id: &Value| history.model.sessions.iter().position(|held| *id == held.id.as_str());
    let told = outbox.expect("a store that answers").into_iter().filter_map(|event| {
        let session = number(&event.data["session_id"])?;
        let rest = ["status", "reason", "at", "deadline_at", "settings_version", "by"];
        let rest: Vec<Value> = rest.iter().map(|field| event.data[*field].clone()).collect();
        Some(json!([event.at, session, event.name, rest]))
    });
    let mut told: Vec<Value> = told.collect();
    told.sort_by_key(ToString::to_string);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_seconds_and_the_test_clock_give_the_same_event_log() {
    let mut told = 0;
    for seed in seeds(4000, 30) {
        let real = events(&live(seed, Passing::Swept, TestApp::new(), 1).await).await;
        let moved = events(&live(seed, Passing::TestClock { resets: false }, TestApp::new(), 1).await).await;
        assert_eq!(real, moved, "seed {seed}");
        told += real.len();
    }
    assert!(told > 20, "only {told} events");
}
