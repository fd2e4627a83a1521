//! Webhook deliveries: written with the reader's place, in order per user, claimed by one node.

use std::time::Duration;

use sojourn_core::{
    id::{UserId, WebhookDeliveryId, WebhookEndpointId},
    time::{Moment, days, seconds},
    webhook::{DeliveryStatus, Taken, WebhookAttempt, WebhookDelivery, WebhookEndpoint},
};
use sojourn_store::{
    Engine as _, QueueLengths, Span, Store, StoredWebhookDelivery, WebhookDeliveryFilter, Write,
};

use crate::{
    common::{World, at},
    is_conflict,
};

const HOLD: Duration = seconds(30);

async fn endpoint(world: &mut World, secs: i64) -> WebhookEndpoint {
    let id = WebhookEndpointId::generate(at(secs), &mut world.rng);
    let endpoint = WebhookEndpoint::new(id, format!("https://example.com/{secs}"), vec![1, 2], at(secs));
    world.put(secs, Write::WebhookEndpoint(endpoint.clone())).await.expect("a new endpoint");
    WebhookEndpoint { version: 1, ..endpoint }
}

fn delivery(
    world: &mut World,
    endpoint: &WebhookEndpoint,
    user_id: Option<UserId>,
    seq: u64,
) -> StoredWebhookDelivery {
    let wall = at(seq as i64);
    let id = WebhookDeliveryId::generate(wall, &mut world.rng);
    let row = WebhookDelivery::new(id, endpoint, "user.updated", wall);
    StoredWebhookDelivery {
        delivery: WebhookDelivery { user_id, seq, ..row },
        body: format!("{{\"seq\":{seq}}}"),
    }
}

/// The bodies of what is due.
async fn due(world: &World, endpoint: &WebhookEndpoint, secs: i64) -> Vec<String> {
    let due = world.store.due_webhooks(world.instance, endpoint.id, at(secs), 10).await.expect("a load");
    due.into_iter().map(|stored| stored.body).collect()
}

async fn stored(world: &World, id: WebhookDeliveryId) -> WebhookDelivery {
    let found = world.store.webhook_delivery(world.instance, id).await.expect("a load");
    found.expect("a delivery").delivery
}

fn answered(secs: i64, status: u16) -> WebhookAttempt {
    WebhookAttempt { at: at(secs), duration_ms: 5, http_status: Some(status), answer: None, error: None }
}

/// Claims and sends what is due first, with that answer.
async fn attempt(world: &mut World, endpoint: &WebhookEndpoint, secs: i64, status: u16) {
    let due = world.store.due_webhooks(world.instance, endpoint.id, at(secs), 1).await.expect("a load");
    let mut row = due[0].delivery.clone();
    assert_eq!(row.take(at(secs), HOLD), Some(Taken::Send));
    world.put(secs, Write::WebhookDelivery(row.clone())).await.expect("claimed");
    row.version += 1;
    row.note(at(secs), answered(secs, status), &mut world.rng);
    world.put(secs, Write::WebhookDelivery(row)).await.expect("noted");
}

pub async fn webhook_endpoints_come_back_and_change_by_version(store: Store) {
    let mut world = World::new(store, 1).await;
    let (first, second) = (endpoint(&mut world, 1).await, endpoint(&mut world, 2).await);
    let listed = world.store.webhook_endpoints(world.instance).await.expect("a list");
    assert_eq!(listed, [first.clone(), second.clone()]);
    let changed = WebhookEndpoint { events: vec!["user.created".to_owned()], ..first.clone() };
    world.put(3, Write::WebhookEndpoint(changed)).await.expect("the stored version");
    assert!(is_conflict(&world.put(3, Write::WebhookEndpoint(first.clone())).await));
    world.put(4, Write::DeleteWebhookEndpoint(first.id)).await.expect("there it was");
    assert!(is_conflict(&world.put(4, Write::DeleteWebhookEndpoint(first.id)).await));
    assert_eq!(world.store.webhook_endpoints(world.instance).await.expect("a list"), [second]);
}

pub async fn deliveries_and_the_place_of_the_reader_go_together(store: Store) {
    let mut world = World::new(store, 1).await;
    let endpoint = endpoint(&mut world, 1).await;
    let place = |before, seq| Write::AcknowledgeEvents { reader: "webhooks", before, seq };
    let (one, two) = (delivery(&mut world, &endpoint, None, 1), delivery(&mut world, &endpoint, None, 2));
    let set = world.set(5).write(Write::InsertWebhookDelivery(one.clone())).write(place(None, 7));
    world.commit(set).await.expect("the first place");
    // Another node read the same events.
    for before in [None, Some(6)] {
        let set = world.set(5).write(Write::InsertWebhookDelivery(two.clone())).write(place(before, 7));
        assert!(is_conflict(&world.commit(set).await));
    }
    assert_eq!(due(&world, &endpoint, 9).await, [one.body]);
    let set = world.set(6).write(Write::InsertWebhookDelivery(two)).write(place(Some(7), 9));
    world.commit(set).await.expect("the next place");
    let known = world.store.acknowledged_events(world.instance, "webhooks").await.expect("a load");
    assert_eq!(known, Some(9));
    assert_eq!(due(&world, &endpoint, 9).await.len(), 2);
}

