//! Which database a server uses, and the master key that belongs to it.

use std::path::Path;

use sojourn_store::{Database, Engine as _, MigrationMode, Store, StoreError};

use crate::config::{Config, GivenKey};
use crate::data_folder::{
    DataFolder, MASTER_KEY, MasterKey, database_in, development_database_in, master_key_in, missing,
};
use crate::failure::{Exit, Failure};

/// An opened database with its key.
#[derive(Debug)]
pub struct Opened {
    pub database: Database,
    pub store: Store,
    pub master_key: MasterKey,
    pub previous_master_key: Option<MasterKey>,
    /// Where the key is from.
    pub key_from: String,
    /// Whether there was an instance before.
    pub existing: bool,
}

/// The database that the configuration names; the embedded one is in `folder`.
pub fn named(config: &Config, folder: &Path) -> Result<Database, Failure> {
    config.require_database()?;
    if let Some(server) = &config.server {
        return Ok(Database::Server(server.value.clone()));
    }
    let (path, other) = (database_in(folder, config.is_production()), development_database_in(folder));
    if config.is_production() && !path.exists() && other.exists() {
        return Err(Failure::new(
            Exit::Usage,
            "environment_differs",
            format!("{} holds a development instance", shown(folder)),
        )
        .because("test accounts and keys that were printed must not get into production")
        .next("give --data (data in the configuration) another folder"));
    }
    Ok(Database::File(path))
}

/// Opens it, and gets the key. A new key is made only for a database that holds nothing yet.
pub async fn open(
    database: Database,
    config: &Config,
    folder: &DataFolder,
    older: MigrationMode,
) -> Result<Opened, Failure> {
    let key = |existing: bool| master_key(&database, config, folder, existing);
    let failed = |error: StoreError| failed(&database, &error);
    let (store, master_key, existing) = match &database {
        // The key comes first: what is made is sealed with it.
        Database::File(path) => {
            let existing = path.exists();
            let master_key = key(existing)?;
            (database.open(older).await.map_err(failed)?, master_key, existing)
        }
        // Only the server knows whether there is something that needs the key.
        Database::Server(_) => {
            let store = database.open(older).await.map_err(failed)?;
            let existing = !store.instances().await.map_err(failed)?.is_empty();
            let master_key = key(existing)?;
            (store, master_key, existing)
        }
    };
    let key_from = match &config.master_key {
        Some(key) => match &key.value {
            GivenKey::In(path) => shown(path),
            GivenKey::Itself(_) => key.origin.to_string(),
        },
        None => shown(&folder.master_key_path()),
    };
    let previous = config.previous_master_key.as_ref();
    let previous_master_key = previous.map(|file| master_key_in(&file.value)).transpose()?;
    Ok(Opened { database, store, master_key, previous_master_key, key_from, existing })
}

fn master_key(
    database: &Database,
    config: &Config,
    folder: &DataFolder,
    existing: bool,
) -> Result<MasterKey, Failure> {
    match config.master_key.as_ref().map(|key| &key.value) {
        Some(GivenKey::Itself(key)) => Ok(key.clone()),
        Some(GivenKey::In(path)) => master_key_in(path),
        None => folder.master_key(existing.then_some(database)),
    }
}

/// The master key that the configuration names or the data folder holds, and where it is from.
pub fn given_master_key(config: &Config, folder: &Path) -> Result<Option<(MasterKey, String)>, Failure> {
    let in_folder = folder.join(MASTER_KEY);
    match &config.master_key {
        Some(key) => match &key.value {
            GivenKey::Itself(itself) => Ok(Some((itself.clone(), key.origin.to_string()))),
            GivenKey::In(path) => Ok(Some((master_key_in(path)?, shown(path)))),
        },
        None if in_folder.exists() => Ok(Some((master_key_in(&in_folder)?, shown(&in_folder)))),
        None => Ok(None),
    }
}

/// The master key of a database that exists, and whether it is the one in the data folder.
pub fn existing_master_key(database: &Database, config: &Config) -> Result<(MasterKey, bool), Failure> {
    match given_master_key(config, &config.data)? {
        Some((key, _)) => Ok((key, config.master_key.is_none())),
        None => Err(missing(&config.data.join(MASTER_KEY), database)),
    }
}

/// A text by which the key can be recognised, and that says nothing else about it.
pub fn master_key_check(key: &MasterKey) -> String {
    let derived = sojourn_service::MasterKey::new(key.0).derive("archive check");
    derived[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The database cannot be used: what to do next depends on why.
pub fn failed(database: &Database, error: &StoreError) -> Failure {
    let failure = |code: &str, why: String, next: &str| {
        Failure::new(Exit::Other, code, format!("cannot use the database {}", name(database)))
            .because(why)
            .next(next)
    };
    match error {
        StoreError::NewerSchema { found, known } => failure(
            "schema_newer",
            format!("it has schema {found}, and this version knows {known}"),
            "start the newer version again, or restore a backup from before it was migrated",
        ),
        StoreError::OlderSchema { found, known } => failure(
            "schema_older",
            format!("it has schema {found}, this version needs {known}, and --no-migrate leaves it so"),
            "sojourn migrate up, for the same database; or start without --no-migrate",
        ),
        StoreError::Unavailable(reason) => failure(
            "database_unavailable",
            reason.clone(),
            "check that it runs and can be reached from here, then start again; nothing was changed",
        ),
        StoreError::Unusable { reason, .. } => {
            failure("database_unusable", reason.clone(), "correct this and start again; nothing was changed")
        }
        StoreError::Corrupt { .. } => {
            failure("database_corrupt", error.to_string(), "restore a backup; nothing was changed")
        }
    }
}

/// The database as people are shown it: without its password.
pub fn name(database: &Database) -> String {
    match database {
        Database::File(path) => shown(path),
        Database::Server(server) => server.to_string(),
    }
}

/// A path below the working directory is shown from there.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(relative) => format!("./{}", relative.display()),
        Err(_) => path.display().to_string(),
    }
}
