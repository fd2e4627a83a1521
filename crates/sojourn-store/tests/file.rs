//! The database file: what is refused, what is not changed, and how errors recover.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{World, at, closed, moment};
use rusqlite::Connection;
use sojourn_core::{email::Email, session::ClosedStatus, testing::SeededRng};
use sojourn_store::{CommitError, Engine as _, Store, StoreError, Write};
use sojourn_testkit::memory;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sojourn.db");
    (folder, path)
}

/// A database with one user, closed properly.
async fn database(path: &Path) {
    let mut world = World::new(Store::sqlite(path).expect("a database"), 1).await;
    for secs in 1..30 {
        let user = world.user(&format!("user{secs}"), secs).await;
        let client = world.client(secs).await;
        world.sign_in(client, user.id, secs).await;
    }
    world.store.close().await.expect("closed");
}

fn refused(path: &Path) -> String {
    let before = fs::read(path).ok();
    let error = Store::sqlite(path).map(drop).expect_err("refused");
    assert!(matches!(error, StoreError::Unusable { .. }), "{error:?}");
    assert_eq!(fs::read(path).ok(), before, "it was left as it is");
    error.to_string()
}

#[tokio::test]
async fn a_file_that_is_no_database_of_ours_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    for content in [&b""[..], b"SQLite", b"[server]\nlisten = 4000\n", &[0; 8192]] {
        fs::write(&path, content).expect("written");
        assert!(refused(&path).contains("not a database"));
    }
    fs::remove_file(&path).expect("removed");
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("CREATE TABLE notes (text TEXT)").expect("a table");
    drop(other);
    assert!(refused(&path).contains("another program"));
}

#[tokio::test]
async fn a_truncated_database_is_refused() {
    let (_folder, path) = folder();
    database(&path).await;
    let whole = fs::read(&path).expect("read");
    for length in [100, 4096, 4097, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("cut");
        refused(&path);
    }
    fs::write(&path, &whole).expect("restored");
    let store = Store::sqlite(&path).expect("opens again");
    assert_eq!(store.instances().await.expect("a load").len(), 1);
}

#[tokio::test]
async fn r_16_a_damaged_database_is_never_emptied() {
    let (_folder, path) = folder();
    database(&path).await;
    let whole = fs::read(&path).expect("read");
    let mut rng = SeededRng::new(16);
    let mut refusals = 0;
    for round in 0..120 {
        let mut damaged = whole.clone();
        if round % 4 == 0 {
            let page = rng.below(whole.len() as u64 / 4096) as usize * 4096;
            damaged[page..page + 4096].fill(0);
        } else {
            for _ in 0..=rng.below(4) {
                let byte = rng.below(whole.len() as u64) as usize;
                damaged[byte] ^= 1 << rng.below(8);
            }
        }
        for name in ["sojourn.db-wal", "sojourn.db-shm"] {
            let _ = fs::remove_file(path.with_file_name(name));
        }
        fs::write(&path, &damaged).expect("damaged");
        match Store::sqlite(&path) {
            Err(_) => {
                refusals += 1;
                assert_eq!(fs::read(&path).expect("read"), damaged, "it was left as it is");
            }
            Ok(store) => {
                // An error is acceptable; an empty result is not.
                if let Ok(instances) = store.instances().await {
                    assert_eq!(instances.len(), 1, "round {round}");
                }
                drop(store);
            }
        }
    }
    assert!(refusals > 30, "{refusals} of 120");
}

