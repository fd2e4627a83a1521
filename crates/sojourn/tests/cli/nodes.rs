//! Two server processes on one PostgreSQL are one instance: what one
//! acknowledged is so on the other at once, and neither needs the other. And
//! what both do while the database restarts.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::on_postgres::{MASTER_KEY, node};
use crate::people::{Fact, Node, check, ended, live, until};
use crate::postgres::{Database, Server};
use crate::support::Running;

/// A process with a data folder of its own.
struct Process {
    home: TempDir,
    url: String,
    running: Running,
    node: Arc<Node>,
}

impl Process {
    fn start(url: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("temporary folder"), url)
    }

    fn start_in(home: TempDir, url: &str) -> Self {
        let mut command = node(home.path(), url);
        command.env("SOJOURN_MASTER_KEY", MASTER_KEY).env("SOJOURN_RATE_LIMITS__ENABLED", "false");
        let running = Running::start(&mut command);
        let node = Arc::new(Node::of(&running));
        Self { home, url: url.to_owned(), running, node }
    }

    fn kill(mut self) -> (TempDir, String) {
        self.running.child.kill().expect("SIGKILL");
        self.running.child.wait().expect("gone");
        (self.home, self.url)
    }
}

/// Asks `there` for tokens without pause while `end` ends the session on
/// another node. No request that starts after the acknowledgement gets one.
async fn no_token_after(there: &Arc<Node>, session: &str, cookie: &str, end: impl Future<Output = ()>) {
    const ASKERS: u32 = 6;
    let (ended, minted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let (there, ended, minted) = (there.clone(), ended.clone(), minted.clone());
            let (session, cookie) = (session.to_owned(), cookie.to_owned());
            tokio::spawn(async move {
                let mut refused = 0;
                while refused < 5 {
                    let late = ended.load(Ordering::SeqCst);
                    match (late, there.token(&session, &cookie).await) {
                        (true, status) => {
                            assert_eq!(status, 401, "a token after the end was acknowledged");
                            refused += 1;
                        }
                        (false, 200) => _ = minted.fetch_add(1, Ordering::SeqCst),
                        // The end was committed, and its acknowledgement is under way.
                        (false, status) => assert_eq!(status, 401),
                    }
                }
            })
        })
        .collect();
    while minted.load(Ordering::SeqCst) < 2 * ASKERS {
        sleep(Duration::from_millis(2)).await;
    }
    end.await;
    ended.store(true, Ordering::SeqCst);
    for asker in askers {
        asker.await.expect("no token after the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_08_an_end_on_one_node_is_effective_on_the_other() {
    let database = Database::new().await;
    let (a, b) = (Process::start(&database.url()), Process::start(&database.url()));
    for round in 0..8 {
        // Both ways.
        let (here, there) = if round % 2 == 0 { (&a.node, &b.node) } else { (&b.node, &a.node) };
        let email = format!("p{round}@example.com");
        let user = here.user(&email).await;
        let mut browser = here.browser();
        let session = browser.sign_in(&email).await.expect("signed in");
        let cookie = browser.cookie.clone();
        let end = async {
            let (end, revoke, ban) = (
                format!("/v1/client/sessions/{session}/end"),
                format!("/v1/sessions/{session}/revoke"),
                format!("/v1/users/{user}/ban"),
            );
            let answer = match round / 2 {
                0 => browser.post(&end, &[]).await,
                1 => browser.post("/v1/client/sessions?_method=DELETE", &[]).await,
                2 => here.backend(Method::POST, &revoke, Some(json!({}))).await,
                _ => here.backend(Method::POST, &ban, Some(json!({}))).await,
            };
            assert_eq!(answer.expect("answered").0, 200);
        };
        no_token_after(there, &session, &cookie, end).await;
        let status = ["ended", "removed", "revoked", "revoked"][round / 2];
        assert_eq!(
            (here.status(&session).await, there.status(&session).await),
            (status.into(), status.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_changed_on_one_node_judge_on_the_other_at_once() {
    const SETTINGS: &str = "/v1/instance/session_settings";
    let database = Database::new().await;
    let (a, b) = (Process::start(&database.url()), Process::start(&database.url()));
    let (here, there) = (&a.node, &b.node);
    for email in ["ada@example.com", "bob@example.com"] {
        here.user(email).await;
    }
    let mut browser = there.browser();
    let ada = browser.sign_in("ada@example.com").await.expect("signed in");
    assert_eq!(browser.sign_in("bob@example.com").await, None, "one account at a time");
    let change = |patch| here.backend(Method::PATCH, SETTINGS, Some(patch));
    let (status, _) = change(json!({ "multi_session_enabled": true })).await.expect("answered");
    assert_eq!(status, 200);
    let bob = browser.sign_in("bob@example.com").await.expect("signed in beside Ada");
    for session in [&ada, &bob] {
        assert_eq!(there.token(session, &browser.cookie).await, 200);
    }
    sleep(Duration::from_millis(1_100)).await;
    let patch = json!({ "maximum_lifetime": { "enabled": true, "duration_seconds": 1 } });
    let (status, answer) = change(patch).await.expect("answered");
    assert_eq!(status, 200, "{answer}");
    for session in [&ada, &bob] {
        assert_eq!(there.token(session, &browser.cookie).await, 401);
        assert_eq!(there.status(session).await, "expired");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_clock_is_shared_by_nodes_and_survives_a_restart() {
    const DAYS_LATER: u64 = 7 * 86_400 - 100;
    let database = Database::new().await;
    let (a, b) = (Process::start(&database.url()), Process::start(&database.url()));
    let (here, there) = (a.node.clone(), b.node.clone());
    there.user("ada@example.com").await;
    let mut browser = there.browser();
    let session = browser.sign_in("ada@example.com").await.expect("signed in");
    let post = async |node: &Node, what: &str, body| {
        let answer = node.backend(Method::POST, &format!("/dev/clock/{what}"), Some(body)).await;
        answer.expect("answered").1
    };
    let offset = async |node: &Node| {
        node.backend(Method::GET, "/dev/clock", None).await.expect("answered").1["offset_ms"].clone()
    };
    post(&here, "advance", json!({ "seconds": DAYS_LATER })).await;
    assert_eq!(there.token(&session, &browser.cookie).await, 200);
    assert_eq!(offset(&there).await, DAYS_LATER * 1000);

    let restarted = a.kill();
    let again = Process::start_in(restarted.0, &restarted.1);
    assert_eq!(offset(&again.node).await, DAYS_LATER * 1000);
    let ended = post(&again.node, "advance", json!({ "seconds": 100 })).await;
    assert_eq!(ended["effects"][0]["type"], "session.expired", "{ended}");
    assert_eq!(there.token(&session, &browser.cookie).await, 401);

    post(&there, "reset", json!({})).await;
    assert_eq!(offset(&again.node).await, 0);
    assert_eq!(again.node.status(&session).await, "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_08_a_killed_node_loses_nothing_and_catches_up() {
    let database = Database::new().await;
    let (a, b) = (Process::start(&database.url()), Process::start(&database.url()));
    a.node.user("ada@example.com").await;
    let node = a.node.clone();
    let (mut browser, mut other) = (node.browser(), node.browser());
    let ended = browser.sign_in("ada@example.com").await.expect("signed in");
    let kept = other.sign_in("ada@example.com").await.expect("signed in");

    let (home, url) = a.kill();
    assert_eq!(b.node.token(&ended, &browser.cookie).await, 200, "the other node knows it");
    let revoke = format!("/v1/sessions/{ended}/revoke");
    let (status, _) = b.node.backend(Method::POST, &revoke, Some(json!({}))).await.expect("answered");
    assert_eq!(status, 200);

    let a = Process::start_in(home, &url);
    assert_eq!(a.node.key, b.node.key);
    assert_eq!(a.node.token(&ended, &browser.cookie).await, 401);
    assert_eq!(a.node.token(&kept, &other.cookie).await, 200);

    let (home, url) = b.kill();
    let (other_home, _) = a.kill();
    let (a, b) = (Process::start_in(other_home, &url), Process::start_in(home, &url));
    for node in [&a.node, &b.node] {
        assert_eq!(node.token(&ended, &browser.cookie).await, 401);
        assert_eq!(node.token(&kept, &other.cookie).await, 200);
    }
}

/// How long after the database is back a node may still say that it is not: five seconds, and
/// more on a machine that is busy with other tests.
const HEALED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "measures how long people are turned away")]
async fn r_05_a_database_restart_is_503_and_loses_nothing() {
    const PEOPLE: u32 = 4;
    let server = Server::start(true);
    let database = Database::on(server.url(), false).await;
    let processes = [Process::start(&database.url()), Process::start(&database.url())];
    let (facts, stop) = (Arc::new(Mutex::new(Vec::<Fact>::new())), Arc::new(AtomicBool::new(false)));
    let mut people = tokio::task::JoinSet::new();
    for person in 0..PEOPLE {
        let node = processes[person as usize % 2].node.clone();
        let (facts, stop) = (facts.clone(), stop.clone());
        people.spawn(async move {
            for turn in 0.. {
                let tell = |fact| facts.lock().expect("not poisoned").push(fact);
                // Whoever is turned away begins another day as somebody else.
                if live(&node, &format!("p{person}x{turn}"), turn + person, tell).await.is_none() {
                    sleep(Duration::from_millis(20)).await;
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
    }
    for _ in 0..3 {
        let ends = ended(&facts) + 2;
        until("people sign out", || ended(&facts) >= ends).await;
        let failures = || {
            let of = |process: &Process| process.node.failures.lock().expect("not poisoned").len();
            processes.iter().map(of).sum::<usize>()
        };
        let before = failures();
        server.crash();
        until("people are turned away", || failures() > before).await;
        server.restart();
        let back = Instant::now();
        for process in &processes {
            while process
                .node
                .backend(Method::GET, "/v1/users", None)
                .await
                .is_none_or(|(code, _)| code != 200)
            {
                assert!(back.elapsed() < HEALED, "does not heal by itself");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
    sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(person) = people.join_next().await {
        person.expect("no panic");
    }
    let facts = facts.lock().expect("not poisoned").clone();
    for process in &processes {
        for (status, again) in process.node.failures.lock().expect("not poisoned").drain(..) {
            assert_eq!((status, again), (503, true), "an answer other than: try again in a moment");
        }
    }
    for (index, fact) in facts.iter().enumerate() {
        check(&processes[index % 2].node, fact).await;
    }
}
