//! MIG-01 and R-14: however a migration is interrupted, the schema is the old one or the new one,
//! and a copy of the old file exists.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use sojourn_core::{id::Randomness as _, testing::SeededRng};

use super::{super::file, *};
use crate::{Database, MigrationMode};

/// A step after the newest one, in parts.
const NEXT: &[&str] = &[
    "CREATE TABLE nicknames (id TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL) STRICT",
    "INSERT INTO nicknames SELECT id, host FROM instances",
    "ALTER TABLE instances RENAME COLUMN host TO moved_to",
    "UPDATE instances SET moved_to = 'moved'",
    "DROP TABLE mails",
    "CREATE INDEX users_by_change ON users (instance_id, updated_at)",
];

/// Creates a database of this version with two rows, and returns its content.
fn database(path: &Path) -> String {
    let db = file::open(path).expect("a database");
    db.execute_batch(
        "INSERT INTO instances VALUES ('ins_1', 'development', 'clerk.1.localhost', 1), ('ins_2', 'production', 'clerk.2.localhost', 2)",
    )
    .expect("rows");
    drop(db);
    content(path)
}

fn content(path: &Path) -> String {
    let db = open_reader(path).expect("a database");
    let list = |select: &str| -> Vec<String> {
        let mut statement = db.prepare(select).expect("understood");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("text")
    };
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a word");
    assert_eq!(sound, "ok", "{}", path.display());
    let mut all = list("SELECT name || COALESCE(sql, '') FROM sqlite_schema ORDER BY name");
    all.extend(list("SELECT CAST(version AS TEXT) FROM schema_version"));
    let host = if all.iter().any(|table| table.contains("moved_to")) { "moved_to" } else { "host" };
    all.extend(list(&format!("SELECT id || {host} FROM instances ORDER BY id")));
    all.join("\n")
}

fn run(path: &Path, next: &str) -> Result<Migrated, StoreError> {
    let mut db = Connection::open(path).expect("a database");
    let steps: Vec<&str> = file::MIGRATIONS.iter().copied().chain([next]).collect();
    migrate(&mut db, path, &steps)
}

fn next_copy(path: &Path) -> PathBuf {
    beside(path, &format!(".before-{:04}", file::MIGRATIONS.len() + 1))
}

#[test]
fn r_14_a_migration_failing_anywhere_is_finished_next_start() {
    for done in 0..=NEXT.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dev.db");
        let before = database(&path);
        let broken = format!("{}; SELECT nobody_knows_this()", NEXT[..done].join("; "));
        let error = run(&path, &broken).expect_err("it fails").to_string();
        assert!(error.contains("nobody_knows_this"), "{error}");
        assert_eq!(content(&path), before, "after {done} statements");
        assert_eq!(content(&next_copy(&path)), before);

        let migrated = run(&path, &NEXT.join("; ")).expect("it goes well");
        let known = file::MIGRATIONS.len() as u32;
        let copy = Some(next_copy(&path));
        assert_eq!(migrated, Migrated { from: known, to: known + 1, copy });
        assert!(content(&path).contains("nicknames"));
        assert_eq!(content(&next_copy(&path)), before);
        assert_eq!(copies(&path), [next_copy(&path)]);
        let again = run(&path, &NEXT.join("; ")).expect("nothing to do");
        assert_eq!(again, Migrated { from: known + 1, to: known + 1, copy: None });
    }
}

#[test]
fn rows_with_dangling_references_refuse_the_migration() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dev.db");
    let before = database(&path);
    let orphan = "INSERT INTO identifiers VALUES ('ins_1', 'email_address', 'a@example.com', 'user_gone')";
    assert!(run(&path, orphan).expect_err("refused").to_string().contains("refer"));
    assert_eq!(content(&path), before);
}

