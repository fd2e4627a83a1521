//! Archives between both engines: what one engine stores, the other one gets.

use std::{collections::BTreeMap, path::Path};

use sojourn_core::{
    settings::Settings,
    testing::SeededRng,
    time::{Moment, Timestamp},
};

use super::{super::support, *};
use crate::{ArchiveNotes, Database, Engine as _, MigrationMode, Snapshot};

type Rows = BTreeMap<String, Vec<String>>;

fn notes() -> ArchiveNotes {
    ArchiveNotes {
        created_at: Timestamp::from_secs(1_795_000_000),
        program: "0.1.0".to_owned(),
        master_key_check: Some("abc".to_owned()),
        master_key: None,
    }
}

fn on_server(database: &support::Database) -> Database {
    Database::Server(ServerUrl::parse(&database.url()).expect("an address"))
}

async fn archive(database: &Database) -> Vec<u8> {
    let snapshot: Snapshot = database.snapshot().await.expect("a snapshot");
    snapshot.write(notes(), Vec::new()).await.expect("an archive").1
}

async fn load(database: &Database, archive: &[u8], load: &Load) -> Result<ArchiveContents, ArchiveError> {
    database.load(ArchiveReader::open(archive).expect("a header"), load).await
}

/// The rows of each table as text, in an order that does not depend on the engine.
fn rows(archive: &[u8]) -> Rows {
    let mut reader = ArchiveReader::open(archive).expect("a header");
    let (mut rows, mut table) = (Rows::new(), String::new());
    loop {
        match reader.next_line().expect("a line") {
            Line::Table(next) => {
                table.clone_from(&next.name);
                rows.insert(next.name, Vec::new());
            }
            Line::Row(row) => rows.get_mut(&table).expect("begun").push(format!("{row:?}")),
            Line::End(_) => break,
        }
    }
    rows.values_mut().for_each(|rows| rows.sort());
    rows
}

/// Text with everything that SQL, JSON or a line-based format could mistake. No NUL, which
/// PostgreSQL does not store (decision 6).
fn text(rng: &mut SeededRng) -> String {
    const ALPHABET: [&str; 12] =
        ["a", "'", "\"", "\\", "\n", "\r", "\t", "é", "\u{1f600}", "\u{2028}", "?1", "$1"];
    (0..rng.below(12)).map(|_| ALPHABET[rng.below(12) as usize]).collect()
}

/// A value that the constraints of the column allow.
fn value(rng: &mut SeededRng, table: &str, column: &str, kind: ColumnType, row: u64) -> Value {
    let closed = row.is_multiple_of(2);
    let settings = || {
        let settings = Settings { version: row + 1, ..Settings::initial(Timestamp::from_secs(1)) };
        serde_json::to_string(&settings).expect("JSON")
    };
    match (table, column) {
        ("clock", "id") => Value::Int(1),
        ("instances", "environment") => Value::from("development"),
        ("identifiers", "kind") => Value::from("external_id"),
        ("identifiers", "user_id") => Value::from(format!("users-id-{row}")),
        ("sign_in_tokens", "status") => Value::from(["pending", "accepted"][usize::from(closed)]),
        ("settings", "document") => Value::from(settings()),
        ("users", "banned") => Value::Int(i64::from(closed)),
        (_, "closed_at" | "closed_status" | "closed_reason" | "closed_settings_version") if !closed => {
            Value::Null
        }
        ("settings", "version") | (_, "seq") => Value::Int(row as i64 + 1),
        ("activity", "session_id") => Value::from(format!("sessions-id-{row}")),
        // One instance, so that what belongs together is found.
        (_, "instance_id") | ("instances", "id") => Value::from("ins_1"),
        (_, "id" | "kid" | "name" | "value") => Value::from(format!("{table}-{column}-{row}")),
        _ => match kind {
            ColumnType::Int => {
                Value::Int([0, -1, i64::MAX, i64::MIN, rng.roll() as i64][rng.below(5) as usize])
            }
            ColumnType::Text => Value::from(text(rng)),
            ColumnType::Blob => {
                Value::Blob([vec![row as u8, 0, 255], vec![7; rng.below(40) as usize]].concat())
            }
        },
    }
}

