//! The SQLite engine's row cache always equals the stored rows.

mod common;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{World, at, closed, moment};
use sojourn_core::{
    client::{Client, SecretHash},
    id::{ClientId, SessionId, SignInId, UserId},
    session::ClosedStatus,
    sign_in::SignIn,
    time::{Moment, minutes},
};
use sojourn_store::{ChangeSet, Engine as _, Store, Write};
use sojourn_testkit::memory;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sojourn.db");
    (folder, path)
}

/// The same data in SQLite and in an engine without a cache.
struct Twins {
    world: World,
    plain: Store,
    clients: Vec<ClientId>,
    users: Vec<UserId>,
    /// All sessions, including ended ones.
    sessions: Vec<SessionId>,
    attempts: Vec<SignInId>,
}

impl Twins {
    async fn new(path: &Path, seed: u64) -> Self {
        let store = Store::sqlite(path).expect("a database");
        // Both worlds generate the same ids.
        let plain = World::new(memory::store(), seed).await.store;
        let world = World::new(store, seed).await;
        Self {
            world,
            plain,
            clients: Vec::new(),
            users: Vec::new(),
            sessions: Vec::new(),
            attempts: Vec::new(),
        }
    }

    /// Commits to both engines, which must agree on the outcome.
    async fn commit(&self, set: ChangeSet) -> bool {
        let here = self.world.commit(set.clone()).await;
        let there = self.plain.commit(set).await;
        assert_eq!(format!("{here:?}"), format!("{there:?}"));
        here.is_ok()
    }

    /// Every client equals its stored rows, at the first and at the second read.
    async fn compare(&self, step: &str) {
        let instance = self.world.instance;
        for client in &self.clients {
            let stored = self.plain.browser(instance, *client).await.expect("a load");
            for time in ["first", "second"] {
                let known = self.world.store.browser(instance, *client).await.expect("a load");
                assert_eq!(known, stored, "the {time} time after {step}");
            }
        }
        let stored = self.plain.settings(instance).await.expect("settings");
        assert_eq!(self.world.store.settings(instance).await.expect("settings"), stored, "after {step}");
    }

    fn one<T: Copy>(&mut self, from: fn(&Self) -> &Vec<T>) -> T {
        let count = from(self).len() as u64;
        let index = self.world.rng.below(count) as usize;
        from(self)[index]
    }

    fn record_activity(&self, session: SessionId, secs: i64) {
        for store in [&self.world.store, &self.plain] {
            store.record_activity(self.world.instance, session, moment(secs));
        }
    }

    /// A random change.
    async fn change(&mut self, secs: i64) -> &'static str {
        let client = self.one(|twins| &twins.clients);
        let user = self.one(|twins| &twins.users);
        let record = self.world.browser(client).await;
        let (mut browser, many) = (record.browser, record.policy.current().multi_session);
        let (step, set) = match self.world.rng.below(11) {
            0 | 1 => {
                let is_in = browser.sessions.iter().any(|session| session.user_id == user);
                if is_in || !(browser.sessions.is_empty() || many) {
                    return "nothing";
                }
                let step = self.world.admission(client, user, secs).await;
                self.sessions.extend(step.admitted);
                ("a sign-in", self.world.set(secs).browser(&step))
            }
            2 | 3 => {
                let Some(session) = browser.sessions.first() else { return "nothing" };
                let (id, gone) = (session.id, closed(session, secs, ClosedStatus::Removed));
                let set = self.world.set(secs).write(Write::CloseSession(gone));
                assert!(self.commit(set).await);
                // A refresh that was under way arrives too late to count.
                self.record_activity(id, secs);
                return "a sign-out";
            }
            4 => {
                let mut changed = self.world.load_user(user).await;
                changed.first_name = Some(format!("Ada {secs}"));
                ("a new name", self.world.set(secs).write(Write::User(changed)))
            }
            5 => {
                browser.client.last_origin = Some(format!("http://localhost:{secs}"));
                ("a visit from elsewhere", self.world.set(secs).write(Write::Client(browser.client)))
            }
            6 => {
                let id = SignInId::generate(at(secs), &mut self.world.rng);
                let attempt = SignIn::new(id, client, at(secs));
                browser.client.sign_in_id = Some(id);
                self.attempts.push(id);
                let set = self.world.set(secs).write(Write::Client(browser.client));
                ("a beginning", set.write(Write::SignIn(attempt)))
            }
            7 => {
                let many = self.world.rng.below(4) > 0;
                let next = self.world.next_settings(secs, many).await;
                ("other settings", self.world.set(secs).write(Write::Settings(next)))
            }
            8 => {
                if self.sessions.is_empty() {
                    return "nothing";
                }
                let session = self.one(|twins| &twins.sessions);
                self.record_activity(session, secs);
                if secs % 2 == 0 {
                    self.world.store.flush_activity().await.expect("flushed");
                }
                return "activity";
            }
            9 => {
                let Some(id) = self.attempts.last() else { return "nothing" };
                let Some(mut attempt) = self.plain.sign_in(self.world.instance, *id).await.expect("a load")
                else {
                    return "nothing";
                };
                attempt.user_id = Some(user);
                ("an attempt goes on", self.world.set(secs).write(Write::SignIn(attempt)))
            }
            _ => {
                self.world.store.purge(day_after(secs), 100).await.expect("purged");
                self.plain.purge(day_after(secs), 100).await.expect("purged");
                return "a purge";
            }
        };
        if self.commit(set).await { step } else { "a refusal" }
    }
}

