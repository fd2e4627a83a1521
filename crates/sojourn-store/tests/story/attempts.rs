//! Objects that are used once or for a limited time.

use sojourn_core::{
    event::Event,
    handshake::Handshake,
    id::{ActorTokenId, SignInId, SignUpId},
    impersonation::Impersonation,
    sign_in::SignIn,
    sign_up::SignUp,
    time::{Moment, days, minutes},
};
use sojourn_store::{Engine as _, Store, Ticket, TicketStatus, Write};

use crate::{
    common::{World, at, moment},
    is_conflict,
};

pub async fn a_ticket_is_accepted_once_by_eight_at_a_time(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    for _ in 0..10 {
        let ticket = world.ticket(ada.id, 2);
        world.put(2, Write::InsertTicket(ticket.clone())).await.expect("a ticket");
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let set = world.set(3).write(Write::AcceptTicket(ticket.id));
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
        let stored = world.store.ticket(world.instance, ticket.hash).await;
        let stored = stored.expect("a load").expect("the ticket is there");
        assert_eq!((stored.status, stored.updated_at), (TicketStatus::Accepted, at(3)));
        let revoked = world.put(4, Write::RevokeTicket(ticket.id)).await;
        assert!(is_conflict(&revoked), "{revoked:?}");
        let by_id = world.store.ticket_by_id(world.instance, ticket.id).await;
        assert_eq!(by_id.expect("a load"), Some(stored));
    }
}

pub async fn a_ticket_remembers_who_will_act_as_the_account(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let actor = serde_json::json!({"sub": "user_support", "why": {"case": 12}});
    let serde_json::Value::Object(actor) = actor else { unreachable!("an object") };
    let ticket = Ticket {
        id: ActorTokenId::generate(at(2), &mut world.rng).into(),
        impersonation: Some(Impersonation { actor, maximum: minutes(30) }),
        ..world.ticket(ada.id, 2)
    };
    world.put(2, Write::InsertTicket(ticket.clone())).await.expect("a ticket");
    let again = world.put(3, Write::InsertTicket(ticket.clone())).await;
    assert!(is_conflict(&again), "{again:?}");
    let (store, instance) = (world.store.clone(), world.instance);
    assert_eq!(store.ticket(instance, ticket.hash).await.expect("a load"), Some(ticket.clone()));
    assert_eq!(store.ticket_by_id(instance, ticket.id).await.expect("a load"), Some(ticket.clone()));
    world.put(4, Write::AcceptTicket(ticket.id)).await.expect("used");
    let again = world.put(5, Write::AcceptTicket(ticket.id)).await;
    assert!(is_conflict(&again), "{again:?}");
    let used = Ticket { status: TicketStatus::Accepted, updated_at: at(4), ..ticket };
    assert_eq!(store.ticket_by_id(instance, used.id).await.expect("a load"), Some(used));
}

pub async fn what_is_over_is_purged(store: Store) {
    let mut world = World::new(store, 1).await;
    let ada = world.user("Ada", 1).await;
    let client = world.client(2).await;
    let session = world.sign_in(client, ada.id, 3).await;
    let mut tickets = Vec::new();
    for secs in 10..20 {
        let ticket = world.ticket(ada.id, secs);
        world.put(secs, Write::InsertTicket(ticket.clone())).await.expect("a ticket");
        tickets.push(ticket);
        let handshake = Handshake {
            client_id: Some(client),
            session_id: None,
            origin: "http://localhost:3000".to_owned(),
            expires_at: at(secs + 60),
        };
        let nonce = [secs as u8; 32];
        world.put(secs, Write::Handshake(nonce, handshake)).await.expect("a nonce");
        let sign_in = SignIn::new(SignInId::generate(at(secs), &mut world.rng), client, at(secs));
        world.put(secs, Write::SignIn(sign_in)).await.expect("an attempt");
        let sign_up = SignUp::new(SignUpId::generate(at(secs), &mut world.rng), client, at(secs));
        world.put(secs, Write::SignUp(sign_up)).await.expect("an attempt");
    }
    // Tickets expire after exactly 600 s. The ids of all 44 commits are a day old.
    assert_eq!(world.store.purge(Moment::real(at(614) + days(1)), 3).await.expect("purged"), 5 + 10 + 44);
    let ended = world.store.ticket_by_id(world.instance, tickets[4].id).await;
    assert_eq!(ended.expect("a load"), None);
    let living = world.store.ticket_by_id(world.instance, tickets[5].id).await;
    assert!(living.expect("a load").is_some());
    assert_eq!(world.store.purge(Moment::real(at(614) + days(1)), 3).await.expect("purged"), 0);
    assert_eq!(world.store.purge(Moment::real(at(4000) + days(1)), 3).await.expect("purged"), 5 + 20);
    let known = world.set(20).event(Event::UserUpdated(ada.id));
    world.commit(known.clone()).await.expect("committed");
    assert!(world.store.was_committed(world.instance, known.id).await.expect("a load"));
    assert_eq!(world.store.purge(Moment::real(at(21) + days(1)), 10).await.expect("purged"), 1);
    assert!(!world.store.was_committed(world.instance, known.id).await.expect("a load"));
    assert_eq!(world.session(session.id).await, session);
}

