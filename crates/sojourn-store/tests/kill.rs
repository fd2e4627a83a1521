//! Acknowledged writes survive `kill -9`, and a log that was cut anywhere contains a prefix
//! of the commits.

mod common;

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use common::{World, closed, moment};
use rusqlite::Connection;
use sojourn_core::{
    id::{InstanceId, Randomness as _, SessionId, TicketId, UserId},
    session::ClosedStatus,
    testing::SeededRng,
};
use sojourn_store::{Engine as _, Store, TicketStatus, Write};

const CHILD: &str = "SOJOURN_TEST_KILL_DATABASE";
const SEED: &str = "SOJOURN_TEST_KILL_SEED";
const ROUNDS: u64 = 20;
const TASKS: u64 = 6;

/// Not a test: the process that is killed. It commits, and prints each fact after its
/// acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(path) = env::var(CHILD) else { return };
    let seed: u64 = env::var(SEED).expect("a seed").parse().expect("a number");
    let store = Store::sqlite(Path::new(&path)).expect("a database");
    let tasks: Vec<_> =
        (0..TASKS).map(|task| tokio::spawn(work(store.clone(), seed * TASKS + task))).collect();
    for task in tasks {
        task.await.expect("only a kill ends it");
    }
}

async fn work(store: Store, seed: u64) {
    let mut world = World::new(store, seed).await;
    let tell = |instance: InstanceId, fact: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "fact {instance} {fact}").expect("the parent listens");
    };
    let instance = world.instance;
    for secs in 1.. {
        let user = world.user(&format!("user{secs}"), secs).await;
        tell(instance, format!("user {}", user.id));
        let client = world.client(secs).await;
        let session = world.sign_in(client, user.id, secs).await;
        tell(instance, format!("session {}", session.id));
        world.store.record_activity(instance, session.id, moment(secs + 100));
        let ticket = world.ticket(user.id, secs);
        world.put(secs, Write::InsertTicket(ticket.clone())).await.expect("a ticket");
        world.put(secs, Write::AcceptTicket(ticket.id)).await.expect("accepted");
        tell(instance, format!("accepted {}", ticket.id));
        if secs % 8 == 0 {
            world.store.flush_activity().await.expect("flushed");
            tell(instance, format!("active {}", session.id));
        }
        if secs % 2 == 0 {
            let revoked = closed(&session, secs, ClosedStatus::Revoked);
            world.put(secs, Write::CloseSession(revoked)).await.expect("closed");
            tell(instance, format!("closed {}", session.id));
        }
    }
}

async fn check(store: &Store, fact: &str) {
    let words: Vec<&str> = fact.split(' ').collect();
    let [_, instance, kind, id] = words[..] else { panic!("not a fact: {fact}") };
    let instance: InstanceId = instance.parse().expect("an id");
    let session = async || {
        let id: SessionId = id.parse().expect("an id");
        store.session(instance, id).await.expect("a load").unwrap_or_else(|| panic!("lost: {fact}"))
    };
    match kind {
        "user" => {
            let id: UserId = id.parse().expect("an id");
            assert!(store.user(instance, id).await.expect("a load").is_some(), "lost: {fact}");
        }
        "session" => drop(session().await),
        "closed" => {
            let status = session().await.closed.map(|closing| closing.status);
            assert_eq!(status, Some(ClosedStatus::Revoked), "revived: {fact}");
        }
        "active" => {
            let session = session().await;
            let active_at = session.last_active_at;
            assert!(active_at.since(session.created_at).as_secs() >= 100, "lost: {fact}");
        }
        "accepted" => {
            let id: TicketId = id.parse().expect("an id");
            let ticket = store.ticket_by_id(instance, id).await.expect("a load");
            let status = ticket.map(|ticket| ticket.status);
            assert_eq!(status, Some(TicketStatus::Accepted), "usable again: {fact}");
        }
        other => panic!("not a fact: {other}"),
    }
}

fn integrity(path: &Path) -> String {
    let db = Connection::open(path).expect("a database");
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_01_acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sojourn.db");
    let mut rng = SeededRng::new(u64::from_le_bytes(SeededRng::new(2026).array()));
    let mut facts: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().expect("this binary"))
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD, &path)
            .env(SEED, (round + 1).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let mut out = child.stdout.take().expect("piped");
        let listener = thread::spawn(move || {
            let mut text = Vec::new();
            out.read_to_end(&mut text).expect("the child's facts");
            String::from_utf8(text).expect("text")
        });
        // The first rounds kill the process while it creates the database.
        let wait = if round < 5 { rng.below(25) } else { 40 + rng.below(200) };
        #[expect(clippy::disallowed_methods, reason = "the child works meanwhile, until it is killed")]
        thread::sleep(Duration::from_millis(wait));
        child.kill().expect("killed");
        child.wait().expect("gone");
        let text = listener.join().expect("no panic");
        // A truncated line does not count as acknowledged.
        let told = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let told: Vec<String> =
            told.map(|line| line.trim_end().to_owned()).filter(|line| line.starts_with("fact ")).collect();
        if !path.exists() {
            assert!(told.is_empty(), "told without a database");
            continue;
        }
        let store = Store::sqlite(&path).expect("opens after a kill");
        for fact in &told {
            check(&store, fact).await;
        }
        facts.extend(told);
        drop(store);
        assert_eq!(integrity(&path), "ok");
    }
    let store = Store::sqlite(&path).expect("opens");
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for fact in &facts {
        check(&store, fact).await;
        *kinds.entry(fact.split(' ').nth(2).unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(kinds.len(), 5, "the rounds were too short to tell anything: {kinds:?}");
    store.close().await.expect("closed");
}

#[tokio::test]
async fn r_02_a_truncated_log_holds_a_prefix_of_the_commits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sojourn.db");
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let mut users = Vec::new();
    for secs in 0..40 {
        users.push(world.user(&format!("user{secs}"), secs).await.id);
    }
    let log = fs::read(folder.path().join("sojourn.db-wal")).expect("a log");
    // 32 bytes of header, then frames of 24 bytes and a page of 4,096.
    let frames = (log.len() - 32) / 4120;
    assert!(frames > 40, "everything is in the log: {frames} frames");
    let mut cuts = vec![0, 1, 31, 32, 33, 55, 56, log.len() - 1, log.len()];
    let mut rng = SeededRng::new(7);
    cuts.extend((0..60).map(|_| rng.below(log.len() as u64) as usize));
    cuts.extend((0..20).map(|_| 32 + 4120 * rng.below(frames as u64) as usize));
    cuts.sort_unstable();
    let mut most = 0;
    for cut in cuts {
        let copy = tempfile::tempdir().expect("a folder");
        let copied = copy.path().join("sojourn.db");
        fs::copy(&path, &copied).expect("a copy");
        fs::write(copy.path().join("sojourn.db-wal"), &log[..cut]).expect("a copy");
        let store = Store::sqlite(&copied).expect("opens cleanly");
        let mut there = Vec::new();
        for id in &users {
            there.push(store.user(world.instance, *id).await.expect("a load").is_some());
        }
        let prefix = there.iter().take_while(|there| **there).count();
        assert!(there[prefix..].iter().all(|there| !there), "a hole at {cut}: {there:?}");
        assert!(prefix >= most, "a longer log holds less");
        most = prefix;
        store.close().await.expect("closed");
        assert_eq!(integrity(&copied), "ok");
    }
    assert_eq!(most, users.len());
}
