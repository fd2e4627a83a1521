//! Archives of a PostgreSQL database: read in one snapshot, loaded in one transaction.
//!
//! Statements are not prepared, and rows are read by a cursor, so that both work behind a pooler
//! and need little memory.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    pin::pin,
};

use deadpool_postgres::Object;
use futures_util::TryStreamExt as _;
use tokio_postgres::{Error, Row as PgRow, types::Type};

use super::{
    failure::{failed, told},
    migrate::{self, MIGRATIONS},
    pool,
    url::ServerUrl,
};
use crate::{
    archive::{
        ArchiveContents, ArchiveError, ArchiveReader, ArchiveWriter, ArchivedInstance, ColumnType,
        FILLED_IN_POSTGRES, FORGOTTEN_ATTEMPTS, INSTANCES, Line, Load, MARK_CLOSED_ACTIVITY, NEWEST_SETTINGS,
        POSTGRES_SEQ, REVOKE_TICKETS, SAVE_SETTINGS, Table, successor,
    },
    error::StoreError,
    sql::{audit_log, value::Value},
    sqlite::archive::tables_at,
};

/// Rows per FETCH.
const FETCHED: usize = 1_000;
/// The maximum number of parameters per INSERT; the protocol allows 65,535.
const PARAMETERS: usize = 4_000;

/// A large table, or a slow disk, may take longer than a request may.
const WITHOUT_TIMEOUTS: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn broken(error: Error) -> StoreError {
    failed(&error).into()
}

/// A read-only transaction that sees one state of the database. Its connection is closed with it,
/// because its pool is gone.
pub(crate) struct ServerSnapshot {
    client: Object,
    schema: u32,
}

impl std::fmt::Debug for ServerSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerSnapshot(schema {})", self.schema)
    }
}

impl ServerSnapshot {
    pub(crate) async fn open(server: &ServerUrl) -> Result<Self, StoreError> {
        let (pool, _) = pool::open(server).await?;
        let client = pool::first_connection(&pool, server).await?;
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {WITHOUT_TIMEOUTS}");
        client.batch_execute(&begin).await.map_err(broken)?;
        let found = migrate::schema(&client, server).await?;
        match found.found {
            0 => Err(StoreError::Unusable {
                path: server.to_string(),
                reason: "there is nothing in it".to_owned(),
            }),
            schema if schema > found.known => {
                Err(StoreError::NewerSchema { found: schema, known: found.known })
            }
            schema => Ok(Self { client, schema }),
        }
    }

    pub(crate) const fn schema(&self) -> u32 {
        self.schema
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = self.client.query_typed(sql, &[]).await.map_err(broken)?;
        rows.iter().map(cells).collect()
    }

    /// Writes the rows of a table.
    pub(crate) async fn rows<W: Write>(
        &self,
        table: &Table,
        out: &mut ArchiveWriter<W>,
    ) -> Result<(), ArchiveError> {
        let declare =
            format!("DECLARE archived NO SCROLL CURSOR FOR SELECT {} FROM {}", selected(table), table.name);
        self.client.batch_execute(&declare).await.map_err(broken)?;
        let fetch = format!("FETCH {FETCHED} FROM archived");
        loop {
            let rows = self.client.query_typed(&fetch, &[]).await.map_err(broken)?;
            for row in &rows {
                out.row(&cells(row)?)?;
            }
            if rows.len() < FETCHED {
                break;
            }
        }
        self.client.batch_execute("CLOSE archived").await.map_err(broken)?;
        Ok(())
    }
}

/// The columns of a table as an archive has them.
fn selected(table: &Table) -> String {
    let (numbered_table, numbered_column, number) = POSTGRES_SEQ;
    let column = |(name, _): &(String, ColumnType)| match name.as_str() {
        name if table.name == numbered_table && name == numbered_column => format!("{number} AS {name}"),
        name => name.to_owned(),
    };
    table.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn cells(row: &PgRow) -> Result<Vec<Value>, StoreError> {
    let cell = |index: usize| {
        let read = match *row.columns()[index].type_() {
            Type::BOOL => {
                row.try_get::<_, Option<bool>>(index).map(|yes| yes.map(|yes| Value::Int(yes.into())))
            }
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index).map(|bytes| bytes.map(Value::Blob)),
            Type::TEXT => row.try_get::<_, Option<String>>(index).map(|text| text.map(Value::from)),
            _ => row.try_get::<_, Option<i64>>(index).map(|number| number.map(Value::Int)),
        };
        read.map(|value| value.unwrap_or(Value::Null)).map_err(broken)
    };
    (0..row.len()).map(cell).collect()
}