/// An embedded database with random rows in every table.
fn random(path: &Path, seed: u64) {
    drop(crate::Store::sqlite(path).expect("a database"));
    let db = rusqlite::Connection::open(path).expect("a database");
    db.pragma_update(None, "foreign_keys", false).expect("set");
    let mut rng = SeededRng::new(seed);
    for table in tables_at(MIGRATIONS.len() as u32).expect("tables") {
        let rows = if ["clock", "instances", "test_clocks"].contains(&table.name.as_str()) {
            1
        } else {
            5 + rng.below(9)
        };
        let places = vec!["?"; table.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, table.column_list());
        for row in 0..rows {
            let cells: Vec<Value> = table
                .columns
                .iter()
                .map(|(name, kind)| value(&mut rng, &table.name, name, *kind, row))
                .collect();
            db.execute(&sql, rusqlite::params_from_iter(&cells))
                .unwrap_or_else(|error| panic!("{}: {error}", table.name));
        }
    }
    db.execute_batch("DELETE FROM identifiers WHERE user_id NOT IN (SELECT id FROM users)").expect("deleted");
}

#[tokio::test]
async fn random_rows_survive_a_move_to_postgresql_and_back() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to) = (folder.path().join("from.db"), Database::File(folder.path().join("to.db")));
        random(&from, seed);
        let first = archive(&Database::File(from)).await;
        let server = support::Database::new().await;
        let contents = load(&on_server(&server), &first, &Load::default()).await.expect("loaded");
        assert!(contents.rows.values().all(|rows| *rows > 0), "{contents:?}");
        let second = archive(&on_server(&server)).await;
        assert_eq!(rows(&second), rows(&first), "seed {seed}");
        load(&to, &second, &Load::default()).await.expect("loaded");
        to.check_integrity().expect("whole");
        assert_eq!(rows(&archive(&to).await), rows(&first), "seed {seed}");
        let open = "SELECT COUNT(*) FROM activity a JOIN sessions s ON s.id = a.session_id WHERE a.closed <> (s.closed_at IS NOT NULL)";
        assert_eq!(server.number(open).await, 0, "late activity finds closed sessions");
    }
}

#[tokio::test]
async fn both_engines_have_the_tables_of_an_archive() {
    let server = support::Database::new().await;
    on_server(&server).open(MigrationMode::Migrate).await.expect("a database").close().await.expect("closed");
    let client = support::connect(&server.url()).await;
    let columns = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns WHERE table_schema = current_schema()";
    let mut found: Vec<(String, String, &str)> = Vec::new();
    for row in client.query(columns, &[]).await.expect("rows") {
        let kind = match row.get::<_, String>(2).as_str() {
            "bigint" | "boolean" => "int",
            "text" => "text",
            "bytea" => "blob",
            other => panic!(
                "{}.{} is {other}: an archive has no such type",
                row.get::<_, String>(0),
                row.get::<_, String>(1)
            ),
        };
        found.push((row.get(0), row.get(1), kind));
    }
    // Tables that belong to the schema and not to its data.
    found.retain(|(table, column, _)| {
        Table::is_archived(table) && !FILLED_IN_POSTGRES.iter().any(|(t, c, _)| t == table && c == column)
    });
    found.sort();
    let mut archived: Vec<(String, String, &str)> = tables_at(MIGRATIONS.len() as u32)
        .expect("tables")
        .iter()
        .flat_map(|table| {
            table.columns.iter().map(|(name, kind)| (table.name.clone(), name.clone(), kind.as_str()))
        })
        .collect();
    archived.sort();
    assert_eq!(found, archived, "an engine has a table or column that an archive would lose");
}

