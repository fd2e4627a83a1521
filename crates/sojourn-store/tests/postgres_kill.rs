//! A server that crashes under load: clients get "unavailable", nothing acknowledged is lost, and
//! everything works again after the restart.

mod common;
#[path = "support/postgres.rs"]
mod postgres;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{World, at, closed, moment};
use postgres::{Database, Server};
use sojourn_core::{
    client::{Client, SecretHash},
    id::{ClientId, InstanceId, Randomness as _, SessionId, TicketId, UserId},
    session::ClosedStatus,
};
use sojourn_store::{ChangeSet, CommitError, Engine as _, Expect, Store, StoreError, TicketStatus, Write};
use tokio::time::{sleep, timeout};

const TASKS: u64 = 6;
const ROUNDS: u64 = 6;

/// An acknowledged change.
#[derive(Clone, Copy, Debug)]
enum Fact {
    User(UserId),
    Session(SessionId),
    Closed(SessionId),
    Accepted(TicketId),
}

#[derive(Debug, Default)]
struct Load {
    over: AtomicBool,
    unavailable: AtomicU32,
}

impl Load {
    /// Commits a set, with any number of attempts, until it is applied. Only the server can make an
    /// attempt fail.
    async fn insist(&self, store: &Store, set: ChangeSet) {
        loop {
            match store.commit(set.clone()).await {
                Ok(()) => return,
                // Committing the same set again shows whether it was applied.
                Err(CommitError::Store(StoreError::Unavailable(_)) | CommitError::OutcomeUnknown { .. }) => {
                    self.wait().await;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    async fn wait(&self) {
        self.unavailable.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(10)).await;
    }

    async fn work(&self, mut world: World) -> (InstanceId, Vec<Fact>) {
        let store = world.store.clone();
        let mut facts = Vec::new();
        for secs in 1.. {
            let user = world.new_user(&format!("user{secs}"), secs);
            self.insist(&store, world.set(secs).write(Write::User(user.clone()))).await;
            facts.push(Fact::User(user.id));
            let client = ClientId::generate(at(secs), &mut world.rng);
            let row = Client::new(client, SecretHash(world.rng.array()), moment(secs));
            self.insist(&store, world.set(secs).write(Write::Client(row))).await;
            let record = loop {
                match store.browser(world.instance, client).await {
                    Ok(record) => break record.expect("acknowledged, so it is there"),
                    Err(StoreError::Unavailable(_)) => self.wait().await,
                    Err(other) => panic!("{other:?}"),
                }
            };
            let step = world.admission_of(&record, user.id, secs);
            let set = world.set(secs).expect(Expect::User(user.id, 1)).browser(&step);
            self.insist(&store, set).await;
            let session = step.subject.expect("a session");
            facts.push(Fact::Session(session.id));
            store.record_activity(world.instance, session.id, moment(secs + 100));
            let ticket = world.ticket(user.id, secs);
            self.insist(&store, world.set(secs).write(Write::InsertTicket(ticket.clone()))).await;
            self.insist(&store, world.set(secs).write(Write::AcceptTicket(ticket.id))).await;
            facts.push(Fact::Accepted(ticket.id));
            if secs % 2 == 0 {
                let revoked = closed(&session, secs, ClosedStatus::Revoked);
                self.insist(&store, world.set(secs).write(Write::CloseSession(revoked))).await;
                facts.push(Fact::Closed(session.id));
            }
            if self.over.load(Ordering::Relaxed) {
                break;
            }
        }
        (world.instance, facts)
    }
}

async fn check(store: &Store, instance: InstanceId, fact: Fact) {
    let there = match fact {
        Fact::User(id) => store.user(instance, id).await.expect("a load").is_some(),
        Fact::Session(id) => store.session(instance, id).await.expect("a load").is_some(),
        Fact::Closed(id) => {
            let session = store.session(instance, id).await.expect("a load");
            let closing = session.and_then(|session| session.closed);
            closing.is_some_and(|closing| closing.status == ClosedStatus::Revoked)
        }
        Fact::Accepted(id) => {
            let ticket = store.ticket_by_id(instance, id).await.expect("a load");
            ticket.is_some_and(|ticket| ticket.status == TicketStatus::Accepted)
        }
    };
    assert!(there, "lost: {fact:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r_05_acknowledged_writes_survive_a_database_crash() {
    let server = Server::start(true);
    let database = Database::on(server.url(), false).await;
    let store = Store::postgres(&database.url()).await.expect("a database");
    let load = Arc::new(Load::default());
    let mut tasks = Vec::new();
    for seed in 0..TASKS {
        let world = World::new(store.clone(), seed).await;
        let load = Arc::clone(&load);
        tasks.push(tokio::spawn(async move { load.work(world).await }));
    }
    for round in 0..ROUNDS {
        sleep(Duration::from_millis(250 + 40 * round)).await;
        server.crash();
        let down = timeout(Duration::from_secs(5), store.instances()).await.expect("an answer in time");
        assert!(matches!(down, Err(StoreError::Unavailable(_))), "{down:?}");
        sleep(Duration::from_millis(60 * (round % 3))).await;
        server.restart();
        let back = async {
            while store.instances().await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(5), back).await.expect("heals by itself");
    }
    load.over.store(true, Ordering::Relaxed);
    let mut told = 0;
    for task in tasks {
        let (instance, facts) = task.await.expect("no panic");
        for fact in &facts {
            check(&store, instance, *fact).await;
        }
        told += facts.len();
    }
    let unavailable = load.unavailable.load(Ordering::Relaxed);
    assert!(told > 100 && unavailable > 0, "too little happened: {told} facts, {unavailable} refusals");
    store.close().await.expect("closed");
}
