//! One story per promise of the interface, told to both engines.

mod common;

use common::{World, at, closed};
use sojourn_core::{
    client::{Leaving, leave},
    email::Email,
    event::Event,
    handshake::Handshake,
    id::{ClientId, CommitId, SessionId, SignInId, SignUpId, UserId},
    session::{ClosedStatus, EndReason, Session},
    sign_in::SignIn,
    sign_up::SignUp,
    time::{days, minutes},
};
use sojourn_store::{
    CommitError, Engine as _, Environment, Expect, Instance, SecretKey, SessionFilter,
    SessionOrder, SignInTokenStatus, SigningKey, Store, StoreError, StoredStatus, UserFilter,
    UserOrder, Write,
};

/// One test per engine for each story.
macro_rules! stories {
    ($($story:ident)*) => {
        mod in_memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                super::$story(Store::memory()).await;
            })*
        }

        mod in_sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                let folder = tempfile::tempdir().expect("a folder");
                let store = Store::sqlite(&folder.path().join("sojourn.db")).expect("a database");
                super::$story(store.clone()).await;
            })*
        }
    };
}

stories! {
    what_is_committed_is_loaded_as_it_was
    an_instance_has_keys_and_settings
    a_row_is_written_only_if_its_version_is_the_stored_one
    an_address_or_external_id_belongs_to_one_user
    a_set_is_applied_whole_or_not_at_all
    a_set_applied_twice_is_applied_once
    of_two_admissions_decided_on_one_client_exactly_one_commits
    a_closed_session_stays_as_it_ended
    an_active_session_is_not_ended_for_inactivity
    activity_is_seen_at_once_by_every_load
    activity_goes_forward_only_and_never_revives
    a_ticket_is_accepted_once_by_eight_at_a_time
    a_decision_about_a_user_that_changed_is_refused
    settings_versions_make_the_policy
    a_deleted_user_leaves_no_open_session_and_no_address
    what_is_over_is_purged
    mails_come_newest_first_and_go
    attempts_and_handshakes_come_back
    sessions_are_filtered_and_paged
    users_are_filtered_searched_and_paged
    events_are_told_in_order_after_a_cursor
    an_instance_sees_nothing_of_another
    the_high_water_mark_only_rises
    a_closed_store_answers_nothing
}

fn is_conflict(outcome: &Result<(), CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Conflict))
}

async fn what_is_committed_is_loaded_as_it_was(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let record = world.browser(client).await;
    assert_eq!(record.browser.client.version, 2);
    assert_eq!(
        record.browser.client.last_active_session_id,
        Some(session.id)
    );
    assert!(record.browser.client.predecessor.is_some());
    assert_eq!(record.browser.sessions.len(), 1);
    assert_eq!(record.browser.sessions[0], session);
    assert_eq!(record.users.len(), 1);
    assert_eq!(record.user(ada.id), Some(&ada));
    assert_eq!(record.settings.version, 1);
    assert_eq!(world.session(session.id).await, session);
    let email = Email::parse("ada@example.com").expect("an address");
    let found = world
        .store
        .user_by_email(world.instance, &email)
        .await
        .expect("a load");
    assert_eq!(found, Some(ada));
    let nobody = ClientId::generate(at(0), &mut world.dice);
    assert_eq!(
        world
            .store
            .browser(world.instance, nobody)
            .await
            .expect("a load"),
        None
    );
}

async fn an_instance_has_keys_and_settings(store: Store) {
    let mut world = World::new(store, 1).await;
    let key = |kid: &str, secs| SigningKey {
        kid: kid.to_owned(),
        sealed_private_key: vec![1, 2, 3],
        created_at: at(secs),
    };
    let secret = SecretKey {
        hash: [7; 32],
        created_at: at(1),
    };
    world
        .put(1, Write::InsertSigningKey(key("b", 1)))
        .await
        .expect("a key");
    world
        .put(2, Write::InsertSigningKey(key("a", 2)))
        .await
        .expect("a key");
    world
        .put(2, Write::InsertSecretKey(secret.clone()))
        .await
        .expect("a key");
    let again = world.put(3, Write::InsertSigningKey(key("a", 3))).await;
    assert!(is_conflict(&again), "{again:?}");
    let keys = world
        .store
        .signing_keys(world.instance)
        .await
        .expect("a load");
    assert_eq!(keys, [key("b", 1), key("a", 2)]);
    let found = world
        .store
        .secret_key(world.instance, [7; 32])
        .await
        .expect("a load");
    assert_eq!(found, Some(secret));
    assert_eq!(
        world
            .store
            .secret_key(world.instance, [8; 32])
            .await
            .expect("a load"),
        None
    );
    let instances = world.store.instances().await.expect("a load");
    assert_eq!(
        instances.iter().map(|row| row.id).collect::<Vec<_>>(),
        [world.instance]
    );
    assert_eq!(instances[0].environment, Environment::Development);
}

