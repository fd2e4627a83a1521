//! Instances, their keys and settings, and their isolation.

use sojourn_core::{
    id::InstanceId, session::ClosedStatus, settings::Settings, signing_key::SigningKeyTimes,
    testing::SeededRng, time::minutes,
};
use sojourn_store::{
    ChangeSet, CommitError, Engine as _, Environment, Expect, Instance, SecretKey, SessionFilter, SigningKey,
    Store, StoreError, UserFilter, Write,
};

use crate::{
    common::{World, at, closed, moment},
    is_conflict,
};

pub async fn an_instance_has_keys_and_settings(store: Store) {
    let mut world = World::new(store, 1).await;
    let key = |kid: &str, secs| SigningKey {
        kid: kid.to_owned(),
        sealed_private_key: vec![1, 2, 3],
        times: SigningKeyTimes::first(at(secs)),
    };
    let secret = SecretKey::new([7; 32], None, at(1));
    world.put(1, Write::InsertSigningKey(key("b", 1))).await.expect("a key");
    world.put(2, Write::InsertSigningKey(key("a", 2))).await.expect("a key");
    world.put(2, Write::InsertSecretKey(secret.clone())).await.expect("a key");
    let again = world.put(3, Write::InsertSigningKey(key("a", 3))).await;
    assert!(is_conflict(&again), "{again:?}");
    let keys = world.store.signing_keys(world.instance).await.expect("a load");
    assert_eq!(keys, [key("b", 1), key("a", 2)]);
    let found = world.store.secret_key(world.instance, [7; 32]).await.expect("a load");
    assert_eq!(found, Some(secret));
    assert_eq!(world.store.secret_key(world.instance, [8; 32]).await.expect("a load"), None);
    let instances = world.store.instances().await.expect("a load");
    assert_eq!(instances.iter().map(|row| row.id).collect::<Vec<_>>(), [world.instance]);
    assert_eq!(instances[0].environment, Environment::Development);
}

pub async fn secret_keys_are_taken_back_one_by_one_but_for_the_last(store: Store) {
    let mut world = World::new(store, 1).await;
    for (hash, secs) in [([7; 32], 1), ([8; 32], 2)] {
        let key = SecretKey::new(hash, Some(format!("key {secs}")), at(secs));
        world.put(secs, Write::InsertSecretKey(key)).await.expect("a key");
    }
    world.put(5, Write::SecretKeyUsed([8; 32])).await.expect("used");
    // A late update by another node.
    world.put(4, Write::SecretKeyUsed([8; 32])).await.expect("used");
    world.put(6, Write::RevokeSecretKey([7; 32])).await.expect("taken back");
    for hash in [[7; 32], [8; 32], [9; 32]] {
        let refused = world.put(7, Write::RevokeSecretKey(hash)).await;
        assert!(is_conflict(&refused), "{refused:?}");
    }
    let keys = world.store.secret_keys(world.instance).await.expect("a load");
    let told: Vec<_> = keys.iter().map(|key| (key.hash[0], key.last_used_at, key.revoked_at)).collect();
    assert_eq!(told, [(7, None, Some(at(6))), (8, Some(at(5)), None)]);
    assert_eq!(keys[1].name.as_deref(), Some("key 2"));
    let found = world.store.secret_key(world.instance, [8; 32]).await.expect("a load");
    assert_eq!(found.as_ref(), keys.get(1));
}

pub async fn of_two_that_take_back_one_of_two_keys_each_one_does(store: Store) {
    let mut world = World::new(store, 1).await;
    for round in 0..10_u8 {
        let pair = [[2 * round; 32], [2 * round + 1; 32]];
        for key in pair {
            let key = SecretKey::new(key, None, at(1));
            world.put(1, Write::InsertSecretKey(key)).await.expect("a key");
        }
        // The keys of earlier rounds are revoked, except one.
        let keys = world.store.secret_keys(world.instance).await.expect("a load");
        let left = keys.iter().filter(|key| key.is_good(at(2)) && !pair.contains(&key.hash));
        for key in left.map(|key| key.hash).collect::<Vec<_>>() {
            world.put(2, Write::RevokeSecretKey(key)).await.expect("taken back");
        }
        let sets = pair.map(|key| world.set(3).write(Write::RevokeSecretKey(key)));
        let [first, second] = sets.map(|set| {
            let store = world.store.clone();
            tokio::spawn(async move { store.commit(set).await })
        });
        let outcomes = [first.await.expect("no panic"), second.await.expect("no panic")];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| is_conflict(outcome)).count(), 1, "{outcomes:?}");
    }
}

pub async fn of_eight_that_make_the_first_instance_at_once_one_does(store: Store) {
    let attempts = (0..8).map(|seed| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut rng = SeededRng::new(seed);
            let id = InstanceId::generate(at(0), &mut rng);
            let row = Instance {
                id,
                environment: Environment::Development,
                host: format!("clerk.{seed}.localhost"),
                created_at: at(0),
            };
            let set = ChangeSet::new(id, moment(0), &mut rng).expect(Expect::NoInstance);
            let set = set.write(Write::InsertInstance(row)).write(Write::Settings(Settings::initial(at(0))));
            let outcome = store.commit(set.clone()).await;
            // The same set again, after a lost response, has the same outcome.
            assert_eq!(store.commit(set).await.is_ok(), outcome.is_ok());
            outcome.map(|()| id)
        })
    });
    let mut made = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.expect("no panic") {
            Ok(id) => made.push(id),
            Err(CommitError::Conflict) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let stored = store.instances().await.expect("a load");
    assert_eq!(stored.iter().map(|row| row.id).collect::<Vec<_>>(), made);
    assert_eq!(made.len(), 1);
}