#[tokio::test]
async fn events_without_a_number_get_the_next_ones() {
    let server = support::Database::new().await;
    on_server(&server).open(MigrationMode::Migrate).await.expect("a database").close().await.expect("closed");
    server
        .run(
            "INSERT INTO instances VALUES ('ins_1', 'development', 'a.localhost', 1);
             INSERT INTO outbox (instance_id, id, at, name, data, written_at, seq) VALUES
                ('ins_1', 'e1', 1, 'n', '{}', 100, 7), ('ins_1', 'e9', 2, 'n', '{}', 200, NULL),
                ('ins_1', 'e3', 3, 'n', '{}', 300, NULL)",
        )
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("to.db");
    load(&Database::File(path.clone()), &archive(&on_server(&server)).await, &Load::default())
        .await
        .expect("loaded");
    let db = rusqlite::Connection::open(&path).expect("a database");
    let numbers: String = db
        .query_row("SELECT group_concat(id || seq) FROM (SELECT * FROM outbox ORDER BY seq)", [], |row| {
            row.get(0)
        })
        .expect("a row");
    assert_eq!(numbers, "e17,e98,e39");
}

#[tokio::test]
async fn an_archive_of_an_older_schema_is_loaded_and_migrated() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = folder.path().join("old.db");
    crate::sqlite::archive::tests::older(&old, 1);
    let archived = archive(&Database::File(old)).await;
    assert_eq!(ArchiveReader::open(archived.as_slice()).expect("a header").header().schema, 1);
    let server = support::Database::new().await;
    for target in [on_server(&server), Database::File(folder.path().join("new.db"))] {
        load(&target, &archived, &Load::default()).await.expect("loaded");
        let schema = target.schema().await.expect("a schema");
        assert_eq!(schema.found, schema.known);
        let store = target.open(MigrationMode::Refuse).await.expect("opens");
        let instance = store.instances().await.expect("a load").remove(0);
        let (settings, _) = store.settings(instance.id).await.expect("settings");
        // Migration 2 copies this out of the document.
        assert_eq!(settings.in_force_from, Timestamp::from_secs(1));
        store.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_database_with_data_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("from.db");
    random(&path, 1);
    let archived = archive(&Database::File(path)).await;
    let server = support::Database::new().await;
    let target = on_server(&server);
    // A schema without rows is as good as none.
    target.migrate().await.expect("a schema");
    load(&target, &archived, &Load::default()).await.expect("loaded");
    let before = rows(&archive(&target).await);
    let refused = load(&target, &archived, &Load::default()).await.expect_err("refused");
    assert!(matches!(refused, ArchiveError::NotEmpty(_)), "{refused:?}");
    assert_eq!(rows(&archive(&target).await), before);
}

#[tokio::test]
async fn an_incomplete_archive_leaves_an_empty_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("from.db");
    random(&path, 2);
    let archived = archive(&Database::File(path)).await;
    let server = support::Database::new().await;
    let refused = load(&on_server(&server), &archived[..archived.len() - 40], &Load::default()).await;
    assert!(matches!(refused, Err(ArchiveError::Truncated)), "{refused:?}");
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()";
    assert_eq!(server.number(tables).await, 0);
}

#[tokio::test]
async fn both_engines_end_all_sessions_during_a_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("from.db");
    random(&path, 3);
    let archived = archive(&Database::File(path)).await;
    let server = support::Database::new().await;
    let at = Moment::real(Timestamp::from_secs(1_795_000_100));
    let mut ended = Vec::new();
    for target in [on_server(&server), Database::File(folder.path().join("to.db"))] {
        load(&target, &archived, &Load { end_sessions: Some(at), ..Load::default() }).await.expect("loaded");
        ended.push(rows(&archive(&target).await));
    }
    assert_eq!(ended[0], ended[1]);
    assert_eq!(ended[0]["settings"].iter().filter(|row| row.contains("ends_all_sessions")).count(), 1);
    for attempts in ["sign_ins", "sign_ups", "handshakes"] {
        assert!(ended[0][attempts].is_empty(), "{attempts}");
    }
    assert!(!ended[0]["sign_in_tokens"].iter().any(|row| row.contains("pending")));
}
