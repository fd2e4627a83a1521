//! A snapshot of a database, written as an archive, and the load of an archive into a database.

use std::io::{Read, Write};

use crate::{
    archive::{
        ArchiveContents, ArchiveError, ArchiveHeader, ArchiveNotes, ArchiveReader, ArchiveWriter,
        ArchivedInstance, ColumnType, INSTANCES, Load,
    },
    database::Database,
    error::StoreError,
    postgres::archive::{self as server, ServerSnapshot},
    sql::value::Value,
    sqlite::archive::{self as file, FileSnapshot},
};

/// One consistent state of a database. Other programs may write meanwhile.
#[derive(Debug)]
pub struct Snapshot(Source);

#[derive(Debug)]
enum Source {
    File(FileSnapshot),
    Server(Box<ServerSnapshot>),
}

impl Database {
    /// Takes a snapshot. A file may be in use by a server.
    ///
    /// # Errors
    /// The address is not a database of Sojourn, has no schema or a newer one, or does not respond.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(match self {
            Self::File(path) => Source::File(FileSnapshot::open(path)?),
            Self::Server(server) => Source::Server(Box::new(ServerSnapshot::open(server).await?)),
        }))
    }

    /// Checks every page and index of an embedded database, which takes as long as reading it.
    ///
    /// # Errors
    /// It is damaged. A server checks its own pages, so nothing is done there.
    pub fn check_integrity(&self) -> Result<(), StoreError> {
        match self {
            Self::File(path) => file::check_integrity(path),
            Self::Server(_) => Ok(()),
        }
    }

    /// Creates the database from an archive: at the schema version of the archive first, then
    /// migrated to this version.
    ///
    /// # Errors
    /// The archive is incomplete, damaged or newer, or the database contains something.
    pub async fn load<R: Read>(
        &self,
        archive: ArchiveReader<R>,
        load: &Load,
    ) -> Result<ArchiveContents, ArchiveError> {
        match self {
            Self::File(path) => file::load(path, archive, load),
            Self::Server(server) => server::load(server, archive, load).await,
        }
    }
}

impl Snapshot {
    /// The schema version.
    pub fn schema(&self) -> u32 {
        match &self.0 {
            Source::File(file) => file.schema(),
            Source::Server(server) => server.schema(),
        }
    }

    /// The instances.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn instances(&mut self) -> Result<Vec<ArchivedInstance>, StoreError> {
        let rows = self.query(INSTANCES, &[ColumnType::Text; 3]).await?;
        Ok(rows.iter().map(|row| ArchivedInstance::of(row)).collect())
    }

    /// Key id and sealed private key of each signing key, to check a master key.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn sealed_keys(&mut self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT kid, sealed_private_key FROM signing_keys";
        let rows = self.query(sql, &[ColumnType::Text, ColumnType::Blob]).await?;
        Ok(rows.iter().filter_map(|row| Some((row.first()?.text()?, row.get(1)?.blob()?))).collect())
    }

    async fn query(&mut self, sql: &str, types: &[ColumnType]) -> Result<Vec<Vec<Value>>, StoreError> {
        match &mut self.0 {
            Source::File(file) => file.query(sql, types),
            Source::Server(server) => server.query(sql).await,
        }
    }

    /// Writes all rows to `out`, and returns their numbers.
    ///
    /// # Errors
    /// The database does not respond, or `out` cannot be written.
    pub async fn write<W: Write>(
        mut self,
        notes: ArchiveNotes,
        out: W,
    ) -> Result<(ArchiveContents, W), ArchiveError> {
        let header = ArchiveHeader::new(self.schema(), self.engine(), self.instances().await?, notes);
        let mut writer = ArchiveWriter::begin(out, &header)?;
        for table in file::tables_at(header.schema)? {
            writer.table(&table)?;
            match &mut self.0 {
                Source::File(file) => file.rows(&table, &mut writer)?,
                Source::Server(server) => server.rows(&table, &mut writer).await?,
            }
        }
        Ok(writer.finish()?)
    }

    fn engine(&self) -> &'static str {
        match &self.0 {
            Source::File(_) => "sqlite",
            Source::Server(_) => "postgres",
        }
    }
}
