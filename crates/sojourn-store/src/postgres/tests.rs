//! Prepares and plans all statements on a server.

use tokio_postgres::{Client, SimpleQueryMessage, types::Type};

use super::{Engine as _, PostgresEngine, ServerUrl, failure, support};
use crate::{
    schema::MigrationMode,
    sql::{every_statement, statement::Sql},
};

async fn client() -> (support::Database, Client) {
    let database = support::Database::new().await;
    let server = ServerUrl::parse(&database.url()).expect("an address");
    let engine = PostgresEngine::open(&server, MigrationMode::Migrate).await.expect("a database");
    engine.close().await.expect("closed");
    let client = support::connect(&database.url()).await;
    (database, client)
}

#[tokio::test]
async fn every_statement_is_understood() {
    let (_database, client) = client().await;
    for sql in every_statement().filter_map(Sql::for_postgres) {
        let statement = client.prepare(sql).await;
        let statement = statement.unwrap_or_else(|error| panic!("{sql}: {}", failure::told(&error)));
        // The types of [`Value`].
        let ours = [Type::INT8, Type::BOOL, Type::TEXT, Type::BYTEA];
        assert!(statement.params().iter().all(|kind| ours.contains(kind)), "{sql}: {statement:?}");
    }
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_a_key() {
    let (_database, client) = client().await;
    // With these settings a sequential scan is planned only if no index can be used, for any
    // parameter values.
    let settings =
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan";
    client.batch_execute(settings).await.expect("set");
    for sql in every_statement().filter_map(Sql::for_postgres) {
        let count = client.prepare(sql).await.expect("understood").params().len();
        let nothing = vec!["NULL"; count].join(", ");
        let params = if count == 0 { String::new() } else { format!("({nothing})") };
        client.batch_execute(&format!("PREPARE plan AS {sql}")).await.expect("prepared");
        let plan = client.simple_query(&format!("EXPLAIN EXECUTE plan{params}")).await.expect("a plan");
        client.batch_execute("DEALLOCATE plan").await.expect("gone");
        for step in &plan {
            if let SimpleQueryMessage::Row(row) = step {
                let step = row.get(0).unwrap_or_default();
                let all = sql.contains("FROM instances ORDER BY");
                assert!(all || !step.contains("Seq Scan"), "{sql}: {step}");
            }
        }
    }
}