async fn a_row_is_written_only_if_its_version_is_the_stored_one(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    assert_eq!(ada.version, 1);
    let mut renamed = ada.clone();
    renamed.first_name = Some("Augusta".to_owned());
    world
        .put(2, Write::User(renamed.clone()))
        .await
        .expect("version 1 is the stored one");
    let late = world.put(3, Write::User(ada.clone())).await;
    assert!(is_conflict(&late), "{late:?}");
    let mut anew = ada.clone();
    anew.version = 0;
    let anew = world.put(4, Write::User(anew)).await;
    assert!(is_conflict(&anew), "{anew:?}");
    renamed.version = 2;
    assert_eq!(world.load_user(ada.id).await, renamed);
}

async fn an_address_or_external_id_belongs_to_one_user(store: Store) {
    let mut world = World::new(store, 1).await;
    let mut ada = world.user("Ada", 1).await;
    let twin = world.new_user("Ada", 2);
    let taken = world.put(2, Write::User(twin)).await;
    assert!(
        matches!(taken, Err(CommitError::Taken("email_address"))),
        "{taken:?}"
    );
    ada.external_id = Some("17".to_owned());
    world.put(3, Write::User(ada.clone())).await.expect("free");
    let mut eve = world.user("Eve", 4).await;
    eve.external_id = Some("17".to_owned());
    let taken = world.put(5, Write::User(eve.clone())).await;
    assert!(
        matches!(taken, Err(CommitError::Taken("external_id"))),
        "{taken:?}"
    );
    // What a user gives up is free again.
    let mut ada = world.load_user(ada.id).await;
    ada.external_id = None;
    let address = ada.email_addresses.remove(0);
    world.put(6, Write::User(ada)).await.expect("given up");
    eve.email_addresses.push(address);
    world
        .put(7, Write::User(eve.clone()))
        .await
        .expect("free again");
    let email = Email::parse("ada@example.com").expect("an address");
    let found = world
        .store
        .user_by_email(world.instance, &email)
        .await
        .expect("a load");
    assert_eq!(found.map(|user| user.id), Some(eve.id));
}

async fn a_set_is_applied_whole_or_not_at_all(store: Store) {
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
        .write(Write::CloseSession(closed(
            &session,
            4,
            ClosedStatus::Revoked,
        )))
        .event(Event::UserCreated(bob.id))
        .write(Write::User(stale));
    let id = set.id;
    let outcome = world.commit(set).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert!(
        !world
            .store
            .was_committed(world.instance, id)
            .await
            .expect("a load")
    );
    assert_eq!(
        world
            .store
            .user(world.instance, bob.id)
            .await
            .expect("a load"),
        None
    );
    assert_eq!(world.browser(client).await, before);
    assert_eq!(
        world
            .store
            .mails(world.instance, None, 9)
            .await
            .expect("a load"),
        []
    );
    let events = world
        .store
        .outbox(world.instance, None, 99)
        .await
        .expect("a load");
    assert!(
        events.iter().all(|event| event.name != "user.created"),
        "{events:?}"
    );
    let email = Email::parse("bob@example.com").expect("an address");
    assert_eq!(
        world
            .store
            .user_by_email(world.instance, &email)
            .await
            .expect("a load"),
        None
    );
}

async fn a_set_applied_twice_is_applied_once(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.new_user("Ada", 1);
    let set = world
        .set(1)
        .write(Write::User(ada.clone()))
        .event(Event::UserCreated(ada.id));
    for _ in 0..3 {
        world
            .commit(set.clone())
            .await
            .expect("known after the first time");
    }
    assert!(
        world
            .store
            .was_committed(world.instance, set.id)
            .await
            .expect("a load")
    );
    assert_eq!(world.load_user(ada.id).await.version, 1);
    let events = world
        .store
        .outbox(world.instance, None, 99)
        .await
        .expect("a load");
    assert_eq!(events.len(), 1);
}