/// Attempts are kept for a day after their end.
fn day_after(secs: i64) -> Moment {
    moment(secs + 86_400)
}

#[tokio::test]
async fn after_every_change_the_cached_client_equals_the_stored_one() {
    for seed in 1..8 {
        let (_folder, path) = folder();
        let mut twins = Twins::new(&path, seed).await;
        for secs in 1..6 {
            let user = twins.world.new_user(&format!("user{secs}"), secs);
            twins.users.push(user.id);
            let set = twins.world.set(secs).write(Write::User(user));
            assert!(twins.commit(set).await);
            let id = ClientId::generate(at(secs), &mut twins.world.rng);
            let row = Client::new(id, SecretHash([secs as u8; 32]), moment(secs));
            twins.clients.push(id);
            let set = twins.world.set(secs).write(Write::Client(row));
            assert!(twins.commit(set).await);
        }
        let many = twins.world.next_settings(6, true).await;
        let set = twins.world.set(6).write(Write::Settings(many));
        assert!(twins.commit(set).await);
        let mut secs = 10;
        for _ in 0..150 {
            // Sometimes nothing happens for longer than idle activity stays in memory.
            secs += if twins.world.rng.below(20) == 0 { minutes(10).as_secs() as i64 } else { 7 };
            let step = twins.change(secs).await;
            twins.compare(step).await;
        }
        twins.world.store.close().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_an_acknowledged_change_no_read_returns_old_rows() {
    let (_folder, path) = folder();
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 3).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(1).await;
    world.sign_in(client, ada.id, 2).await;
    let mut record = world.browser(client).await;
    let (mut row, mut user) = (record.browser.client.clone(), (*record.users.remove(0)).clone());
    // From here on both versions are equal.
    while row.version != user.version {
        if row.version < user.version {
            world.put(3, Write::Client(row.clone())).await.expect("stored");
        } else {
            world.put(3, Write::User(user.clone())).await.expect("stored");
        }
        let mut record = world.browser(client).await;
        (row, user) = (record.browser.client.clone(), (*record.users.remove(0)).clone());
    }
    // The acknowledged versions of the client and the user.
    let acknowledged = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, instance) = (world.store.clone(), world.instance);
            let (acknowledged, is_over) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut seen = [0, 0];
                while !is_over.load(Ordering::SeqCst) {
                    let told = [0, 1].map(|which: usize| acknowledged[which].load(Ordering::SeqCst));
                    let record = store.browser(instance, client).await.expect("a load").expect("there");
                    let found = [record.browser.client.version, record.users[0].version];
                    assert_eq!(found[0], found[1], "a record is of one moment");
                    for which in 0..2 {
                        assert!(found[which] >= told[which], "{found:?} after {told:?}");
                        assert!(found[which] >= seen[which], "{found:?} after {seen:?} was seen");
                    }
                    seen = found;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for secs in 10..400 {
        let set = world.set(secs).write(Write::Client(row.clone())).write(Write::User(user.clone()));
        world.commit(set).await.expect("stored");
        row.version += 1;
        user.version += 1;
        acknowledged[0].store(row.version, Ordering::SeqCst);
        acknowledged[1].store(user.version, Ordering::SeqCst);
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("nobody read anything old");
    }
}

#[tokio::test]
async fn a_row_edited_by_an_operator_is_seen_within_a_second() {
    let (_folder, path) = folder();
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let client = world.client(1).await;
    assert_eq!(world.browser(client).await.browser.client.last_origin, None);
    let shell = rusqlite::Connection::open(&path).expect("a shell");
    shell.execute("UPDATE clients SET last_origin = 'http://localhost:1'", []).expect("mended");
    for _ in 0..100 {
        if world.browser(client).await.browser.client.last_origin.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was mended is not seen");
}
