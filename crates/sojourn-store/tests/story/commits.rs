//! Change sets: atomic, applied once, with events.

use sojourn_core::{
    client::{SignOutScope, sign_out},
    email::Email,
    event::Event,
    id::CommitId,
    session::{ClosedStatus, Ending},
};
use sojourn_store::{CommitError, Engine as _, IdempotencyKey, Store, StoreError, Write};

use crate::{
    common::{World, at, closed, moment},
    is_conflict,
};

pub async fn a_set_is_applied_whole_or_not_at_all(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let before = world.browser(client).await;
    let bob = world.new_user("Bob", 4);
    let mail = world.mail("ada@example.com", 4);
    let mut stale = ada.clone();
    stale.version = 9;
    let mut renamed = ada.clone();
    renamed.first_name = None;
    let set = world
        .set(4)
        .write(Write::User(bob.clone()))
        .write(Write::User(renamed))
        .write(Write::Mail(mail))
        .write(Write::CloseSession(closed(&session, 4, ClosedStatus::Revoked)))
        .event(Event::UserCreated(bob.id))
        .write(Write::User(stale));
    let id = set.id;
    let outcome = world.commit(set).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert!(!world.store.was_committed(world.instance, id).await.expect("a load"));
    assert_eq!(world.store.user(world.instance, bob.id).await.expect("a load"), None);
    assert_eq!(world.browser(client).await, before);
    assert_eq!(world.store.mails(world.instance, None, 9).await.expect("a load"), []);
    let events = world.store.outbox(world.instance, None, 99).await.expect("a load");
    assert!(events.iter().all(|event| event.name != "user.created"), "{events:?}");
    let email = Email::parse("bob@example.com").expect("an address");
    assert_eq!(world.store.user_by_email(world.instance, &email).await.expect("a load"), None);
}

pub async fn a_set_applied_twice_is_applied_once(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.new_user("Ada", 1);
    let set = world.set(1).write(Write::User(ada.clone())).event(Event::UserCreated(ada.id));
    for _ in 0..3 {
        world.commit(set.clone()).await.expect("known after the first time");
    }
    assert!(world.store.was_committed(world.instance, set.id).await.expect("a load"));
    assert_eq!(world.load_user(ada.id).await.version, 1);
    let events = world.store.outbox(world.instance, None, 99).await.expect("a load");
    assert_eq!(events.len(), 1);
}

pub async fn events_are_read_in_order_after_a_cursor(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let record = world.browser(client).await;
    let one = SignOutScope::One(session.id);
    let step = sign_out(moment(4), &record.policy, &record.browser, one, Ending::SIGNED_OUT, None);
    // A clock that went back does not change the order of events.
    let set = world.set(-5).event(Event::UserUpdated(ada.id)).browser(&step);
    world.commit(set).await.expect("signed out");
    let outbox = async |after, limit| world.store.outbox(world.instance, after, limit).await.expect("a load");
    let all = outbox(None, 9).await;
    let names: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["session.created", "user.updated", "session.removed"]);
    assert_eq!(all[2].at, at(-5));
    assert_eq!(
        all[2].data,
        serde_json::json!({
            "session_id": session.id, "user_id": ada.id,
            "session": {"client_id": client, "actor": null, "created_at": at(3), "last_active_at": at(3)},
            "status": "removed",
            "reason": "signed_out", "by": "user", "at": at(4), "deadline_at": at(3) + sojourn_core::time::days(7), "settings_version": 1,
        })
    );
    assert_eq!(outbox(Some(all[0].seq), 1).await, all[1..2]);
    assert_eq!(outbox(Some(all[2].seq), 9).await, []);
}