async fn of_two_admissions_decided_on_one_client_exactly_one_commits(store: Store) {
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
        let outcomes = [
            first.await.expect("no panic"),
            second.await.expect("no panic"),
        ];
        let committed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let refused = outcomes
            .iter()
            .filter(|outcome| is_conflict(outcome))
            .count();
        assert_eq!((committed, refused), (1, 1), "{outcomes:?}");
        assert_eq!(world.browser(client).await.browser.sessions.len(), 1);
    }
}

async fn a_closed_session_stays_as_it_ended(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let revoked = closed(&session, 10, ClosedStatus::Revoked);
    world
        .put(10, Write::CloseSession(revoked.clone()))
        .await
        .expect("closed");
    let expired = closed(&session, 11, ClosedStatus::Expired);
    world
        .put(11, Write::CloseSession(expired))
        .await
        .expect("idempotent");
    let abandoned = closed(&session, 12, ClosedStatus::Abandoned);
    world
        .put(12, Write::CloseSession(abandoned))
        .await
        .expect("idempotent");
    assert_eq!(world.session(session.id).await, revoked);
    assert_eq!(world.browser(client).await.browser.sessions, []);
    let reverified = Session {
        first_factor_verified_at: at(13),
        ..session.clone()
    };
    let outcome = world.put(13, Write::UpdateSession(reverified)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let again = world.put(14, Write::InsertSession(session.clone())).await;
    assert!(is_conflict(&again), "{again:?}");
    assert_eq!(world.session(session.id).await, revoked);
}

async fn an_active_session_is_not_ended_for_inactivity(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world
        .store
        .record_activity(world.instance, session.id, at(50));
    let abandoned = closed(&session, 100, ClosedStatus::Abandoned);
    let outcome = world.put(100, Write::CloseSession(abandoned)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    // Also once it is only in the table.
    world.store.flush_activity().await.expect("flushed");
    let abandoned = closed(&session, 100, ClosedStatus::Abandoned);
    let outcome = world.put(100, Write::CloseSession(abandoned)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let loaded = world.session(session.id).await;
    let abandoned = closed(&loaded, 2000, ClosedStatus::Abandoned);
    world
        .put(2000, Write::CloseSession(abandoned.clone()))
        .await
        .expect("nothing newer");
    assert_eq!(world.session(session.id).await, abandoned);
}

async fn activity_is_seen_at_once_by_every_load(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world
        .store
        .record_activity(world.instance, session.id, at(20));
    assert_eq!(world.session(session.id).await.last_active_at, at(20));
    assert_eq!(
        world.browser(client).await.browser.sessions[0].last_active_at,
        at(20)
    );
    let filter = SessionFilter {
        limit: 9,
        ..SessionFilter::default()
    };
    let (listed, total) = world
        .store
        .sessions(world.instance, filter)
        .await
        .expect("a load");
    assert_eq!((listed[0].last_active_at, total), (at(20), 1));
}

async fn activity_goes_forward_only_and_never_revives(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    world
        .store
        .record_activity(world.instance, session.id, at(20));
    world
        .store
        .record_activity(world.instance, session.id, at(10));
    let touched = Session {
        last_active_at: at(15),
        ..session.clone()
    };
    world
        .put(21, Write::TouchSession(touched))
        .await
        .expect("the later time wins");
    assert_eq!(world.session(session.id).await.last_active_at, at(20));
    let touched = Session {
        last_active_at: at(30),
        ..session.clone()
    };
    world
        .put(30, Write::TouchSession(touched))
        .await
        .expect("touched");
    assert_eq!(world.session(session.id).await.last_active_at, at(30));
    let revoked = closed(&world.session(session.id).await, 40, ClosedStatus::Revoked);
    world
        .put(40, Write::CloseSession(revoked.clone()))
        .await
        .expect("closed");
    world
        .store
        .record_activity(world.instance, session.id, at(50));
    let touched = Session {
        last_active_at: at(60),
        ..session.clone()
    };
    world
        .put(60, Write::TouchSession(touched))
        .await
        .expect("nothing to do");
    world.store.flush_activity().await.expect("flushed");
    assert_eq!(world.session(session.id).await, revoked);
}

async fn a_ticket_is_accepted_once_by_eight_at_a_time(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    for _ in 0..10 {
        let ticket = world.ticket(ada.id, 2);
        world
            .put(2, Write::InsertSignInToken(ticket.clone()))
            .await
            .expect("a ticket");
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let set = world.set(3).write(Write::AcceptSignInToken(ticket.id));
                let store = world.store.clone();
                tokio::spawn(async move { store.commit(set).await })
            })
            .collect();
        let mut accepted = 0;
        for attempt in attempts {
            match attempt.await.expect("no panic") {
                Ok(()) => accepted += 1,
                outcome => assert!(is_conflict(&outcome), "{outcome:?}"),
            }
        }
        assert_eq!(accepted, 1);
        let stored = world.store.sign_in_token(world.instance, ticket.hash).await;
        let stored = stored.expect("a load").expect("the ticket is there");
        assert_eq!(
            (stored.status, stored.updated_at),
            (SignInTokenStatus::Accepted, at(3))
        );
        let revoked = world.put(4, Write::RevokeSignInToken(ticket.id)).await;
        assert!(is_conflict(&revoked), "{revoked:?}");
        let by_id = world
            .store
            .sign_in_token_by_id(world.instance, ticket.id)
            .await;
        assert_eq!(by_id.expect("a load"), Some(stored));
    }
}

async fn a_decision_about_a_user_that_changed_is_refused(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let step = world.admission(client, ada.id, 3).await;
    let sign_in = world
        .set(3)
        .expect(Expect::User(ada.id, ada.version))
        .expect(Expect::Settings(1))
        .browser(&step);
    let mut banned = ada.clone();
    banned.banned = true;
    world
        .put(3, Write::User(banned))
        .await
        .expect("banned meanwhile");
    let outcome = world.commit(sign_in).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert_eq!(world.browser(client).await.browser.sessions, []);
    let other_settings = world
        .set(4)
        .expect(Expect::Settings(2))
        .event(Event::UserUpdated(ada.id));
    let outcome = world.commit(other_settings).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
}

async fn settings_versions_make_the_policy(store: Store) {
    let mut world = World::new(store, 1).await;
    let (_, policy) = world
        .store
        .settings(world.instance)
        .await
        .expect("settings");
    assert_eq!(policy.spans().count(), 1);
    let next = world.next_settings(100, true).await;
    world
        .put(100, Write::Settings(next.clone()))
        .await
        .expect("the next version");
    let late = world.put(101, Write::Settings(next.clone())).await;
    assert!(is_conflict(&late), "{late:?}");
    let (settings, policy) = world
        .store
        .settings(world.instance)
        .await
        .expect("settings");
    assert_eq!(settings, next);
    let spans: Vec<_> = policy
        .spans()
        .map(|(row, until)| (row.version, until))
        .collect();
    assert_eq!(spans, [(1, Some(at(100))), (2, None)]);
    assert!(policy.current().multi_session);
    assert_eq!(policy.current().lifetime.inactivity(), Some(minutes(30)));
}

async fn a_deleted_user_leaves_no_open_session_and_no_address(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    world.sign_in(client, ada.id, 3).await;
    let alone = world.put(4, Write::DeleteUser(ada.id)).await;
    assert!(is_conflict(&alone), "{alone:?}");
    let record = world.browser(client).await;
    let leaving = Leaving::User(ada.id, EndReason::UserDeleted);
    let step = leave(at(5), &record.policy, &record.browser, leaving, None);
    let set = world.set(5).write(Write::DeleteUser(ada.id)).browser(&step);
    world.commit(set).await.expect("deleted with its sessions");
    assert_eq!(
        world
            .store
            .user(world.instance, ada.id)
            .await
            .expect("a load"),
        None
    );
    assert_eq!(world.browser(client).await.browser.sessions, []);
    world.user("Ada", 6).await;
    let gone = world.put(7, Write::DeleteUser(ada.id)).await;
    assert!(is_conflict(&gone), "{gone:?}");
}

async fn what_is_over_is_purged(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let mut tickets = Vec::new();
    for secs in 10..20 {
        let ticket = world.ticket(ada.id, secs);
        world
            .put(secs, Write::InsertSignInToken(ticket.clone()))
            .await
            .expect("a ticket");
        tickets.push(ticket);
        let handshake = Handshake {
            client_id: Some(client),
            session_id: None,
            origin: "http://localhost:3000".to_owned(),
            expires_at: at(secs + 60),
        };
        let nonce = [secs as u8; 32];
        world
            .put(secs, Write::Handshake(nonce, handshake))
            .await
            .expect("a nonce");
        let sign_in = SignIn::new(
            SignInId::generate(at(secs), &mut world.dice),
            client,
            at(secs),
        );
        world
            .put(secs, Write::SignIn(sign_in))
            .await
            .expect("an attempt");
        let sign_up = SignUp::new(
            SignUpId::generate(at(secs), &mut world.dice),
            client,
            at(secs),
        );
        world
            .put(secs, Write::SignUp(sign_up))
            .await
            .expect("an attempt");
    }
    // Tickets end after 600 s; at their very end they are over.
    assert_eq!(world.store.purge(at(614), 3).await.expect("purged"), 5 + 10);
    let ended = world
        .store
        .sign_in_token_by_id(world.instance, tickets[4].id)
        .await;
    assert_eq!(ended.expect("a load"), None);
    let living = world
        .store
        .sign_in_token_by_id(world.instance, tickets[5].id)
        .await;
    assert!(living.expect("a load").is_some());
    assert_eq!(world.store.purge(at(614), 3).await.expect("purged"), 0);
    assert_eq!(
        world.store.purge(at(4000), 3).await.expect("purged"),
        5 + 20
    );
    let known = world.set(20).event(Event::UserUpdated(ada.id));
    world.commit(known.clone()).await.expect("committed");
    assert!(
        world
            .store
            .purge(at(21) + days(1), 10)
            .await
            .expect("purged")
            >= 44
    );
    assert!(
        !world
            .store
            .was_committed(world.instance, known.id)
            .await
            .expect("a load")
    );
    assert_eq!(world.session(session.id).await, session);
}

async fn mails_come_newest_first_and_go(store: Store) {
    let mut world = World::new(store, 1).await;
    let first = world.mail("ada@example.com", 1);
    let second = world.mail("bob@example.com", 2);
    let third = world.mail("ada@example.com", 3);
    for mail in [&first, &second, &third] {
        world
            .put(4, Write::Mail(mail.clone()))
            .await
            .expect("a mail");
    }
    let (store, instance) = (world.store.clone(), world.instance);
    let all = store.mails(instance, None, 2).await.expect("a load");
    assert_eq!(all, [third.clone(), second.clone()]);
    let to_ada = store
        .mails(instance, Some("ada@example.com"), 9)
        .await
        .expect("a load");
    assert_eq!(to_ada, [third.clone(), first.clone()]);
    world
        .put(5, Write::DeleteMail(third.id))
        .await
        .expect("gone");
    world
        .put(5, Write::DeleteMail(third.id))
        .await
        .expect("gone already");
    let all = store.mails(instance, None, 9).await.expect("a load");
    assert_eq!(all, [second, first]);
    world.put(6, Write::ClearMails).await.expect("gone");
    assert_eq!(store.mails(instance, None, 9).await.expect("a load"), []);
}

async fn attempts_and_handshakes_come_back(store: Store) {
    let mut world = World::new(store, 1).await;
    let client = world.client(1).await;
    let sign_in = SignIn::new(SignInId::generate(at(2), &mut world.dice), client, at(2));
    let sign_up = SignUp::new(SignUpId::generate(at(2), &mut world.dice), client, at(2));
    let mut named = world.browser(client).await.browser.client;
    named.sign_in_id = Some(sign_in.id);
    named.sign_up_id = Some(sign_up.id);
    let set = world
        .set(2)
        .write(Write::Client(named))
        .write(Write::SignIn(sign_in.clone()))
        .write(Write::SignUp(sign_up.clone()));
    world.commit(set).await.expect("two attempts");
    let (store, instance) = (world.store.clone(), world.instance);
    let stored_in = SignIn {
        version: 1,
        ..sign_in.clone()
    };
    let stored_up = SignUp {
        version: 1,
        ..sign_up.clone()
    };
    let record = world.browser(client).await;
    assert_eq!(record.sign_in, Some(stored_in.clone()));
    assert_eq!(record.sign_up, Some(stored_up.clone()));
    assert_eq!(
        store.sign_in(instance, sign_in.id).await.expect("a load"),
        Some(stored_in.clone())
    );
    assert_eq!(
        store.sign_up(instance, sign_up.id).await.expect("a load"),
        Some(stored_up.clone())
    );
    let late = world.put(3, Write::SignIn(sign_in)).await;
    assert!(is_conflict(&late), "{late:?}");
    world
        .put(3, Write::SignIn(stored_in))
        .await
        .expect("version 1 is the stored one");
    let late = world.put(3, Write::SignUp(sign_up)).await;
    assert!(is_conflict(&late), "{late:?}");
    let handshake = Handshake {
        client_id: None,
        session_id: None,
        origin: "https://app.example.com".to_owned(),
        expires_at: at(63),
    };
    world
        .put(3, Write::Handshake([9; 32], handshake.clone()))
        .await
        .expect("a nonce");
    let again = world
        .put(3, Write::Handshake([9; 32], handshake.clone()))
        .await;
    assert!(is_conflict(&again), "{again:?}");
    assert_eq!(
        store.handshake(instance, [9; 32]).await.expect("a load"),
        Some(handshake)
    );
    assert_eq!(
        store.handshake(instance, [8; 32]).await.expect("a load"),
        None
    );
}

async fn sessions_are_filtered_and_paged(store: Store) {
    let mut world = World::new(store, 1).await;
    world.allow_many(0).await;
    let (ada, bob) = (world.user("Ada", 1).await, world.user("Bob", 1).await);
    let (home, work) = (world.client(2).await, world.client(2).await);
    let a = world.sign_in(home, ada.id, 10).await;
    let b = world.sign_in(home, bob.id, 11).await;
    let c = world.sign_in(work, ada.id, 12).await;
    world
        .put(
            20,
            Write::CloseSession(closed(&b, 20, ClosedStatus::Revoked)),
        )
        .await
        .expect("closed");
    let all = SessionFilter {
        limit: 10,
        ..SessionFilter::default()
    };
    let oldest = SessionOrder::OldestFirst;
    let open = Some(StoredStatus::Open);
    let revoked = Some(StoredStatus::Closed(ClosedStatus::Revoked));
    let ended = Some(StoredStatus::Closed(ClosedStatus::Ended));
    let cases = [
        (SessionFilter { ..all.clone() }, vec![c.id, b.id, a.id], 3),
        (
            SessionFilter {
                order: oldest,
                ..all.clone()
            },
            vec![a.id, b.id, c.id],
            3,
        ),
        (
            SessionFilter {
                limit: 1,
                offset: 1,
                ..all.clone()
            },
            vec![b.id],
            3,
        ),
        (
            SessionFilter {
                limit: 0,
                ..all.clone()
            },
            vec![],
            3,
        ),
        (
            SessionFilter {
                client_id: Some(home),
                ..all.clone()
            },
            vec![b.id, a.id],
            2,
        ),
        (
            SessionFilter {
                user_id: Some(ada.id),
                ..all.clone()
            },
            vec![c.id, a.id],
            2,
        ),
        (
            SessionFilter {
                ids: vec![a.id, b.id],
                ..all.clone()
            },
            vec![b.id, a.id],
            2,
        ),
        (
            SessionFilter {
                stored: open,
                ..all.clone()
            },
            vec![c.id, a.id],
            2,
        ),
        (
            SessionFilter {
                stored: revoked,
                ..all.clone()
            },
            vec![b.id],
            1,
        ),
        (
            SessionFilter {
                stored: ended,
                ..all.clone()
            },
            vec![],
            0,
        ),
        (
            SessionFilter {
                client_id: Some(home),
                user_id: Some(ada.id),
                ids: vec![a.id, c.id],
                stored: open,
                ..all.clone()
            },
            vec![a.id],
            1,
        ),
    ];
    for (filter, expected, expected_total) in cases {
        let (found, total) = world
            .store
            .sessions(world.instance, filter.clone())
            .await
            .expect("a load");
        let found: Vec<SessionId> = found.iter().map(|session| session.id).collect();
        assert_eq!((found, total), (expected, expected_total), "{filter:?}");
    }
}

async fn users_are_filtered_searched_and_paged(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let mut bob = world.user("Bob", 2).await;
    let mut odd = world.new_user("Carol", 3);
    odd.last_name = Some("100%_\\Ö".to_owned());
    odd.banned = true;
    world
        .put(3, Write::User(odd.clone()))
        .await
        .expect("a user");
    bob.external_id = Some("x'1".to_owned());
    bob.last_sign_in_at = Some(at(50));
    bob.updated_at = at(50);
    world
        .put(50, Write::User(bob.clone()))
        .await
        .expect("changed");
    let all = UserFilter {
        limit: 10,
        ..UserFilter::default()
    };
    let search = |query: &str| UserFilter {
        query: Some(query.to_owned()),
        ..all.clone()
    };
    let order = |order| UserFilter {
        order,
        ..all.clone()
    };
    let cases = [
        (all.clone(), vec![odd.id, bob.id, ada.id]),
        (order(UserOrder::OldestFirst), vec![ada.id, bob.id, odd.id]),
        (
            UserFilter {
                ids: vec![ada.id],
                ..all.clone()
            },
            vec![ada.id],
        ),
        (
            UserFilter {
                emails: vec!["bob@example.com".to_owned(), "ada@example.com".to_owned()],
                ..all.clone()
            },
            vec![bob.id, ada.id],
        ),
        (
            UserFilter {
                external_ids: vec!["x'1".to_owned()],
                ..all.clone()
            },
            vec![bob.id],
        ),
        (
            UserFilter {
                banned: Some(true),
                ..all.clone()
            },
            vec![odd.id],
        ),
        (
            UserFilter {
                banned: Some(false),
                ..all.clone()
            },
            vec![bob.id, ada.id],
        ),
        (search("EXAMPLE"), vec![odd.id, bob.id, ada.id]),
        (search("carol 100%"), vec![odd.id]),
        (search("%_\\ö"), vec![odd.id]),
        (search("%"), vec![odd.id]),
        (search("a_a"), vec![]),
        (search("' OR 1=1"), vec![]),
        (search(&ada.id.to_string()), vec![ada.id]),
    ];
    for (filter, expected) in cases {
        let (found, total) = world
            .store
            .users(world.instance, filter.clone())
            .await
            .expect("a load");
        let found: Vec<UserId> = found.iter().map(|user| user.id).collect();
        assert_eq!(total, expected.len() as u64, "{filter:?}");
        assert_eq!(found, expected, "{filter:?}");
    }
    let first = async |order: UserOrder| {
        let filter = UserFilter {
            order,
            limit: 1,
            ..UserFilter::default()
        };
        let (found, total) = world
            .store
            .users(world.instance, filter)
            .await
            .expect("a load");
        assert_eq!(total, 3);
        found[0].id
    };
    assert_eq!(first(UserOrder::LastSignInNewestFirst).await, bob.id);
    assert_ne!(first(UserOrder::LastSignInOldestFirst).await, bob.id);
    assert_eq!(first(UserOrder::UpdatedNewestFirst).await, bob.id);
    assert_eq!(first(UserOrder::UpdatedOldestFirst).await, ada.id);
    let second = UserFilter {
        limit: 1,
        offset: 1,
        ..UserFilter::default()
    };
    let (found, _) = world
        .store
        .users(world.instance, second)
        .await
        .expect("a load");
    assert_eq!(found[0].id, bob.id);
}

async fn events_are_told_in_order_after_a_cursor(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let record = world.browser(client).await;
    let one = Leaving::One(session.id, ClosedStatus::Removed, EndReason::SignedOut);
    let step = leave(at(4), &record.policy, &record.browser, one, None);
    // A clock that stepped back changes nothing in the order.
    let set = world
        .set(-5)
        .event(Event::UserUpdated(ada.id))
        .browser(&step);
    world.commit(set).await.expect("signed out");
    let outbox = async |after, limit| {
        world
            .store
            .outbox(world.instance, after, limit)
            .await
            .expect("a load")
    };
    let all = outbox(None, 9).await;
    let names: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        ["session.created", "user.updated", "session.removed"]
    );
    assert_eq!(all[2].at, at(-5));
    assert_eq!(
        all[2].data,
        serde_json::json!({
            "session_id": session.id, "user_id": ada.id, "status": "removed",
            "reason": "signed_out", "at": at(4), "settings_version": 1,
        })
    );
    assert_eq!(outbox(Some(all[0].id), 1).await, all[1..2]);
    assert_eq!(outbox(Some(all[2].id), 9).await, []);
}