#[test]
fn without_room_for_a_copy_nothing_is_migrated() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dev.db");
    let before = database(&path);
    // A directory at the temporary path of the copy: the copy cannot be written.
    let blocked = beside(&next_copy(&path), ".part");
    fs::create_dir(&blocked).expect("a folder");
    let error = run(&path, &NEXT.join("; ")).expect_err("refused").to_string();
    assert!(error.contains("no copy"), "{error}");
    assert_eq!(content(&path), before);
    assert!(copies(&path).is_empty());
}

#[tokio::test]
async fn each_released_schema_is_reported_refused_copied_and_migrated() {
    for old in 1..file::MIGRATIONS.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dev.db");
        file::create(&path, &file::MIGRATIONS[..old]).expect("an old database");
        let before = content(&path);
        let database = Database::File(path.clone());
        let (found, known) = (old as u32, file::MIGRATIONS.len() as u32);
        let schema = database.schema().await.expect("a schema");
        assert_eq!((schema.found, schema.known, schema.copies), (found, known, Vec::new()));
        match database.open(MigrationMode::Refuse).await {
            Err(StoreError::OlderSchema { found: told, .. }) => assert_eq!(told, found),
            other => panic!("{other:?}"),
        }
        assert_eq!(content(&path), before);

        let migrated = database.migrate().await.expect("migrated");
        let copy = beside(&path, &format!(".before-{:04}", old + 1));
        assert_eq!(migrated, Migrated { from: found, to: known, copy: Some(copy.clone()) });
        assert_eq!(database.schema().await.expect("a schema").copies, [copy.clone()]);
        database.open(MigrationMode::Refuse).await.expect("it is current now");

        // Downgrade: the copy is a complete database.
        fs::copy(&copy, &path).expect("restored");
        assert_eq!(content(&path), before);
        database.open(MigrationMode::Migrate).await.expect("brought up by opening");
        assert_eq!(database.schema().await.expect("a schema").found, known);
    }
}

#[tokio::test]
async fn inspecting_a_schema_creates_and_claims_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dev.db");
    let database = Database::File(path.clone());
    assert_eq!(database.schema().await.expect("none").found, 0);
    assert_eq!(database.migrate().await.expect("nothing to do"), Migrated::default());
    assert!(!path.exists());
    fs::write(&path, "not a database").expect("written");
    assert!(database.schema().await.is_err());
    fs::remove_file(&path).expect("removed");
    Connection::open(&path).expect("open").execute_batch("CREATE TABLE notes (text TEXT)").expect("a table");
    assert!(database.schema().await.expect_err("not ours").to_string().contains("another program"));
}

const CHILD: &str = "SOJOURN_TEST_MIGRATED_DATABASE";

/// A step that takes long, with the same amount of work at each moment.
fn long() -> String {
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
                INSERT INTO filling SELECT NULL, hex(zeroblob(200)) FROM n; ";
    format!(
        "CREATE TABLE filling (id INTEGER PRIMARY KEY, text TEXT) STRICT; {}{}",
        fill.repeat(60),
        NEXT.join("; ")
    )
}

/// Not a test: the process that the test below kills.
#[test]
fn child() {
    let Ok(path) = env::var(CHILD) else { return };
    writeln!(io::stdout(), "\nready").expect("the parent listens");
    run(Path::new(&path), &long()).expect("only a kill ends it");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "waits before it kills another process")]
fn r_14_a_kill_in_a_migration_leaves_one_whole_schema() {
    let mut rng = SeededRng::new(14);
    let (mut old, mut new) = (0, 0);
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dev.db");
        let before = database(&path);
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["sqlite::migrate::tests::child", "--exact", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "ready"));
        std::thread::sleep(Duration::from_millis(u64::from(rng.array::<1>()[0])));
        process.kill().expect("SIGKILL");
        process.wait().expect("gone");
        if content(&path) == before {
            old += 1;
        } else {
            new += 1;
            assert!(content(&path).contains("users_by_change"), "half a migration");
        }
        run(&path, &long()).expect("the next start finishes it");
        assert_eq!(content(&next_copy(&path)), before);
    }
    assert!(old > 0, "no kill came in time: {old}, {new}");
}