pub async fn mails_come_newest_first_and_go(store: Store) {
    let mut world = World::new(store, 1).await;
    let first = world.mail("ada@example.com", 1);
    let second = world.mail("bob@example.com", 2);
    let third = world.mail("ada@example.com", 3);
    for mail in [&first, &second, &third] {
        world.put(4, Write::Mail(mail.clone())).await.expect("a mail");
    }
    let (store, instance) = (world.store.clone(), world.instance);
    let all = store.mails(instance, None, 2).await.expect("a load");
    assert_eq!(all, [third.clone(), second.clone()]);
    let to_ada = store.mails(instance, Some("ada@example.com"), 9).await.expect("a load");
    assert_eq!(to_ada, [third.clone(), first.clone()]);
    world.put(5, Write::DeleteMail(third.id)).await.expect("gone");
    world.put(5, Write::DeleteMail(third.id)).await.expect("gone already");
    let all = store.mails(instance, None, 9).await.expect("a load");
    assert_eq!(all, [second, first]);
    world.put(6, Write::ClearMails).await.expect("gone");
    assert_eq!(store.mails(instance, None, 9).await.expect("a load"), []);
}

pub async fn mails_stay_for_a_month_but_for_a_thousand(store: Store) {
    let mut world = World::new(store, 1).await;
    let mut set = world.set(1);
    for secs in 0..1010 {
        set = set.write(Write::Mail(world.mail("ada@example.com", secs)));
    }
    world.commit(set).await.expect("mails");
    let (store, instance) = (world.store.clone(), world.instance);
    let times = async || {
        let mails = store.mails(instance, None, 2000).await.expect("a load");
        (mails.len(), mails.last().map(|mail| mail.received_at))
    };
    store.purge(moment(1010), 100).await.expect("purged");
    assert_eq!(times().await, (1000, Some(at(10))));
    store.purge(Moment::real(at(500) + days(30)), 100).await.expect("purged");
    assert_eq!(times().await, (509, Some(at(501))));
}

pub async fn attempts_and_handshakes_come_back(store: Store) {
    let mut world = World::new(store, 1).await;
    let client = world.client(1).await;
    let sign_in = SignIn::new(SignInId::generate(at(2), &mut world.rng), client, at(2));
    let sign_up = SignUp::new(SignUpId::generate(at(2), &mut world.rng), client, at(2));
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
    let stored_in = SignIn { version: 1, ..sign_in.clone() };
    let stored_up = SignUp { version: 1, ..sign_up.clone() };
    let record = world.browser(client).await;
    assert_eq!(record.sign_in, Some(stored_in.clone()));
    assert_eq!(record.sign_up, Some(stored_up.clone()));
    assert_eq!(store.sign_in(instance, sign_in.id).await.expect("a load"), Some(stored_in.clone()));
    assert_eq!(store.sign_up(instance, sign_up.id).await.expect("a load"), Some(stored_up.clone()));
    let late = world.put(3, Write::SignIn(sign_in)).await;
    assert!(is_conflict(&late), "{late:?}");
    world.put(3, Write::SignIn(stored_in)).await.expect("version 1 is the stored one");
    let late = world.put(3, Write::SignUp(sign_up)).await;
    assert!(is_conflict(&late), "{late:?}");
    let handshake = Handshake {
        client_id: None,
        session_id: None,
        origin: "https://app.example.com".to_owned(),
        expires_at: at(63),
    };
    world.put(3, Write::Handshake([9; 32], handshake.clone())).await.expect("a nonce");
    let again = world.put(3, Write::Handshake([9; 32], handshake.clone())).await;
    assert!(is_conflict(&again), "{again:?}");
    assert_eq!(store.handshake(instance, [9; 32]).await.expect("a load"), Some(handshake));
    assert_eq!(store.handshake(instance, [8; 32]).await.expect("a load"), None);
}
