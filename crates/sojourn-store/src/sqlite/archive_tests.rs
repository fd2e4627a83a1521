use std::path::PathBuf;

use sojourn_core::{settings::Settings, time::Timestamp};

use super::{super::file::create, *};
use crate::{ArchiveNotes, Database, Store};

/// A database with a schema of long ago, an instance and its settings.
pub(crate) fn older(path: &Path, schema: usize) {
    create(path, &MIGRATIONS[..schema]).expect("a database");
    let db = Connection::open(path).expect("a database");
    let settings = serde_json::to_string(&Settings::initial(Timestamp::from_secs(1))).expect("JSON");
    db.execute(
        "INSERT INTO instances VALUES ('ins_0001n8wRXRlYCGbn2AkZHkV6uPr', 'development', 'a.localhost', 1)",
        [],
    )
    .expect("a row");
    db.execute(
        "INSERT INTO settings (instance_id, version, document) SELECT id, 1, ?1 FROM instances",
        [settings],
    )
    .expect("a row");
}

fn notes() -> ArchiveNotes {
    let created_at = Timestamp::from_secs(1);
    ArchiveNotes { created_at, program: String::new(), master_key_check: None, master_key: None }
}

async fn archive(path: &Path) -> Vec<u8> {
    let snapshot = Database::File(path.to_owned()).snapshot().await.expect("a snapshot");
    snapshot.write(notes(), Vec::new()).await.expect("an archive").1
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dev.db");
    older(&path, MIGRATIONS.len());
    (folder, path)
}

fn read(archive: &[u8]) -> ArchiveReader<&[u8]> {
    ArchiveReader::open(archive).expect("a header")
}

#[tokio::test]
async fn every_table_is_archived_or_left_out_with_a_reason() {
    let (_folder, path) = folder();
    let contents = read(&archive(&path).await).check().expect("an archive");
    let db = Connection::open(&path).expect("a database");
    let mut select = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").expect("understood");
    let tables =
        select.query_map([], |row| row.get::<_, String>(0)).expect("rows").map(|name| name.expect("a name"));
    let missing: Vec<String> =
        tables.filter(|name| !name.starts_with("sqlite_") && !contents.rows.contains_key(name)).collect();
    assert_eq!(missing, ["schema_version", "leases"], "archive/tables.rs says why");
}

#[tokio::test]
async fn a_snapshot_ignores_what_is_written_after_it() {
    let (_folder, path) = folder();
    let snapshot = Database::File(path.clone()).snapshot().await.expect("a snapshot");
    let server = Connection::open(&path).expect("a database");
    server.execute("INSERT INTO clock VALUES (1, 5)", []).expect("written meanwhile");
    let (contents, _) = snapshot.write(notes(), Vec::new()).await.expect("an archive");
    assert_eq!(contents.rows["clock"], 0);
    assert_eq!(read(&archive(&path).await).check().expect("an archive").rows["clock"], 1);
}

#[tokio::test]
async fn a_refused_archive_leaves_no_file() {
    let (folder, path) = folder();
    let archived = archive(&path).await;
    let target = folder.path().join("to/dev.db");
    std::fs::create_dir(folder.path().join("to")).expect("a folder");
    let refused = load(&target, read(&archived[..archived.len() - 30]), &Load::default()).expect_err("cut");
    assert!(matches!(refused, ArchiveError::Truncated), "{refused:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("to")).expect("readable").collect();
    assert!(left.is_empty(), "{left:?}");
    load(&target, read(&archived), &Load::default()).expect("loaded");
    Store::sqlite(&target).expect("a database");
    let again = load(&target, read(&archived), &Load::default()).expect_err("refused");
    assert!(matches!(again, ArchiveError::NotEmpty(_)), "{again:?}");
}

#[tokio::test]
async fn an_archive_of_a_newer_schema_is_refused_with_both_numbers() {
    let (folder, path) = folder();
    let archived = String::from_utf8(archive(&path).await).expect("text");
    let known = MIGRATIONS.len() as u32;
    let newer = archived.replacen(&format!("\"schema\":{known}"), "\"schema\":99", 1);
    let refused =
        load(&folder.path().join("to.db"), read(newer.as_bytes()), &Load::default()).expect_err("newer");
    match refused {
        ArchiveError::Newer { what: "schema", found: 99, known: ours } => assert_eq!(ours, known),
        other => panic!("{other:?}"),
    }
}
