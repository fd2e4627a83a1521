//! Clients, their sessions, and activity.

use sojourn_core::{
    email::Email,
    id::ClientId,
    session::{ClosedStatus, Session},
};
use sojourn_store::{Engine as _, SessionFilter, Store, Write};

use crate::{
    common::{World, at, closed, moment},
    is_conflict,
};

pub async fn what_is_committed_is_loaded_as_it_was(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let record = world.browser(client).await;
    assert_eq!(record.browser.client.version, 2);
    assert_eq!(record.browser.client.last_active_session_id, Some(session.id));
    assert!(record.browser.client.predecessor.is_some());
    assert_eq!(record.browser.sessions.len(), 1);
    assert_eq!(record.browser.sessions[0], session);
    assert_eq!(record.users.len(), 1);
    assert_eq!(record.user(ada.id), Some(&ada));
    assert_eq!(record.settings.version, 1);
    assert_eq!(world.session(session.id).await, session);
    let email = Email::parse("ada@example.com").expect("an address");
    let found = world.store.user_by_email(world.instance, &email).await.expect("a load");
    assert_eq!(found, Some(ada));
    let nobody = ClientId::generate(at(0), &mut world.rng);
    assert_eq!(world.store.browser(world.instance, nobody).await.expect("a load"), None);
}

pub async fn of_two_admissions_decided_on_one_client_exactly_one_commits(store: Store) {
    let mut world = World::new(store, 1).await;
    let (ada, bob) = (world.user("Ada", 1).await, world.user("Bob", 1).await);
    for round in 0..20 {
        let client = world.client(2 + round).await;
        let first = world.admission(client, ada.id, 3 + round).await;
        let second = world.admission(client, bob.id, 3 + round).await;
        let (first, second) = (world.set(3).browser(&first), world.set(3).browser(&second));
        let (store, other) = (world.store.clone(), world.store.clone());
        let first = tokio::spawn(async move { store.commit(first).await });
        let second = tokio::spawn(async move { other.commit(second).await });
        let outcomes = [first.await.expect("no panic"), second.await.expect("no panic")];
        let committed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let refused = outcomes.iter().filter(|outcome| is_conflict(outcome)).count();
        assert_eq!((committed, refused), (1, 1), "{outcomes:?}");
        assert_eq!(world.browser(client).await.browser.sessions.len(), 1);
    }
}

pub async fn a_closed_session_stays_as_it_ended(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let revoked = closed(&session, 10, ClosedStatus::Revoked);
    world.put(10, Write::CloseSession(revoked.clone())).await.expect("closed");
    let expired = closed(&session, 11, ClosedStatus::Expired);
    world.put(11, Write::CloseSession(expired)).await.expect("idempotent");
    let abandoned = closed(&session, 12, ClosedStatus::Abandoned);
    world.put(12, Write::CloseSession(abandoned)).await.expect("idempotent");
    assert_eq!(world.session(session.id).await, revoked);
    assert_eq!(world.browser(client).await.browser.sessions, []);
    let reverified = Session { first_factor_verified_at: at(13), ..session.clone() };
    let outcome = world.put(13, Write::UpdateSession(reverified)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let again = world.put(14, Write::InsertSession(session.clone())).await;
    assert!(is_conflict(&again), "{again:?}");
    assert_eq!(world.session(session.id).await, revoked);
}

pub async fn an_active_session_is_not_ended_for_inactivity(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world.store.record_activity(world.instance, session.id, moment(50));
    let abandoned = closed(&session, 100, ClosedStatus::Abandoned);
    let outcome = world.put(100, Write::CloseSession(abandoned)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    // Also if the activity is only in the table.
    world.store.flush_activity().await.expect("flushed");
    let abandoned = closed(&session, 100, ClosedStatus::Abandoned);
    let outcome = world.put(100, Write::CloseSession(abandoned)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let loaded = world.session(session.id).await;
    let abandoned = closed(&loaded, 2000, ClosedStatus::Abandoned);
    world.put(2000, Write::CloseSession(abandoned.clone())).await.expect("nothing newer");
    assert_eq!(world.session(session.id).await, abandoned);
}

pub async fn activity_is_seen_at_once_by_every_load(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world.store.record_activity(world.instance, session.id, moment(20));
    assert_eq!(world.session(session.id).await.last_active_at, at(20));
    assert_eq!(world.browser(client).await.browser.sessions[0].last_active_at, at(20));
    let filter = SessionFilter { limit: 9, ..SessionFilter::default() };
    let (listed, total) = world.store.sessions(world.instance, filter).await.expect("a load");
    assert_eq!((listed[0].last_active_at, total), (at(20), 1));
}

pub async fn activity_goes_forward_only_and_never_revives(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world.store.record_activity(world.instance, session.id, moment(20));
    world.store.record_activity(world.instance, session.id, moment(10));
    let touched = Session { last_active_at: at(15), ..session.clone() };
    world.put(21, Write::TouchSession(touched)).await.expect("the later time wins");
    assert_eq!(world.session(session.id).await.last_active_at, at(20));
    let touched = Session { last_active_at: at(30), ..session.clone() };
    world.put(30, Write::TouchSession(touched)).await.expect("touched");
    assert_eq!(world.session(session.id).await.last_active_at, at(30));
    let revoked = closed(&world.session(session.id).await, 40, ClosedStatus::Revoked);
    world.put(40, Write::CloseSession(revoked.clone())).await.expect("closed");
    world.store.record_activity(world.instance, session.id, moment(50));
    let touched = Session { last_active_at: at(60), ..session.clone() };
    world.put(60, Write::TouchSession(touched)).await.expect("nothing to do");
    world.store.flush_activity().await.expect("flushed");
    assert_eq!(world.session(session.id).await, revoked);
}
