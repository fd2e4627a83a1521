//! PostgreSQL: what is refused, several nodes on one database, and what
//! happens while the server does not answer.

mod common;
#[path = "support/postgres.rs"]
mod postgres;

use std::{cell::Cell, time::Duration};

use common::{World, at, closed, moment};
use postgres::{Database, Server, connect};
use sojourn_core::{
    event::Event,
    id::{EventId, InstanceId},
    session::{ClosedStatus, Session},
    testing::SeededRng,
};
use sojourn_store::{CommitError, Engine as _, Expect, Store, StoreError, UserFilter, Write};
use sojourn_testkit::memory;

async fn open(database: &Database) -> Store {
    Store::postgres(&database.url()).await.expect("a database")
}

/// The same world as another node sees it.
async fn other_node(world: &World, database: &Database, seed: u64) -> World {
    World { store: open(database).await, instance: world.instance, rng: SeededRng::new(seed) }
}

async fn refused(url: &str) -> String {
    let error = Store::postgres(url).await.map(drop).expect_err("refused");
    assert!(matches!(error, StoreError::Unusable { .. }), "{error:?}");
    error.to_string()
}

fn is_conflict(outcome: &Result<(), CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Conflict))
}

#[tokio::test]
async fn a_server_without_durability_or_write_access_is_refused() {
    let database = Database::new().await;
    let url = database.url_with("-c%20synchronous_commit%3Doff");
    assert!(refused(&url).await.contains("synchronous_commit"));
    let url = database.url_with("-c%20default_transaction_read_only%3Don");
    assert!(refused(&url).await.contains("no writes"));
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()";
    assert_eq!(database.number(tables).await, 0, "nothing was made there");
}

/// One file for each version.
fn newest_schema() -> i64 {
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    std::fs::read_dir(migrations).expect("a folder").count() as i64
}