/// Loads an archive into a database without data, in one transaction.
pub(crate) async fn load<R: Read>(
    server: &ServerUrl,
    archive: ArchiveReader<R>,
    load: &Load,
) -> Result<ArchiveContents, ArchiveError> {
    let (known, wanted) = (MIGRATIONS.len() as u32, archive.header().schema);
    if wanted > known {
        return Err(ArchiveError::Newer { what: "schema", found: wanted, known });
    }
    let (pool, _) = pool::open(server).await?;
    let mut client = pool::first_connection(&pool, server).await?;
    // Dropped without a commit, it is rolled back.
    let transaction = client.transaction().await.map_err(broken)?;
    let filled = Filling { transaction: &transaction, server, booleans: BTreeSet::new() };
    let contents = filled.fill(archive, load, wanted).await?;
    transaction.commit().await.map_err(broken)?;
    Ok(contents)
}

struct Filling<'a> {
    transaction: &'a deadpool_postgres::Transaction<'a>,
    server: &'a ServerUrl,
    /// Table and column of each boolean, which an archive stores as an integer.
    booleans: BTreeSet<(String, String)>,
}

impl Filling<'_> {
    async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.transaction.batch_execute(sql).await.map_err(broken)
    }

    async fn fill<R: Read>(
        mut self,
        mut archive: ArchiveReader<R>,
        load: &Load,
        schema: u32,
    ) -> Result<ArchiveContents, ArchiveError> {
        self.run(WITHOUT_TIMEOUTS).await?;
        self.step_up_to(schema).await?;
        self.booleans = self.booleans().await?;
        let tables = tables_at(schema)?;
        let mut rows = Vec::new();
        let mut current: Option<Table> = None;
        let contents = loop {
            let line = archive.next_line()?;
            let full = |table: &Table| rows.len() >= PARAMETERS / table.columns.len().max(1);
            if let Some(table) = &current
                && (!matches!(line, Line::Row(_)) || full(table))
            {
                self.insert(table, &rows).await?;
                rows.clear();
            }
            match line {
                Line::Table(table) => {
                    let known = tables.iter().find(|known| known.name == table.name);
                    let fits =
                        |known: &&Table| table.columns.iter().all(|column| known.columns.contains(column));
                    if known.filter(fits).is_none() {
                        let unknown =
                            format!("{} has columns that schema {schema} does not have", table.name);
                        return Err(ArchiveError::Damaged(unknown));
                    }
                    current = Some(table);
                }
                Line::Row(row) => rows.push(row),
                Line::End(contents) => break contents,
            }
        };
        self.run(MARK_CLOSED_ACTIVITY).await?;
        for step in &MIGRATIONS[schema as usize..] {
            self.run(step).await?;
        }
        let instances = self.transaction.query_typed(INSTANCES, &[]).await.map_err(broken)?;
        let instances: Vec<Vec<Value>> = instances.iter().map(cells).collect::<Result<_, _>>()?;
        let instances = instances.iter().map(|row| ArchivedInstance::of(row)).collect();
        archive.header().check_instances(instances)?;
        self.end_sessions(load).await?;
        for (instance, entry) in &load.audit {
            let entry = audit_log::insert(*instance, entry)?;
            self.write(entry.sql.for_postgres().unwrap_or_default(), &entry.params).await?;
        }
        self.run(&format!("UPDATE schema_version SET version = {} WHERE id = 1", MIGRATIONS.len())).await?;
        Ok(contents)
    }

    /// Gives the database the schema of the archive. It may have a schema already, if all its
    /// tables are empty.
    async fn step_up_to(&self, schema: u32) -> Result<(), ArchiveError> {
        let unusable = |reason: String| StoreError::Unusable { path: self.server.to_string(), reason };
        self.run(migrate::SCHEMA_VERSION).await?;
        let found = self.number("SELECT version FROM schema_version WHERE id = 1 FOR UPDATE").await?;
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        let known = MIGRATIONS.len() as u32;
        if found > known {
            return Err(StoreError::NewerSchema { found, known }.into());
        }
        for table in tables_at(found)? {
            let count = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1) AS found", table.name);
            if self.number(&count).await? > 0 {
                return Err(ArchiveError::NotEmpty(format!("{} contains data already", self.server)));
            }
        }
        if found > schema {
            return Err(ArchiveError::NotEmpty(format!(
                "{} has schema {found} already, and the archive has schema {schema}; give a database without tables",
                self.server
            )));
        }
        for step in &MIGRATIONS[found as usize..schema as usize] {
            let ran = self.transaction.batch_execute(step).await;
            ran.map_err(|error| unusable(told(&error)))?;
        }
        Ok(())
    }

    async fn number(&self, sql: &str) -> Result<i64, StoreError> {
        let row = self.transaction.query_typed_one(sql, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(broken)
    }

    async fn booleans(&self) -> Result<BTreeSet<(String, String)>, StoreError> {
        let sql = "
            SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT)
            FROM information_schema.columns
            WHERE table_schema = current_schema() AND data_type = 'boolean'";
        let rows = self.transaction.query_typed(sql, &[]).await.map_err(broken)?;
        rows.iter()
            .map(|row| Ok((row.try_get(0).map_err(broken)?, row.try_get(1).map_err(broken)?)))
            .collect()
    }

    async fn insert(&self, table: &Table, rows: &[Vec<Value>]) -> Result<(), ArchiveError> {
        if rows.is_empty() {
            return Ok(());
        }
        let types: Vec<Type> =
            table.columns.iter().map(|(name, kind)| self.type_of(table, name, *kind)).collect();
        let added: Vec<(&str, &str)> = FILLED_IN_POSTGRES
            .iter()
            .filter(|(name, column, _)| {
                *name == table.name && !table.columns.iter().any(|(known, _)| known == column)
            })
            .map(|(_, column, expression)| (*column, *expression))
            .collect();
        let mut names = table.column_list();
        added.iter().for_each(|(column, _)| names.extend([", ", column]));
        let mut values = String::new();
        for row in 0..rows.len() {
            let places = (1..=types.len()).map(|place| format!("${}", row * types.len() + place));
            let places = places.chain(added.iter().map(|(_, expression)| (*expression).to_owned()));
            let comma = if row == 0 { "" } else { ", " };
            values += &format!("{comma}({})", places.collect::<Vec<_>>().join(", "));
        }
        let sql = format!("INSERT INTO {} ({names}) VALUES {values}", table.name);
        let cast = |(value, kind): (&Value, &Type)| match value {
            Value::Int(number) if *kind == Type::BOOL => (Value::Bool(*number != 0), kind.clone()),
            other => (other.clone(), kind.clone()),
        };
        let params: Vec<(Value, Type)> =
            rows.iter().flat_map(|row| row.iter().zip(&types).map(cast)).collect();
        let done = async {
            let params = params.iter().map(|(value, kind)| (value, kind.clone()));
            let mut replies = pin!(self.transaction.query_typed_raw(&sql, params).await?);
            while replies.try_next().await?.is_some() {}
            Ok(())
        };
        // The rows are the fault, unless the server is.
        let refused = |error: Error| match error.code() {
            Some(_) => ArchiveError::Damaged(format!("{}: {}", table.name, told(&error))),
            None => broken(error).into(),
        };
        done.await.map_err(refused)
    }

    fn type_of(&self, table: &Table, column: &str, kind: ColumnType) -> Type {
        match kind {
            ColumnType::Int if self.booleans.contains(&(table.name.clone(), column.to_owned())) => Type::BOOL,
            ColumnType::Int => Type::INT8,
            ColumnType::Text => Type::TEXT,
            ColumnType::Blob => Type::BYTEA,
        }
    }

    /// Runs a statement whose parameters are texts and integers.
    async fn write(&self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        let kind = |value: &Value| if matches!(value, Value::Int(_)) { Type::INT8 } else { Type::TEXT };
        let params = params.iter().map(|value| (value, kind(value)));
        let written = self.transaction.query_typed_raw(sql, params).await.map_err(broken)?;
        pin!(written).try_next().await.map_err(broken)?;
        Ok(())
    }

    async fn end_sessions(&self, load: &Load) -> Result<(), ArchiveError> {
        let Some(at) = load.end_sessions else { return Ok(()) };
        for row in &self.transaction.query_typed(NEWEST_SETTINGS, &[]).await.map_err(broken)? {
            let instance: String = row.try_get(0).map_err(broken)?;
            let (version, document, from) = successor(row.try_get(1).map_err(broken)?, at)?;
            let row = [Value::from(instance), Value::from(version), Value::from(document), Value::from(from)];
            self.write(SAVE_SETTINGS, &row).await?;
        }
        for sql in FORGOTTEN_ATTEMPTS.iter().chain([&REVOKE_TICKETS]) {
            self.run(sql).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