pub async fn a_reader_goes_on_where_it_was_done(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    for secs in 2..6 {
        let set = world.set(secs).event(Event::UserUpdated(ada.id));
        world.commit(set).await.expect("told");
    }
    let (store, instance) = (world.store.clone(), world.instance);
    let read = async || {
        let done = store.acknowledged_events(instance, "webhooks").await.expect("a load");
        store.outbox(instance, done, 2).await.expect("a load")
    };
    let first = read().await;
    assert_eq!(first, read().await, "what is not acknowledged is read again");
    store.acknowledge_events(instance, "webhooks", first[1].seq).await.expect("noted");
    let second = read().await;
    assert_eq!(second.iter().map(|entry| entry.at).collect::<Vec<_>>(), [at(4), at(5)]);
    store.acknowledge_events(instance, "webhooks", second[1].seq).await.expect("noted");
    store.acknowledge_events(instance, "webhooks", first[0].seq).await.expect("it never goes back");
    assert_eq!(read().await, []);
    assert_eq!(store.acknowledged_events(instance, "audit").await.expect("a load"), None);
}

pub async fn events_stay_for_a_week_and_places_go_on(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let day = 86_400;
    for secs in [2, 3, 2 * day] {
        let set = world.set(secs).event(Event::UserUpdated(ada.id));
        world.commit(set).await.expect("told");
    }
    let (store, instance) = (world.store.clone(), world.instance);
    let times = async || {
        let entries = store.outbox(instance, None, 9).await.expect("a load");
        entries.iter().map(|entry| (entry.seq, entry.at)).collect::<Vec<_>>()
    };
    // No event was read before: in PostgreSQL none has a sequence number.
    store.purge(moment(2 + 7 * day), 1).await.expect("purged");
    assert_eq!(times().await, [(1, at(2)), (2, at(3)), (3, at(2 * day))]);
    store.purge(moment(5 + 7 * day), 1).await.expect("purged");
    assert_eq!(times().await, [(3, at(2 * day))]);
    store.purge(moment(90 * day), 1).await.expect("purged");
    let set = world.set(91 * day).event(Event::UserUpdated(ada.id));
    world.commit(set).await.expect("told");
    assert_eq!(times().await, [(3, at(2 * day)), (4, at(91 * day))]);
}

pub async fn an_idempotency_key_is_taken_once_for_a_day(store: Store) {
    let mut world = World::new(store, 1).await;
    let key = IdempotencyKey {
        key_hash: [1; 32],
        request_hash: [2; 32],
        answer: serde_json::json!({"id": "user_1", "name": "Zoë"}),
        created_at: at(5),
    };
    let (store, instance) = (world.store.clone(), world.instance);
    assert_eq!(store.idempotency_key(instance, key.key_hash).await.expect("a load"), None);
    world.put(5, Write::IdempotencyKey(key.clone())).await.expect("a new key");
    let again = world.put(6, Write::IdempotencyKey(key.clone())).await;
    assert!(is_conflict(&again), "{again:?}");
    store.purge(moment(4 + 86_400), 9).await.expect("purged");
    let known = store.idempotency_key(instance, key.key_hash).await.expect("a load");
    assert_eq!(known, Some(key.clone()));
    store.purge(moment(5 + 86_400), 9).await.expect("purged");
    assert_eq!(store.idempotency_key(instance, key.key_hash).await.expect("a load"), None);
    world.put(86_410, Write::IdempotencyKey(key)).await.expect("free again");
}

pub async fn the_high_water_mark_only_rises(store: Store) {
    assert_eq!(store.high_water().await.expect("a load"), None);
    let mut world = World::new(store, 1).await;
    assert_eq!(world.store.high_water().await.expect("a load"), Some(at(0)));
    world.store.raise_high_water(at(100)).await.expect("raised");
    world.store.raise_high_water(at(50)).await.expect("nothing to do");
    world.put(60, Write::ClearMails).await.expect("committed");
    assert_eq!(world.store.high_water().await.expect("a load"), Some(at(100)));
    world.put(160, Write::ClearMails).await.expect("committed");
    assert_eq!(world.store.high_water().await.expect("a load"), Some(at(160)));
}

pub async fn a_closed_store_answers_nothing(store: Store) {
    let mut world = World::new(store, 1).await;
    world.store.close().await.expect("closed");
    let outcome = world.put(1, Write::ClearMails).await;
    assert!(matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    let load = world.store.instances().await;
    assert!(matches!(load, Err(StoreError::Unavailable(_))), "{load:?}");
    let id = CommitId::generate(at(0), &mut world.rng);
    assert!(world.store.was_committed(world.instance, id).await.is_err());
    assert!(world.store.close().await.is_err());
}