pub async fn settings_versions_make_the_policy(store: Store) {
    let mut world = World::new(store, 1).await;
    let (_, policy) = world.store.settings(world.instance).await.expect("settings");
    assert_eq!(policy.spans().count(), 1);
    let next = world.next_settings(100, true).await;
    world.put(100, Write::Settings(next.clone())).await.expect("the next version");
    let late = world.put(101, Write::Settings(next.clone())).await;
    assert!(is_conflict(&late), "{late:?}");
    let (settings, policy) = world.store.settings(world.instance).await.expect("settings");
    assert_eq!(settings, next);
    let spans: Vec<_> = policy.spans().map(|(row, until)| (row.version, until)).collect();
    assert_eq!(spans, [(1, Some(at(100))), (2, None)]);
    assert!(policy.current().multi_session);
    assert_eq!(policy.current().lifetime.inactivity(), Some(minutes(30)));
}

pub async fn an_instance_sees_nothing_of_another(store: Store) {
    let mut world = World::new(store.clone(), 1).await;
    let mut other = World::new(store, 2).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let ticket = world.ticket(ada.id, 3);
    let mail = world.mail("ada@example.com", 3);
    let secret = SecretKey::new([7; 32], None, at(1));
    let key =
        SigningKey { kid: "k".to_owned(), sealed_private_key: vec![1], times: SigningKeyTimes::first(at(1)) };
    let set = world
        .set(3)
        .write(Write::InsertTicket(ticket.clone()))
        .write(Write::Mail(mail.clone()))
        .write(Write::InsertSecretKey(secret))
        .write(Write::InsertSigningKey(key.clone()));
    world.commit(set).await.expect("committed");
    let (there, store) = (other.instance, other.store.clone());
    assert_eq!(store.user(there, ada.id).await.expect("a load"), None);
    assert_eq!(store.browser(there, client).await.expect("a load"), None);
    assert_eq!(store.session(there, session.id).await.expect("a load"), None);
    assert_eq!(store.ticket(there, ticket.hash).await.expect("a load"), None);
    assert_eq!(store.ticket_by_id(there, ticket.id).await.expect("a load"), None);
    assert_eq!(store.secret_key(there, [7; 32]).await.expect("a load"), None);
    assert_eq!(store.signing_keys(there).await.expect("a load"), []);
    assert_eq!(store.mails(there, None, 9).await.expect("a load"), []);
    assert_eq!(store.outbox(there, None, 9).await.expect("a load"), []);
    let filter = SessionFilter { limit: 9, ids: vec![session.id], ..SessionFilter::default() };
    assert_eq!(store.sessions(there, filter).await.expect("a load"), (vec![], 0));
    let filter = UserFilter { limit: 9, ids: vec![ada.id], ..UserFilter::default() };
    assert_eq!(store.users(there, filter).await.expect("a load"), (vec![], 0));
    // Calls for one instance do not change another.
    store.record_activity(there, session.id, moment(99));
    store.flush_activity().await.expect("flushed");
    assert_eq!(world.session(session.id).await, session);
    let revoked = closed(&session, 9, ClosedStatus::Revoked);
    let outcome = other.put(9, Write::CloseSession(revoked)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let outcome = other.put(9, Write::InsertSigningKey(key)).await;
    assert!(is_conflict(&outcome), "a kid is unique over all instances: {outcome:?}");
    other.put(9, Write::ClearMails).await.expect("its own");
    let mails = world.store.mails(world.instance, None, 9).await.expect("a load");
    assert_eq!(mails, [mail]);
    // The same address may have an account in each instance.
    other.user("Ada", 4).await;
    // There is no default instance: an unknown one is refused.
    let nowhere = InstanceId::generate(at(0), &mut world.rng);
    world.instance = nowhere;
    let outcome = world.put(5, Write::ClearMails).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let settings = store.settings(nowhere).await;
    assert!(matches!(settings, Err(StoreError::Corrupt { .. })), "{settings:?}");
    let foreign = Instance {
        id: nowhere,
        environment: Environment::Production,
        host: "clerk.example.com".to_owned(),
        created_at: at(5),
    };
    let outcome = other.put(5, Write::InsertInstance(foreign)).await;
    assert!(is_conflict(&outcome), "an instance is inserted by a set of its own: {outcome:?}");
}

pub async fn a_signing_key_is_withdrawn_by_one_rotation_and_sealed_anew(store: Store) {
    let mut world = World::new(store, 1).await;
    let key =
        SigningKey { kid: "k".to_owned(), sealed_private_key: vec![1], times: SigningKeyTimes::first(at(1)) };
    world.put(1, Write::InsertSigningKey(key)).await.expect("a key");
    let withdraw =
        |until, before| Write::WithdrawSigningKey { kid: "k".to_owned(), until: at(until), before };
    world.put(2, withdraw(9, None)).await.expect("withdrawn");
    let second = world.put(3, withdraw(8, None)).await;
    assert!(is_conflict(&second), "it was decided without the first: {second:?}");
    world.put(3, withdraw(7, Some(at(9)))).await.expect("withdrawn earlier");
    let reseal = Write::ResealSigningKey { kid: "k".to_owned(), sealed_private_key: vec![2] };
    world.put(4, reseal).await.expect("sealed");
    let keys = world.store.signing_keys(world.instance).await.expect("a load");
    let found = keys.iter().find(|key| key.kid == "k").expect("the key");
    assert_eq!(found.sealed_private_key, [2]);
    assert_eq!(found.times.published_until, Some(at(7)));
    let unknown = Write::ResealSigningKey { kid: "unknown".to_owned(), sealed_private_key: vec![2] };
    assert!(is_conflict(&world.put(5, unknown).await));
}
