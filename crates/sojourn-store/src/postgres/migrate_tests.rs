//! MIG-01 and R-14 on a server: however a migration is interrupted, the schema is the old one or
//! the new one, and one node applies it.

use std::time::Duration;

use super::{
    super::{pool, support},
    *,
};
use crate::{Database, Engine as _, MigrationMode};

/// A step after the newest one, in parts.
const NEXT: &[&str] = &[
    "CREATE TABLE nicknames (id TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL)",
    "INSERT INTO nicknames SELECT id, host FROM instances",
    "ALTER TABLE instances RENAME COLUMN host TO moved_to",
    "UPDATE instances SET moved_to = 'moved'",
    "DROP TABLE mails",
];

async fn run(database: &support::Database, next: &str) -> Result<Migrated, StoreError> {
    let server = ServerUrl::parse(&database.url()).expect("an address");
    let (pool, _) = pool::open(&server).await.expect("a pool");
    let mut connection = pool::first_connection(&pool, &server).await?;
    let steps: Vec<&str> = MIGRATIONS.iter().copied().chain([next]).collect();
    migrate(&mut connection, &server, &steps).await
}

/// Creates a database of this version with one row.
async fn current(database: &support::Database) {
    ours(database).open(MigrationMode::Migrate).await.expect("a database").close().await.expect("closed");
    database.run("INSERT INTO instances VALUES ('ins_1', 'development', 'clerk.1.localhost', 1)").await;
}

fn ours(database: &support::Database) -> Database {
    Database::Server(ServerUrl::parse(&database.url()).expect("an address"))
}

/// Tables and columns as text, and the version.
async fn content(database: &support::Database) -> String {
    let client = support::connect(&database.url()).await;
    let columns = "SELECT string_agg(table_name || '.' || column_name, ' ' ORDER BY 1) FROM information_schema.columns WHERE table_schema = current_schema()";
    let columns: Option<String> = client.query_one(columns, &[]).await.expect("a row").get(0);
    let columns = columns.unwrap_or_default();
    if !columns.contains("schema_version") {
        return columns;
    }
    let version = database.number("SELECT version FROM schema_version").await;
    let moved = "SELECT COUNT(*) FROM instances i WHERE to_jsonb(i)::text LIKE '%moved%'";
    format!("{columns} {version} {}", database.number(moved).await)
}

#[tokio::test]
async fn r_14_a_migration_failing_anywhere_is_finished_next_start() {
    for done in 0..=NEXT.len() {
        let database = support::Database::new().await;
        current(&database).await;
        let before = content(&database).await;
        let broken = format!("{}; SELECT nobody_knows_this()", NEXT[..done].join("; "));
        let error = run(&database, &broken).await.expect_err("it fails").to_string();
        assert!(error.contains("nobody_knows_this"), "{error}");
        assert_eq!(content(&database).await, before, "after {done} statements");
        let known = MIGRATIONS.len() as u32;
        let migrated = run(&database, &NEXT.join("; ")).await.expect("it goes well");
        assert_eq!(migrated, Migrated { from: known, to: known + 1, copy: None });
        let after = content(&database).await;
        assert!(after.contains("nicknames") && !after.contains(" mails."), "{after}");
        let again = run(&database, &NEXT.join("; ")).await.expect("nothing to do");
        assert_eq!((again.from, again.to), (known + 1, known + 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_14_a_server_crash_in_a_migration_leaves_the_old_schema() {
    let server = support::Server::start(true);
    for done in 0..=NEXT.len() {
        let database = support::Database::on(server.url(), false).await;
        current(&database).await;
        let before = content(&database).await;
        let endless = format!("{}; SELECT pg_sleep(600)", NEXT[..done].join("; "));
        let asleep = async {
            let client = support::connect(&server.url()).await;
            let select = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            while client.query(select, &[]).await.expect("rows").is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            outcome = run(&database, &endless) => panic!("it does not end by itself: {outcome:?}"),
            () = asleep => {}
        }
        server.crash();
        server.restart();
        assert_eq!(content(&database).await, before, "after {done} statements");
        run(&database, &NEXT.join("; ")).await.expect("the next start finishes it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_nodes_that_migrate_at_once_one_does() {
    let database = std::sync::Arc::new(support::Database::new().await);
    current(&database).await;
    let slow = format!("{}; SELECT pg_sleep(0.3)", NEXT.join("; "));
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let (database, slow) = (std::sync::Arc::clone(&database), slow.clone());
            tokio::spawn(async move { run(&database, &slow).await })
        })
        .collect();
    let known = MIGRATIONS.len() as u32;
    let mut by = 0;
    for start in starts {
        let migrated = start.await.expect("no panic").expect("the new schema");
        assert_eq!(migrated.to, known + 1);
        by += u32::from(migrated.from == known);
    }
    assert_eq!(by, 1);
}

#[tokio::test]
async fn each_released_schema_is_reported_refused_and_migrated() {
    for old in 0..MIGRATIONS.len() {
        let database = support::Database::new().await;
        if old > 0 {
            let server = ServerUrl::parse(&database.url()).expect("an address");
            let (pool, _) = pool::open(&server).await.expect("a pool");
            let mut connection = pool::first_connection(&pool, &server).await.expect("a connection");
            migrate(&mut connection, &server, &MIGRATIONS[..old]).await.expect("an old schema");
        }
        let before = content(&database).await;
        let (found, known) = (old as u32, MIGRATIONS.len() as u32);
        let schema = ours(&database).schema().await.expect("a schema");
        assert_eq!((schema.found, schema.known), (found, known));
        match ours(&database).open(MigrationMode::Refuse).await {
            Err(StoreError::OlderSchema { found: told, .. }) => assert_eq!(told, found),
            other => panic!("{other:?}"),
        }
        assert_eq!(content(&database).await, before, "nothing was made");
        let migrated = ours(&database).migrate().await.expect("migrated");
        assert_eq!(migrated, Migrated { from: found, to: known, copy: None });
        ours(&database).open(MigrationMode::Refuse).await.expect("it is current now");
    }
}