async fn an_instance_sees_nothing_of_another(store: Store) {
    let mut world = World::new(store.clone(), 1).await;
    let mut other = World::new(store, 2).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let ticket = world.ticket(ada.id, 3);
    let mail = world.mail("ada@example.com", 3);
    let secret = SecretKey {
        hash: [7; 32],
        created_at: at(1),
    };
    let key = SigningKey {
        kid: "k".to_owned(),
        sealed_private_key: vec![1],
        created_at: at(1),
    };
    let set = world
        .set(3)
        .write(Write::InsertSignInToken(ticket.clone()))
        .write(Write::Mail(mail.clone()))
        .write(Write::InsertSecretKey(secret))
        .write(Write::InsertSigningKey(key.clone()));
    world.commit(set).await.expect("committed");
    let (there, store) = (other.instance, other.store.clone());
    assert_eq!(store.user(there, ada.id).await.expect("a load"), None);
    assert_eq!(store.browser(there, client).await.expect("a load"), None);
    assert_eq!(
        store.session(there, session.id).await.expect("a load"),
        None
    );
    assert_eq!(
        store
            .sign_in_token(there, ticket.hash)
            .await
            .expect("a load"),
        None
    );
    assert_eq!(
        store
            .sign_in_token_by_id(there, ticket.id)
            .await
            .expect("a load"),
        None
    );
    assert_eq!(
        store.secret_key(there, [7; 32]).await.expect("a load"),
        None
    );
    assert_eq!(store.signing_keys(there).await.expect("a load"), []);
    assert_eq!(store.mails(there, None, 9).await.expect("a load"), []);
    assert_eq!(store.outbox(there, None, 9).await.expect("a load"), []);
    let filter = SessionFilter {
        limit: 9,
        ids: vec![session.id],
        ..SessionFilter::default()
    };
    assert_eq!(
        store.sessions(there, filter).await.expect("a load"),
        (vec![], 0)
    );
    let filter = UserFilter {
        limit: 9,
        ids: vec![ada.id],
        ..UserFilter::default()
    };
    assert_eq!(
        store.users(there, filter).await.expect("a load"),
        (vec![], 0)
    );
    // Nor does it change anything there.
    store.record_activity(there, session.id, at(99));
    store.flush_activity().await.expect("flushed");
    assert_eq!(world.session(session.id).await, session);
    let revoked = closed(&session, 9, ClosedStatus::Revoked);
    let outcome = other.put(9, Write::CloseSession(revoked)).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let outcome = other.put(9, Write::InsertSigningKey(key)).await;
    assert!(
        is_conflict(&outcome),
        "a kid is unique over all instances: {outcome:?}"
    );
    other.put(9, Write::ClearMails).await.expect("its own");
    let mails = world
        .store
        .mails(world.instance, None, 9)
        .await
        .expect("a load");
    assert_eq!(mails, [mail]);
    // The same address may have an account in each.
    other.user("Ada", 4).await;
    // And there is no default: an unknown instance is refused.
    let nowhere = sojourn_core::id::InstanceId::generate(at(0), &mut world.dice);
    world.instance = nowhere;
    let outcome = world.put(5, Write::ClearMails).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let settings = store.settings(nowhere).await;
    assert!(
        matches!(settings, Err(StoreError::Corrupt { .. })),
        "{settings:?}"
    );
    let foreign = Instance {
        id: nowhere,
        environment: Environment::Production,
        host: "clerk.example.com".to_owned(),
        created_at: at(5),
    };
    let outcome = other.put(5, Write::InsertInstance(foreign)).await;
    assert!(
        is_conflict(&outcome),
        "an instance is inserted by a set of its own: {outcome:?}"
    );
}

