//! PostgreSQL behind PgBouncer in transaction mode, like managed poolers: a connection keeps
//! nothing longer than a transaction.

#[path = "common/mod.rs"]
mod common;
#[path = "support/postgres.rs"]
mod postgres;

use common::{World, at, closed, moment};
use postgres::{Pooler, Server, connect};
use sojourn_core::{event::Event, session::ClosedStatus, testing::SeededRng};
use sojourn_store::{Engine as _, SessionFilter, Store, UserFilter, Write};

async fn pooled(connections: u32) -> (Server, Pooler) {
    let server = Server::start(false);
    let database = connect(&server.url()).await;
    database.batch_execute("CREATE DATABASE pooled").await.expect("made");
    let pooler = Pooler::start(&server, connections).await;
    (server, pooler)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_detect_a_pooler_and_work_through_it() {
    let (_server, pooler) = pooled(3).await;
    let url = pooler.url("pooled");
    let one = Store::postgres(&url).await.expect("a database");
    let other = Store::postgres(&url).await.expect("a database");
    let instance = World::new(one.clone(), 1).await.instance;
    let browsers = (0..12).map(|index| {
        let store = if index % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut world = World { store, instance, rng: SeededRng::new(10 + index) };
            let user = world.user(&format!("User{index}"), 1).await;
            let client = world.client(2).await;
            let session = world.sign_in(client, user.id, 3).await;
            world.store.record_activity(instance, session.id, moment(4));
            world.store.flush_activity().await.expect("flushed");
            let session = world.session(session.id).await;
            assert_eq!(session.last_active_at, at(4));
            let gone = Write::CloseSession(closed(&session, 5, ClosedStatus::Removed));
            let set = world.set(5).write(gone).event(Event::UserUpdated(user.id));
            world.commit(set.clone()).await.expect("signed out");
            world.commit(set).await.expect("known");
            assert_eq!(world.browser(client).await.browser.sessions, []);
        })
    });
    for browser in browsers.collect::<Vec<_>>() {
        browser.await.expect("no panic");
    }
    let users = other.users(instance, UserFilter { limit: 5, ..UserFilter::default() }).await;
    let (users, total) = users.expect("a load");
    assert_eq!((users.len(), total), (5, 12));
    let sessions = one.sessions(instance, SessionFilter { limit: 50, ..SessionFilter::default() }).await;
    assert_eq!(sessions.expect("a load").1, 12);
    assert_eq!(one.outbox(instance, None, 99).await.expect("a load").len(), 24);
    assert!(other.purge(moment(9_000_000), 5).await.expect("purged") > 0);
}

#[tokio::test]
async fn nothing_is_left_on_the_connections_of_a_pooler() {
    let (server, pooler) = pooled(1).await;
    let store = Store::postgres(&pooler.url("pooled")).await.expect("a database");
    World::new(store, 1).await;
    // Another program that gets the same server connection.
    let neighbour = connect(&pooler.url("pooled")).await;
    let rows = neighbour
        .simple_query(
            "SELECT current_setting('statement_timeout'), (SELECT COUNT(*) FROM pg_prepared_statements)",
        )
        .await
        .expect("a row");
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1))),
        _ => None,
    });
    assert_eq!(row, Some((Some("0"), Some("0"))));
    drop(server);
}