pub async fn a_users_deliveries_wait_for_the_one_before(store: Store) {
    let mut world = World::new(store, 1).await;
    let (endpoint, other) = (endpoint(&mut world, 1).await, endpoint(&mut world, 2).await);
    let ada = UserId::generate(at(0), &mut world.rng);
    let bob = UserId::generate(at(0), &mut world.rng);
    let mut ids = Vec::new();
    for (seq, user) in [(10, ada), (11, bob), (12, ada), (13, ada)] {
        let row = delivery(&mut world, &endpoint, Some(user), seq);
        ids.push(row.delivery.id);
        world.put(14, Write::InsertWebhookDelivery(row)).await.expect("queued");
    }
    let elsewhere = delivery(&mut world, &other, Some(ada), 12);
    world.put(14, Write::InsertWebhookDelivery(elsewhere)).await.expect("queued");
    assert_eq!(due(&world, &endpoint, 20).await, [r#"{"seq":10}"#, r#"{"seq":11}"#]);
    assert_eq!(due(&world, &other, 20).await, [r#"{"seq":12}"#]);
    // The first fails and is tried again later: the others of its user wait for it, and are not due.
    attempt(&mut world, &endpoint, 20, 500).await;
    let next = stored(&world, ids[0]).await.due_at;
    assert!(next.is_some_and(|next| next > at(20)));
    assert_eq!(due(&world, &endpoint, 21).await, [r#"{"seq":11}"#]);
    assert_eq!((stored(&world, ids[2]).await.due_at, stored(&world, ids[3]).await.due_at), (next, next));
    let late = delivery(&mut world, &endpoint, Some(ada), 22);
    ids.push(late.delivery.id);
    world.put(22, Write::InsertWebhookDelivery(late)).await.expect("queued");
    assert_eq!(stored(&world, ids[4]).await.due_at, next);
    // Then it succeeds, and they follow one by one.
    assert_eq!(due(&world, &endpoint, 30).await, [r#"{"seq":11}"#, r#"{"seq":10}"#]);
    attempt(&mut world, &endpoint, 30, 200).await;
    for expected in [10, 12, 13, 22] {
        assert_eq!(due(&world, &endpoint, 30).await, [format!("{{\"seq\":{expected}}}")]);
        attempt(&mut world, &endpoint, 30, 204).await;
    }
    assert!(due(&world, &endpoint, 100_000).await.is_empty());
    assert_eq!(stored(&world, ids[4]).await.status, DeliveryStatus::Delivered);
}

pub async fn a_delivery_is_claimed_by_one_of_eight(store: Store) {
    let mut world = World::new(store, 1).await;
    let endpoint = endpoint(&mut world, 1).await;
    let row = delivery(&mut world, &endpoint, None, 2);
    world.put(2, Write::InsertWebhookDelivery(row.clone())).await.expect("queued");
    let found = stored(&world, row.delivery.id).await;
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let mut claimed = found.clone();
            assert_eq!(claimed.take(at(3), HOLD), Some(Taken::Send));
            let set = world.set(3).write(Write::WebhookDelivery(claimed));
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
    assert!(due(&world, &endpoint, 3).await.is_empty());
    // The claimer is gone: another node sends the same bytes.
    assert_eq!(due(&world, &endpoint, 33).await, [row.body]);
}

pub async fn deliveries_are_listed_and_purged(store: Store) {
    let mut world = World::new(store, 1).await;
    let (first, other) = (endpoint(&mut world, 1).await, endpoint(&mut world, 2).await);
    for seq in 10..16 {
        let row = delivery(&mut world, &first, None, seq);
        world.put(20, Write::InsertWebhookDelivery(row)).await.expect("queued");
    }
    let row = delivery(&mut world, &other, None, 10);
    world.put(20, Write::InsertWebhookDelivery(row)).await.expect("queued");
    attempt(&mut world, &first, 20, 200).await;
    let lengths = world.store.queue_lengths(world.instance).await.expect("a load");
    assert_eq!(lengths, QueueLengths { queued_webhooks: 6, ..QueueLengths::default() });
    let filter = WebhookDeliveryFilter {
        endpoint_id: first.id,
        status: None,
        queued: Span::default(),
        limit: 2,
        offset: 1,
    };
    let list = async |filter: WebhookDeliveryFilter| {
        let (rows, total) = world.store.webhook_deliveries(world.instance, filter).await.expect("a list");
        (rows.iter().map(|row| row.seq).collect::<Vec<_>>(), total)
    };
    assert_eq!(list(filter.clone()).await, (vec![14, 13], 6));
    let queued = Span { from: Some(at(11)), before: Some(at(14)) };
    assert_eq!(
        list(WebhookDeliveryFilter { queued, limit: 9, offset: 0, ..filter.clone() }).await,
        (vec![13, 12, 11], 3)
    );
    let delivered =
        WebhookDeliveryFilter { status: Some(DeliveryStatus::Delivered), offset: 0, ..filter.clone() };
    assert_eq!(list(delivered).await, (vec![10], 1));
    let late = Moment::real(at(13) + days(7));
    while world.store.purge(late, 2).await.expect("purged") > 0 {}
    assert_eq!(list(WebhookDeliveryFilter { limit: 9, offset: 0, ..filter }).await, (vec![15, 14], 2));
}
