//! Archives of the embedded database: read by a second connection, loaded into a new file.

use std::{io::Read, io::Write, path::Path};

use rusqlite::{Connection, params_from_iter, types::ValueRef};

use super::{
    db::{failed, rows},
    disk::open_reader,
    file::{self, MIGRATIONS},
    migrate::version,
};
use crate::{
    archive::{
        ArchiveContents, ArchiveError, ArchiveReader, ArchiveWriter, ArchivedInstance, ColumnType,
        FORGOTTEN_ATTEMPTS, INSTANCES, Line, Load, NEWEST_SETTINGS, REVOKE_TICKETS, SAVE_SETTINGS, Table,
        successor,
    },
    error::StoreError,
    sql::{audit_log, statement::Dialect, value::Value},
};

/// The archived tables of a schema version, for both engines.
pub(crate) fn tables_at(schema: u32) -> Result<Vec<Table>, StoreError> {
    let steps = MIGRATIONS.get(..schema as usize);
    let steps = steps.ok_or(StoreError::NewerSchema { found: schema, known: MIGRATIONS.len() as u32 })?;
    let read = || {
        let db = Connection::open_in_memory()?;
        for step in steps {
            db.execute_batch(step)?;
        }
        let mut select = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
        let names: Vec<String> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut select = db.prepare("SELECT name, type FROM pragma_table_info(?1) ORDER BY cid")?;
        let mut tables = Vec::new();
        for name in names.into_iter().filter(|name| Table::is_archived(name)) {
            let columns = select.query_map([&name], |row| {
                let declared: String = row.get(1)?;
                let kind = ColumnType::of_sqlite(&declared);
                Ok((row.get(0)?, kind.ok_or(rusqlite::Error::InvalidColumnName(declared))?))
            })?;
            let columns = columns.collect::<Result<_, _>>()?;
            tables.push(Table { name, columns });
        }
        Ok(tables)
    };
    read().map_err(failed("schema"))
}

/// A read transaction. The server that uses the file goes on writing.
#[derive(Debug)]
pub(crate) struct FileSnapshot {
    db: Connection,
    schema: u32,
}

impl FileSnapshot {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let missing = || StoreError::Unusable {
            path: path.display().to_string(),
            reason: "there is no database".to_owned(),
        };
        let found = file::schema(path)?;
        if found.found == 0 {
            return Err(missing());
        }
        let db = open_reader(path).map_err(failed("file"))?;
        db.execute_batch("BEGIN").map_err(failed("transaction"))?;
        // The first read determines the snapshot.
        let schema = version(&db).map_err(failed("schema_version"))?;
        if schema > found.known {
            return Err(StoreError::NewerSchema { found: schema, known: found.known });
        }
        Ok(Self { db, schema })
    }

    pub(crate) const fn schema(&self) -> u32 {
        self.schema
    }

    pub(crate) fn query(&self, sql: &str, types: &[ColumnType]) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut found = Vec::new();
        let each = |row: Vec<Value>| {
            found.push(row);
            Ok(())
        };
        match self.each_row("instances", sql, types, each) {
            Ok(()) => Ok(found),
            Err(ArchiveError::Store(error)) => Err(error),
            Err(other) => Err(StoreError::Unavailable(other.to_string())),
        }
    }

    /// Writes the rows of a table.
    pub(crate) fn rows<W: Write>(
        &self,
        table: &Table,
        out: &mut ArchiveWriter<W>,
    ) -> Result<(), ArchiveError> {
        let sql = format!("SELECT {} FROM {}", table.column_list(), table.name);
        self.each_row(&table.name, &sql, &table.types(), |row| Ok(out.row(&row)?))
    }

    fn each_row(
        &self,
        table: &str,
        sql: &str,
        types: &[ColumnType],
        mut each: impl FnMut(Vec<Value>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let failed = |error: rusqlite::Error| StoreError::Unavailable(format!("{table}: {error}"));
        let mut select = self.db.prepare(sql).map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let cell = |column: usize| Ok(value(row.get_ref(column).map_err(failed)?));
            let cells: Vec<Option<Value>> = (0..types.len()).map(cell).collect::<Result<_, StoreError>>()?;
            let cells = cells.into_iter().collect::<Option<_>>();
            each(
                cells
                    .ok_or_else(|| StoreError::Unavailable(format!("{table} has a value that is no text")))?,
            )?;
        }
        Ok(())
    }
}

/// `None` for a text that is not Unicode. STRICT tables contain no floating-point numbers.
fn value(cell: ValueRef<'_>) -> Option<Value> {
    match cell {
        ValueRef::Null => Some(Value::Null),
        ValueRef::Integer(number) => Some(Value::Int(number)),
        ValueRef::Text(text) => Some(Value::from(String::from_utf8(text.to_owned()).ok()?)),
        ValueRef::Blob(bytes) => Some(Value::Blob(bytes.to_owned())),
        ValueRef::Real(_) => None,
    }
}

