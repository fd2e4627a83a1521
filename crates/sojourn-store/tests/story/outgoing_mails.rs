//! Outgoing mails: found when due, claimed by one node, listed and purged.

use sojourn_core::{
    id::MailId,
    outgoing_mail::{Attempt, Due, MailContent, MailStatus, OutgoingMail},
    time::{Moment, days, minutes, seconds},
};
use sojourn_store::{Engine as _, QueueLengths, Store, Write};

use crate::{
    common::{World, at},
    is_conflict,
};

fn mail(world: &mut World, to: &str, secs: i64) -> OutgoingMail {
    let id = MailId::generate(at(secs), &mut world.rng);
    let content = MailContent {
        subject: "Hello".to_owned(),
        text: "hello".to_owned(),
        html: "<b>hello</b>".to_owned(),
    };
    OutgoingMail::new(id, "test", to, content, at(secs), minutes(10))
}

async fn due(world: &World, secs: i64) -> Vec<OutgoingMail> {
    world.store.due_mails(world.instance, at(secs), 10).await.expect("a load")
}

pub async fn a_mail_that_is_due_is_claimed_by_one_of_eight(store: Store) {
    let mut world = World::new(store, 1).await;
    for secs in 10..15 {
        let mail = mail(&mut world, "ada@example.com", secs);
        world.put(secs, Write::OutgoingMail(mail.clone())).await.expect("queued");
        assert!(due(&world, secs - 1).await.is_empty());
        let found = due(&world, secs).await;
        assert_eq!(found, [OutgoingMail { version: 1, ..mail }]);
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let mut claimed = found[0].clone();
                assert_eq!(claimed.take(at(secs), seconds(60)), Some(Due::Send));
                let set = world.set(secs).write(Write::OutgoingMail(claimed));
                let store = world.store.clone();
                tokio::spawn(async move { store.commit(set).await })
            })
            .collect();
        let mut claims = 0;
        for attempt in attempts {
            match attempt.await.expect("no panic") {
                Ok(()) => claims += 1,
                outcome => assert!(is_conflict(&outcome), "{outcome:?}"),
            }
        }
        assert_eq!(claims, 1);
        assert!(due(&world, secs).await.is_empty());
        // The node that claimed the mail is gone: the mail is due again, and then sent.
        let [mut sent] = due(&world, secs + 60).await.try_into().expect("one mail");
        assert_eq!((sent.version, sent.tries), (2, 1));
        sent.take(at(secs + 60), seconds(60));
        sent.note(at(secs + 61), Attempt::Taken("250 ok".to_owned()), &mut world.rng);
        world.put(secs + 61, Write::OutgoingMail(sent)).await.expect("noted");
        assert!(due(&world, 100_000).await.is_empty());
    }
}

pub async fn mails_on_their_way_are_listed_and_purged(store: Store) {
    let mut world = World::new(store, 1).await;
    let mut mails = Vec::new();
    for secs in 1..=6 {
        let mut mail = mail(&mut world, "ada@example.com", secs);
        if secs % 2 == 0 {
            mail.take(at(secs), seconds(60));
            mail.note(at(secs), Attempt::Refused("550 no".to_owned()), &mut world.rng);
        }
        world.put(secs, Write::OutgoingMail(mail.clone())).await.expect("queued");
        mails.insert(0, OutgoingMail { version: 1, ..mail });
    }
    let (store, instance) = (world.store.clone(), world.instance);
    let listed = |status, limit, offset| store.outgoing_mails(instance, status, limit, offset);
    assert_eq!(listed(None, 2, 1).await.expect("a list"), (mails[1..3].to_vec(), 6));
    let failed: Vec<_> = mails.iter().filter(|mail| mail.status == MailStatus::Failed).cloned().collect();
    assert_eq!(listed(Some(MailStatus::Failed), 10, 0).await.expect("a list"), (failed, 3));
    assert_eq!(listed(Some(MailStatus::Sent), 10, 0).await.expect("a list"), (Vec::new(), 0));
    assert_eq!(store.outgoing_mail(instance, mails[0].id).await.expect("a load"), Some(mails[0].clone()));
    let lengths = QueueLengths { queued_mails: 3, failed_mails: 3, ..QueueLengths::default() };
    assert_eq!(store.queue_lengths(instance).await.expect("a load"), lengths);
    let late = Moment::real(at(4) + days(7));
    while store.purge(late, 2).await.expect("purged") > 0 {}
    assert_eq!(listed(None, 10, 0).await.expect("a list"), (mails[..2].to_vec(), 2));
}