#[tokio::test]
async fn a_newer_schema_and_tables_of_others_are_refused() {
    let database = Database::new().await;
    open(&database).await.close().await.expect("closed");
    database.run("UPDATE schema_version SET version = 99").await;
    match Store::postgres(&database.url()).await {
        Err(StoreError::NewerSchema { found: 99, known }) => assert_eq!(i64::from(known), newest_schema()),
        other => panic!("{other:?}"),
    }
    let database = Database::new().await;
    database.run("CREATE TABLE users (name TEXT)").await;
    assert!(refused(&database.url()).await.contains("users"));
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()";
    assert_eq!(database.number(tables).await, 1, "nothing was made beside it");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let error =
        Store::postgres("postgres://sojourn@127.0.0.1:5699/none").await.map(drop).expect_err("nobody");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_make_one_schema() {
    for _ in 0..3 {
        let database = Database::new().await;
        let starts = (0..6).map(|_| {
            let url = database.url();
            tokio::spawn(async move { Store::postgres(&url).await })
        });
        for start in starts.collect::<Vec<_>>() {
            let store = start.await.expect("no panic").expect("a database");
            assert_eq!(store.instances().await.expect("a load"), []);
        }
        assert_eq!(database.number("SELECT version FROM schema_version").await, newest_schema());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_acknowledged_the_other_sees_at_once() {
    let database = Database::new().await;
    let mut here = World::new(open(&database).await, 1).await;
    let there = other_node(&here, &database, 2).await;
    let ada = here.user("Ada", 1).await;
    for round in 0..40 {
        let client = here.client(round).await;
        let session = here.sign_in(client, ada.id, round).await;
        assert_eq!(there.browser(client).await.browser.sessions.len(), 1);
        // Seen there: in the memory of that node only.
        there.store.record_activity(there.instance, session.id, moment(round + 5));
        let revoked = closed(&session, round + 10, ClosedStatus::Revoked);
        here.put(round + 10, Write::CloseSession(revoked.clone())).await.expect("closed");
        assert_eq!(there.browser(client).await.browser.sessions, []);
        assert_eq!(there.session(session.id).await, revoked);
    }
    there.store.flush_activity().await.expect("flushed");
    let late = "SELECT COUNT(*) FROM activity a JOIN sessions s ON s.id = a.session_id WHERE a.last_active_at >= s.closed_at - 5000";
    assert_eq!(database.number(late).await, 0, "activity of closed sessions was left alone");
    let next = here.next_settings(200, true).await;
    here.put(200, Write::Settings(next.clone())).await.expect("new settings");
    assert_eq!(there.store.settings(there.instance).await.expect("settings").0, next);
    here.store.flush_activity().await.expect("flushed");
    assert_eq!(there.store.high_water().await.expect("a load"), Some(at(200)), "a second later by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_that_decide_at_once_one_wins() {
    let database = Database::new().await;
    let mut here = World::new(open(&database).await, 1).await;
    let mut there = other_node(&here, &database, 2).await;
    let (ada, bob) = (here.user("Ada", 1).await, here.user("Bob", 1).await);
    for round in 0..30 {
        let client = here.client(round).await;
        let first = here.admission(client, ada.id, round).await;
        let second = there.admission(client, bob.id, round).await;
        let first =
            here.set(round).expect(Expect::User(ada.id, 1)).expect(Expect::Settings(1)).browser(&first);
        let second =
            there.set(round).expect(Expect::User(bob.id, 1)).expect(Expect::Settings(1)).browser(&second);
        let outcomes = tokio::join!(here.commit(first), there.commit(second));
        let outcomes = [outcomes.0, outcomes.1];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| is_conflict(outcome)).count(), 1, "{outcomes:?}");
        assert_eq!(here.browser(client).await.browser.sessions.len(), 1);
        let ticket = here.ticket(ada.id, round);
        here.put(round, Write::InsertTicket(ticket.clone())).await.expect("a ticket");
        let accept = |world: &mut World| world.set(round).write(Write::AcceptTicket(ticket.id));
        let (first, second, third) = (accept(&mut here), accept(&mut there), accept(&mut here));
        let outcomes = tokio::join!(here.commit(first), there.commit(second), here.commit(third));
        let outcomes = [outcomes.0, outcomes.1, outcomes.2];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| is_conflict(outcome)).count(), 2, "{outcomes:?}");
        let (mut first, mut second) = (here.new_user("Twin", round), there.new_user("Twin", round));
        for user in [&mut first, &mut second] {
            let id = sojourn_core::id::EmailAddressId::generate(at(round), &mut here.rng);
            let email = sojourn_core::email::Email::parse(&format!("twin{round}@example.com"));
            user.email_addresses.clear();
            user.primary_email_address_id = None;
            user.add_email(id, email.expect("an address"), None, at(round));
        }
        let (first, second) =
            (here.set(round).write(Write::User(first)), there.set(round).write(Write::User(second)));
        let outcomes = tokio::join!(here.commit(first), there.commit(second));
        let outcomes = [outcomes.0, outcomes.1];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        let taken =
            |outcome: &&Result<(), CommitError>| matches!(outcome, Err(CommitError::Taken("email_address")));
        assert_eq!(outcomes.iter().filter(taken).count(), 1, "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_decision_holds_while_another_node_changes_what_it_rests_on() {
    let database = Database::new().await;
    let mut here = World::new(open(&database).await, 1).await;
    let mut there = other_node(&here, &database, 2).await;
    let (signed_in, refused) = (Cell::new(0), Cell::new(0));
    // At least so often, and until both have happened.
    for round in (1..600).take_while(|round| *round < 60 || signed_in.get() == 0 || refused.get() == 0) {
        let ada = here.user(&format!("Ada{round}"), round).await;
        let client = here.client(round).await;
        let settings = here.store.settings(here.instance).await.expect("settings").0.version;
        let step = here.admission(client, ada.id, round).await;
        let sign_in = here
            .set(round)
            .expect(Expect::User(ada.id, ada.version))
            .expect(Expect::Settings(settings))
            .browser(&step);
        let id = sign_in.id;
        let change = if round % 2 == 0 {
            let mut banned = ada.clone();
            banned.banned = true;
            there.set(round).write(Write::User(banned))
        } else {
            let next = there.next_settings(round, round % 4 == 1).await;
            there.set(round).write(Write::Settings(next))
        };
        let changed = change.id;
        // Now the one is ahead by up to 6 ms, now the other, whichever is the slower
        // statement on this machine.
        let ahead = |of: i64| Duration::from_millis(if round / 7 % 2 == of { (round % 7) as u64 } else { 0 });
        let outcomes = tokio::join!(
            async {
                tokio::time::sleep(ahead(0)).await;
                here.commit(sign_in).await
            },
            async {
                tokio::time::sleep(ahead(1)).await;
                there.commit(change).await
            }
        );
        outcomes.1.expect("nothing speaks against it");
        match outcomes.0 {
            Ok(()) => {
                signed_in.set(signed_in.get() + 1);
                // Both were committed, so the decision came first.
                let order = format!(
                    "SELECT COUNT(*) FROM commits a, commits b WHERE a.id = '{id}' AND b.id = '{changed}' AND CASE WHEN current_setting('track_commit_timestamp') = 'on' THEN pg_xact_commit_timestamp(a.xmin) < pg_xact_commit_timestamp(b.xmin) ELSE TRUE END"
                );
                assert_eq!(database.number(&order).await, 1);
            }
            Err(CommitError::Conflict) => {
                refused.set(refused.get() + 1);
                assert_eq!(here.browser(client).await.browser.sessions, []);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(signed_in.get() > 0 && refused.get() > 0, "both happen: {signed_in:?}, {refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_decision_waits_for_settings_that_are_being_changed() {
    let database = Database::new().await;
    let mut world = World::new(open(&database).await, 1).await;
    let ada = world.user("Ada", 1).await;
    // Another node is about to commit the next settings.
    let other = connect(&database.url()).await;
    let begin = "BEGIN; SELECT 1 FROM settings WHERE version = 1 FOR UPDATE; INSERT INTO settings SELECT instance_id, 2, document FROM settings";
    other.batch_execute(begin).await.expect("under way");
    let rests_on_them = world.set(3).expect(Expect::Settings(1)).event(Event::UserUpdated(ada.id));
    let store = world.store.clone();
    let waiting = tokio::spawn(async move { store.commit(rests_on_them).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    other.batch_execute("COMMIT").await.expect("changed");
    let outcome = waiting.await.expect("no panic");
    assert!(is_conflict(&outcome), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn late_activity_of_one_node_does_not_undo_a_closing() {
    let database = Database::new().await;
    let mut here = World::new(open(&database).await, 1).await;
    let there = other_node(&here, &database, 2).await;
    let ada = here.user("Ada", 1).await;
    let (mut ended, mut saved) = (0, 0);
    for round in 0..40 {
        let client = here.client(round).await;
        let session = here.sign_in(client, ada.id, round).await;
        there.store.record_activity(there.instance, session.id, moment(round + 100));
        let abandoned = closed(&session, round + 2000, ClosedStatus::Abandoned);
        let end = here.set(round + 2000).write(Write::CloseSession(abandoned.clone()));
        let outcomes = tokio::join!(here.commit(end), there.store.flush_activity());
        outcomes.1.expect("flushed");
        there.store.flush_activity().await.expect("flushed");
        let stored: Session = here.session(session.id).await;
        match outcomes.0 {
            Ok(()) => {
                ended += 1;
                assert_eq!(stored, abandoned);
            }
            Err(CommitError::Conflict) => {
                saved += 1;
                assert_eq!((stored.closed, stored.last_active_at), (None, at(round + 100)));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(ended > 0 && saved > 0, "both happen: {ended}, {saved}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn activity_is_stored_within_a_second_and_when_a_node_goes() {
    let database = Database::new().await;
    let mut world = World::new(open(&database).await, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let select = "SELECT MAX(last_active_at) FROM activity";
    let second = Duration::from_millis(1_400);
    world.store.record_activity(world.instance, session.id, moment(3 + 59));
    tokio::time::sleep(second).await;
    assert_eq!(database.number(select).await, at(3).as_millis(), "not worth a write yet");
    world.store.record_activity(world.instance, session.id, moment(3 + 60));
    tokio::time::sleep(second).await;
    assert_eq!(database.number(select).await, at(63).as_millis());
    assert_eq!(database.number("SELECT high_water FROM clock").await, at(63).as_millis());
    world.store.record_activity(world.instance, session.id, moment(64));
    world.allow_many(65).await;
    assert_eq!(database.number(select).await, at(64).as_millis(), "before new settings");
    world.store.record_activity(world.instance, session.id, moment(70));
    world.store.close().await.expect("closed");
    assert_eq!(database.number(select).await, at(70).as_millis());
    world.store = open(&database).await;
    world.store.record_activity(world.instance, session.id, moment(80));
    world.store = memory::store();
    tokio::time::sleep(second).await;
    assert_eq!(database.number(select).await, at(80).as_millis(), "also when it is dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_event_of_several_writers_is_read_once_in_one_order() {
    let database = Database::new().await;
    let world = World::new(open(&database).await, 1).await;
    let instance = world.instance;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let url = database.url();
            tokio::spawn(async move {
                let store = Store::postgres(&url).await.expect("a database");
                let mut world = World { store, instance, rng: SeededRng::new(10 + writer) };
                for secs in 0..25 {
                    // Their clocks do not agree at all.
                    let user = world.new_user("Ada", 0).id;
                    let set = world.set(secs - 1_000 * writer as i64);
                    let set = set.event(Event::UserCreated(user)).event(Event::UserUpdated(user));
                    world.commit(set).await.expect("told");
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move {
                follow(&Store::postgres(&url).await.expect("a database"), instance, 200).await
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    let mut told = Vec::new();
    for reader in readers {
        told.push(reader.await.expect("no panic"));
    }
    assert_eq!(told[0], told[1]);
    let mut once = told[0].clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), 200);
    let names = world.store.outbox(instance, None, 500).await.expect("a load");
    let user = |index: usize| names[index].data["user_id"].clone();
    for (index, entry) in names.iter().enumerate().filter(|(_, entry)| entry.name == "user.updated") {
        let created = (0..index).find(|before| user(*before) == user(index));
        assert!(created.is_some(), "updated before it was created: {entry:?}");
    }
}

async fn follow(store: &Store, instance: InstanceId, until: usize) -> Vec<EventId> {
    let (mut told, mut place): (Vec<EventId>, _) = (Vec::new(), None);
    while told.len() < until {
        let next = store.outbox(instance, place, 7).await.expect("a load");
        place = next.last().map(|entry| entry.seq).or(place);
        told.extend(next.iter().map(|entry| entry.id));
        if next.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cancelled_request_leaves_no_partial_commit() {
    let database = Database::new().await;
    let store = Store::postgres(&format!("{}&application_name=given_up", database.url())).await;
    let store = store.expect("a database");
    let mut world = World::new(store, 1).await;
    let mut sets = Vec::new();
    for secs in 0..60 {
        let user = world.new_user(&format!("user{secs}"), secs);
        sets.push((user.id, world.set(secs).write(Write::User(user))));
    }
    for (index, (_, set)) in sets.iter().enumerate() {
        let patience = Duration::from_micros(100 * index as u64);
        let _ = tokio::time::timeout(patience, world.commit(set.clone())).await;
        let _ = tokio::time::timeout(patience, world.store.instances()).await;
    }
    for (id, set) in sets {
        // Sent again it settles what became of it.
        world.commit(set).await.expect("applied once");
        assert_eq!(world.load_user(id).await.version, 1);
    }
    let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name = 'given_up'";
    assert_eq!(database.number(open).await, 0);
}

#[tokio::test]
async fn text_that_postgresql_cannot_hold_is_no_failure() {
    let database = Database::new().await;
    let mut world = World::new(open(&database).await, 1).await;
    let mut odd = world.new_user("Ada", 1);
    odd.last_name = Some("\0".to_owned());
    odd.external_id = Some("a\0b".to_owned());
    world.put(1, Write::User(odd.clone())).await.expect("stored");
    odd.version = 1;
    assert_eq!(world.load_user(odd.id).await, odd);
    let filter = UserFilter { query: Some("\0".to_owned()), limit: 9, ..UserFilter::default() };
    let (found, _) = world.store.users(world.instance, filter).await.expect("a load");
    assert_eq!(found, [odd]);
}

/// A standby that has to have everything, and is not there: COMMIT is not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_without_an_answer_has_an_unknown_outcome() {
    let server = Server::start(false);
    let store = Store::postgres(&server.url()).await.expect("a database");
    let mut world = World::new(store, 1).await;
    server.wait_for_standby("gone").await;
    let ada = world.new_user("Ada", 1);
    let set = world.set(1).write(Write::User(ada.clone()));
    let outcome = world.commit(set.clone()).await;
    assert!(
        matches!(outcome, Err(CommitError::OutcomeUnknown { commit_id }) if commit_id == set.id),
        "{outcome:?}"
    );
    // A set that is refused needs no COMMIT, and has no unknown outcome.
    let mut bob = world.new_user("Bob", 2);
    bob.version = 7;
    let stale = world.put(2, Write::User(bob)).await;
    assert!(matches!(stale, Err(CommitError::Conflict)), "{stale:?}");
    server.wait_for_standby("").await;
    world.commit(set.clone()).await.expect("the same set finds out");
    assert!(world.store.was_committed(world.instance, set.id).await.expect("a load"));
    assert_eq!(world.load_user(ada.id).await.version, 1);
}