#[tokio::test]
async fn a_log_without_its_database_is_not_replaced_by_an_empty_one() {
    let (_folder, path) = folder();
    fs::write(path.with_file_name("sojourn.db-wal"), [1; 64]).expect("written");
    assert!(refused(&path).contains("sojourn.db-wal"));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_numbers() {
    let (_folder, path) = folder();
    database(&path).await;
    let db = Connection::open(&path).expect("a database");
    db.execute("UPDATE schema_version SET version = 99", []).expect("changed");
    drop(db);
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let migrations = fs::read_dir(migrations).expect("a folder").count();
    match Store::sqlite(&path) {
        Err(StoreError::NewerSchema { found: 99, known }) => assert_eq!(known as usize, migrations),
        other => panic!("{other:?}"),
    }
}

// Rows from before addresses were compared by the ASCII form of their domain.
#[tokio::test]
async fn rows_of_one_spelling_stay_findable_and_writable() {
    let (_folder, path) = folder();
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let [unicode, ascii] = ["ada@bücher.example", "ada@xn--bcher-kva.example"]
        .map(|text| Email::parse(text).expect("an address"));
    let mut ada = world.new_user("Ada", 1);
    ada.email_addresses[0].email = unicode.clone();
    world.put(1, Write::User(ada.clone())).await.expect("free");
    let eve = world.user("Eve", 2).await;
    let raw = |sql: &str| {
        let db = Connection::open(&path).expect("a database");
        db.execute_batch(sql).expect("changed");
    };
    let owner = async |store: &Store, email: &Email| {
        let found = store.user_by_email(world.instance, email).await.expect("a load");
        found.map(|user| user.id)
    };
    world.store.close().await.expect("closed");
    raw("DELETE FROM identifiers WHERE value = 'ada@xn--bcher-kva.example'");
    let store = Store::sqlite(&path).expect("opens again");
    assert_eq!(owner(&store, &unicode).await, Some(ada.id));
    assert_eq!(owner(&store, &ascii).await, Some(ada.id));
    store.close().await.expect("closed");
    // Two accounts with the same address: each keeps its spelling.
    raw(&format!(
        "UPDATE identifiers SET value = 'ada@xn--bcher-kva.example' WHERE value = 'eve@example.com';
         UPDATE users SET document = replace(document, 'eve@example.com', 'ada@xn--bcher-kva.example') WHERE id = '{}'",
        eve.id
    ));
    let mut world = World { store: Store::sqlite(&path).expect("opens again"), ..world };
    for secs in 3..5 {
        for (email, id) in [(&unicode, ada.id), (&ascii, eve.id)] {
            assert_eq!(owner(&world.store, email).await, Some(id));
            let user = world.load_user(id).await;
            world.put(secs, Write::User(user)).await.expect("still its own");
        }
    }
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_refused() {
    let (folder, _) = folder();
    refused(folder.path());
    refused(&folder.path().join("missing/sojourn.db"));
}

#[tokio::test]
async fn everything_is_there_after_closing_and_after_dropping() {
    let (_folder, path) = folder();
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world.store.record_activity(world.instance, session.id, moment(10));
    world.store.close().await.expect("closed");
    world.store = Store::sqlite(&path).expect("opens again");
    assert_eq!(world.session(session.id).await.last_active_at, at(10));
    assert_eq!(world.browser(client).await.user(ada.id), Some(&ada));
    world.store.record_activity(world.instance, session.id, moment(20));
    world.store = memory::store();
    world.store = Store::sqlite(&path).expect("opens after a drop");
    assert_eq!(world.session(session.id).await.last_active_at, at(20));
    assert_eq!(world.store.high_water().await.expect("a load"), Some(at(20)));
}

/// The stored activity of a session, as another process reads it.
fn stored_activity(path: &Path) -> i64 {
    let db = Connection::open(path).expect("a database");
    let select = "SELECT MAX(last_active_at) FROM activity";
    db.query_row(select, [], |row| row.get(0)).expect("a session")
}

#[tokio::test]
async fn activity_is_stored_within_a_second_once_it_is_coarse_enough() {
    let (_folder, path) = folder();
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let second = Duration::from_millis(1_200);
    world.store.record_activity(world.instance, session.id, moment(3 + 59));
    tokio::time::sleep(second).await;
    assert_eq!(stored_activity(&path), at(3).as_millis(), "not worth a write yet");
    world.store.record_activity(world.instance, session.id, moment(3 + 60));
    tokio::time::sleep(second).await;
    assert_eq!(stored_activity(&path), at(63).as_millis());
    assert_eq!(world.store.high_water().await.expect("a load"), Some(at(63)));
    // New settings are committed after all activity before them.
    world.store.record_activity(world.instance, session.id, moment(64));
    world.allow_many(65).await;
    assert_eq!(stored_activity(&path), at(64).as_millis());
    // 30 minutes / 20 is more than a minute, so the delay is a minute; a late batch does not change
    // a closed session.
    let last = world.session(session.id).await;
    let revoked = closed(&last, 70, ClosedStatus::Revoked);
    world.put(70, Write::CloseSession(revoked)).await.expect("closed");
    world.store.record_activity(world.instance, session.id, moment(300));
    tokio::time::sleep(second).await;
    assert_eq!(stored_activity(&path), at(64).as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r_04_a_locked_database_is_unavailable_within_two_seconds() {
    let (_folder, path) = folder();
    let mut world = World::new(Store::sqlite(&path).expect("a database"), 1).await;
    let ada = world.user("Ada", 1).await;
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    #[expect(
        clippy::disallowed_methods,
        reason = "measures that a locked database does not hang its callers"
    )]
    let began = Instant::now();
    let sets: Vec<_> = (0..4).map(|secs| world.set(secs).write(Write::ClearMails)).collect();
    let mut waiting = Vec::new();
    for set in sets {
        let store = world.store.clone();
        waiting.push(tokio::spawn(async move { store.commit(set).await }));
        tokio::time::sleep(Duration::from_millis(300)).await;
        // A read does not wait for the writer.
        assert_eq!(world.load_user(ada.id).await, ada);
    }
    for outcome in waiting {
        let outcome = outcome.await.expect("no panic");
        let unavailable = matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_))));
        assert!(unavailable, "{outcome:?}");
    }
    assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
    other.execute_batch("ROLLBACK").expect("unlocked");
    world.put(9, Write::ClearMails).await.expect("healed without a restart");
}
