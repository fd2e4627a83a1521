//! The test clock, leases, and the purge of ended sessions.

use sojourn_core::{
    impersonation::Impersonation,
    session::{ClosedStatus, EndReason, EndedBy},
    test_clock::TestClock,
    time::minutes,
};
use sojourn_store::{Engine as _, Store, Write};

use crate::{
    common::{World, at, closed, moment},
    is_conflict,
};

pub async fn a_test_clock_comes_back_and_is_moved_by_one_at_a_time(store: Store) {
    let mut world = World::new(store, 1).await;
    let clock = world.store.test_clock(world.instance).await.expect("a load");
    assert_eq!(clock, TestClock::default());
    let ahead = TestClock { offset_ms: 1_860_000, ..clock };
    world.put(1, Write::TestClock(ahead)).await.expect("moved");
    let again = world.put(2, Write::TestClock(ahead)).await;
    assert!(is_conflict(&again), "{again:?}");
    let stored = world.store.test_clock(world.instance).await.expect("a load");
    assert_eq!(stored, TestClock { version: 1, ..ahead });
    let still = TestClock { frozen_at: Some(at(5)), ..stored };
    world.put(3, Write::TestClock(still)).await.expect("moved");
    let stored = world.store.test_clock(world.instance).await.expect("a load");
    assert_eq!(stored, TestClock { version: 2, ..still });
}

pub async fn a_reset_moves_what_is_open_and_leaves_what_is_over(store: Store) {
    let mut world = World::new(store, 1).await;
    let (ada, bob) = (world.user("Ada", 1).await, world.user("Bob", 1).await);
    let (here, there) = (world.client(2).await, world.client(2).await);
    let open = world.sign_in(here, ada.id, 1000).await;
    let over = world.sign_in(there, bob.id, 1000).await;
    world.put(1010, Write::CloseSession(closed(&over, 1005, ClosedStatus::Revoked))).await.expect("closed");
    world.store.record_activity(world.instance, open.id, moment(1020));
    let (_, before) = world.store.settings(world.instance).await.expect("a load");

    world.put(1030, Write::RebaseOpenSessions(-900_000)).await.expect("moved");
    world.store.forget_activity(world.instance);
    let load =
        async |id| world.store.session(world.instance, id).await.expect("a load").expect("it is there");
    let moved = load(open.id).await;
    assert_eq!((moved.created_at, moved.last_active_at), (at(100), at(120)));
    assert_eq!(moved.updated_at, open.updated_at, "browsers want it to grow");
    assert_eq!(load(over.id).await.closed.map(|closing| closing.at), Some(at(1005)));
    let (settings, after) = world.store.settings(world.instance).await.expect("a load");
    assert_eq!(after.current().in_force_from, before.current().in_force_from - minutes(15));
    assert_eq!(settings.in_force_from, after.current().in_force_from);
    let record = world.browser(here).await;
    assert_eq!(record.policy, after);
    assert_eq!(record.browser.client.predecessor.expect("it rotated").rotated_at, at(100));
}

pub async fn a_lease_belongs_to_one_until_its_time_is_over(store: Store) {
    let world = World::new(store, 1).await;
    let take = async |name, holder, from, until| {
        let taken = world.store.take_lease(world.instance, name, holder, at(from), at(until)).await;
        taken.expect("an answer")
    };
    assert!(take("sweep", "a", 0, 30).await);
    assert!(!take("sweep", "b", 29, 60).await);
    assert!(take("purge", "b", 29, 60).await, "another job");
    assert!(take("sweep", "a", 29, 40).await, "who has it may go on");
    assert!(take("sweep", "b", 40, 70).await);
    assert!(!take("sweep", "a", 41, 90).await);
}

pub async fn open_sessions_are_walked_through_group_by_group(store: Store) {
    let mut world = World::new(store, 1).await;
    let mut all = Vec::new();
    for n in 0..7 {
        let user = world.user(&format!("User{n}"), 1).await;
        let client = world.client(2).await;
        // Two sessions per second: the id determines their order.
        all.push(world.sign_in(client, user.id, 10 + n / 2).await);
    }
    let gone = closed(&all[3], 20, ClosedStatus::Removed);
    world.put(20, Write::CloseSession(gone)).await.expect("closed");
    world.store.record_activity(world.instance, all[0].id, moment(30));
    let mut expected: Vec<_> = all.iter().filter(|one| one.id != all[3].id).collect();
    expected.sort_by_key(|one| (one.created_at, one.id));
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let group = world.store.open_sessions(world.instance, after, 2).await.expect("a load");
        let Some(last) = group.last() else { break };
        after = Some((last.created_at, last.id));
        walked.extend(group);
    }
    let ids = |sessions: &mut dyn Iterator<Item = _>| sessions.collect::<Vec<_>>();
    assert_eq!(ids(&mut walked.iter().map(|one| one.id)), ids(&mut expected.iter().map(|one| one.id)));
    let first = walked.iter().find(|one| one.id == all[0].id).expect("walked through");
    assert_eq!(first.last_active_at, at(30), "with what is in memory");
}

pub async fn an_end_record_is_complete_until_it_is_purged(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    assert_eq!(world.store.last_ended_session(world.instance, client).await.expect("a load"), None);
    let (first, second) =
        (world.sign_in(client, ada.id, 3).await, world.sign_in_again(client, ada.id, 8).await);
    world.put(9, Write::CloseSession(closed(&second, 9, ClosedStatus::Expired))).await.expect("closed");
    let last = world.store.last_ended_session(world.instance, client).await.expect("a load").expect("one");
    assert_eq!(last.id, second.id);
    let closing = last.closed.expect("closed");
    assert_eq!((closing.reason, closing.by), (EndReason::MaximumLifetime, EndedBy::Backend));
    assert_eq!(closing.deadline_at, at(9));

    let purge = async |secs| world.store.purge_sessions(world.instance, at(secs), 10).await.expect("purged");
    assert!(purge(8).await > 0, "the first one ended at 7");
    assert_eq!(world.store.session(world.instance, first.id).await.expect("a load"), None);
    assert!(world.store.session(world.instance, second.id).await.expect("a load").is_some());
    assert!(purge(9).await > 0);
    assert_eq!(purge(9).await, 0);
    assert_eq!(world.store.last_ended_session(world.instance, client).await.expect("a load"), None);
}

pub async fn who_acts_as_an_account_is_remembered(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let mut step = world.admission(client, ada.id, 3).await;
    let session = step.subject.as_mut().expect("admitted");
    let actor = serde_json::json!({"sub": "user_support", "why": "ticket 12"});
    let serde_json::Value::Object(actor) = actor else { unreachable!("an object") };
    session.impersonation = Some(Impersonation { actor, maximum: minutes(30) });
    let expected = session.clone();
    let set = world.set(3).browser(&step);
    world.commit(set).await.expect("signed in");
    let stored = world.store.session(world.instance, expected.id).await.expect("a load");
    assert_eq!(stored, Some(expected));
}