/// Creates the file from an archive. A killed process leaves no file of this name.
pub(crate) fn load<R: Read>(
    path: &Path,
    archive: ArchiveReader<R>,
    load: &Load,
) -> Result<ArchiveContents, ArchiveError> {
    let unusable = |reason: String| StoreError::Unusable { path: path.display().to_string(), reason };
    let known = MIGRATIONS.len() as u32;
    let found = archive.header().schema;
    if found > known {
        return Err(ArchiveError::Newer { what: "schema", found, known });
    }
    if path.try_exists()? {
        return Err(ArchiveError::NotEmpty(format!("{} exists already", path.display())));
    }
    let (db, draft) = file::draft(path).map_err(unusable)?;
    match fill(&db, archive, load, found) {
        Ok(contents) => {
            file::publish(db, &draft, path).map_err(unusable)?;
            Ok(contents)
        }
        Err(error) => {
            drop(db);
            file::remove_draft(&draft);
            Err(error)
        }
    }
}

fn fill<R: Read>(
    db: &Connection,
    mut archive: ArchiveReader<R>,
    load: &Load,
    schema: u32,
) -> Result<ArchiveContents, ArchiveError> {
    let run = |sql: &str| db.execute_batch(sql).map_err(failed("transaction"));
    // Rows come in the order of the tables' names; PRAGMA foreign_key_check below verifies them.
    run("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")?;
    let tables = tables_at(schema)?;
    for step in &MIGRATIONS[..schema as usize] {
        run(step)?;
    }
    let mut insert = None;
    let contents = loop {
        match archive.next_line()? {
            Line::Table(table) => {
                let known = tables.iter().find(|known| known.name == table.name);
                let fits = |known: &&Table| table.columns.iter().all(|column| known.columns.contains(column));
                if known.filter(fits).is_none() {
                    let unknown = format!("{} has columns that schema {schema} does not have", table.name);
                    return Err(ArchiveError::Damaged(unknown));
                }
                insert = Some(db.prepare(&insert_into(&table)).map_err(failed("archive"))?);
            }
            Line::Row(row) => {
                let insert = insert.as_mut();
                let insert =
                    insert.ok_or_else(|| ArchiveError::Damaged("a row without a table".to_owned()))?;
                let damaged = |error: rusqlite::Error| ArchiveError::Damaged(error.to_string());
                insert.execute(params_from_iter(&row)).map_err(damaged)?;
            }
            Line::End(contents) => break contents,
        }
    };
    drop(insert);
    for step in &MIGRATIONS[schema as usize..] {
        run(step)?;
    }
    archive.header().check_instances(instances(db).map_err(failed("instances"))?)?;
    end_sessions(db, load)?;
    for (instance, entry) in &load.audit {
        let entry = audit_log::insert(*instance, entry)?;
        rows(db, entry.sql, &entry.params)?;
    }
    let broken = db.prepare("PRAGMA foreign_key_check").and_then(|mut check| check.exists([]));
    if broken.map_err(failed("archive"))? {
        return Err(ArchiveError::Damaged("rows refer to rows that it does not contain".to_owned()));
    }
    db.execute("UPDATE schema_version SET version = ?1 WHERE id = 1", [MIGRATIONS.len() as u32])
        .map_err(failed("schema_version"))?;
    run("COMMIT")?;
    Ok(contents)
}

fn instances(db: &Connection) -> rusqlite::Result<Vec<ArchivedInstance>> {
    let mut select = db.prepare(INSTANCES)?;
    let rows = select.query_map([], |row| {
        Ok(ArchivedInstance { id: row.get(0)?, environment: row.get(1)?, host: row.get(2)? })
    })?;
    rows.collect()
}

/// Checks every page and index.
pub(crate) fn check_integrity(path: &Path) -> Result<(), StoreError> {
    let check = || -> rusqlite::Result<String> {
        open_reader(path)?.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    };
    match check().map_err(failed("file"))?.as_str() {
        "ok" => Ok(()),
        found => Err(StoreError::Unusable { path: path.display().to_string(), reason: found.to_owned() }),
    }
}

fn insert_into(table: &Table) -> String {
    let places: Vec<String> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.name, table.column_list(), places.join(", "))
}

fn end_sessions(db: &Connection, load: &Load) -> Result<(), ArchiveError> {
    let Some(at) = load.end_sessions else { return Ok(()) };
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let mut select = db.prepare(NEWEST_SETTINGS)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    for (instance, document) in read().map_err(failed("settings"))? {
        let (version, document, from) = successor(&document, at)?;
        let row = [Value::from(instance), Value::from(version), Value::from(document), Value::from(from)];
        db.execute(&Dialect::Sqlite.text(SAVE_SETTINGS), params_from_iter(&row))
            .map_err(failed("settings"))?;
    }
    for sql in FORGOTTEN_ATTEMPTS.iter().chain([&REVOKE_TICKETS]) {
        db.execute(sql, []).map_err(failed("archive"))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "archive_tests.rs"]
pub(crate) mod tests;