async fn the_high_water_mark_only_rises(store: Store) {
    assert_eq!(store.high_water().await.expect("a load"), None);
    let mut world = World::new(store, 1).await;
    assert_eq!(world.store.high_water().await.expect("a load"), Some(at(0)));
    world.store.raise_high_water(at(100)).await.expect("raised");
    world
        .store
        .raise_high_water(at(50))
        .await
        .expect("nothing to do");
    world.put(60, Write::ClearMails).await.expect("committed");
    assert_eq!(
        world.store.high_water().await.expect("a load"),
        Some(at(100))
    );
    world.put(160, Write::ClearMails).await.expect("committed");
    assert_eq!(
        world.store.high_water().await.expect("a load"),
        Some(at(160))
    );
}

async fn a_closed_store_answers_nothing(store: Store) {
    let mut world = World::new(store, 1).await;
    world.store.close().await.expect("closed");
    let outcome = world.put(1, Write::ClearMails).await;
    assert!(
        matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_)))),
        "{outcome:?}"
    );
    let load = world.store.instances().await;
    assert!(matches!(load, Err(StoreError::Unavailable(_))), "{load:?}");
    let id = CommitId::generate(at(0), &mut world.dice);
    assert!(world.store.was_committed(world.instance, id).await.is_err());
    assert!(world.store.close().await.is_err());
}
