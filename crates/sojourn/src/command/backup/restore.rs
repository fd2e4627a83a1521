//! `sojourn backup restore`, and what it has in common with `sojourn import instance`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sojourn_core::audit::{Act, Action, AuditEntry};
use sojourn_core::id::{CommitId, InstanceId};
use sojourn_core::time::Moment;
use sojourn_service::{Clock as _, Rng};
use sojourn_store::{
    ArchiveContents, ArchiveError, ArchiveHeader, ArchiveReader, ArchivedInstance, Database, Load,
};

use super::DatabaseArguments;
use super::create::utc;
use crate::archive_file::{self, DecryptionArguments};
use crate::clock::SystemClock;
use crate::command::{by_command_line, flags};
use crate::config::{Config, Sources};
use crate::data_folder::{DataFolder, MasterKey, database_in, development_database_in, write_new_private};
use crate::database::{self, master_key_check, shown};
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// File that `sojourn backup create` wrote
    file: PathBuf,
    #[command(flatten)]
    decryption: DecryptionArguments,
    /// Leave sessions open that were open in the backup, also those that were ended since then
    #[arg(long)]
    keep_sessions: bool,
    #[command(flatten)]
    target: DatabaseArguments,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Where an archive is loaded, and how.
#[derive(Debug)]
pub struct Target<'a> {
    pub database: &'a DatabaseArguments,
    pub keep_sessions: bool,
    /// What the audit log calls it.
    pub action: Action,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    pub header: ArchiveHeader,
    pub contents: ArchiveContents,
    pub database: String,
    /// The file that the master key was written to.
    pub key_file: Option<String>,
}

pub async fn run(arguments: &RestoreArguments) -> Result<(), Failure> {
    let archive = archive_file::open(&arguments.file, &arguments.decryption)?;
    let target = Target {
        database: &arguments.target,
        keep_sessions: arguments.keep_sessions,
        action: Action::InstanceRestored,
    };
    let loaded = load(&arguments.file, archive, &target).await?;
    if arguments.json {
        return output::line(&loaded.json(arguments.keep_sessions).to_string());
    }
    output::line(&loaded.database)?;
    output::note(&loaded.text());
    output::note(match arguments.keep_sessions {
        true => {
            "sessions that were ended after the backup are open again:\n  sojourn sessions revoke --all, when the server runs, ends them"
        }
        false => "all sessions were ended: everybody signs in again",
    });
    output::note("changes after the backup are lost: bans, passwords, revoked keys (docs/backup.md)");
    Ok(())
}

impl Loaded {
    pub fn json(&self, kept_sessions: bool) -> serde_json::Value {
        json!({
            "database": self.database,
            "rows": self.contents.total(),
            "tables": self.contents.rows,
            "created_at": self.header.created_at,
            "schema": self.header.schema,
            "master_key": self.key_file,
            "sessions_kept": kept_sessions,
        })
    }

    pub fn text(&self) -> String {
        let (rows, at) = (self.contents.total(), utc(self.header.created_at));
        let key =
            self.key_file.as_ref().map_or(String::new(), |file| format!("\nthe master key is in {file}"));
        format!("{rows} rows as of {at}{key}")
    }
}

/// Loads an archive into the target: all of it, or nothing.
pub async fn load<R: std::io::Read>(
    file: &Path,
    archive: ArchiveReader<R>,
    target: &Target<'_>,
) -> Result<Loaded, Failure> {
    let header = archive.header().clone();
    let included = archive_file::included_key(file, &header)?;
    let DatabaseArguments { database, data, config } = target.database;
    let given = flags([("--database", "database", database), ("--data", "data", data)]);
    let mut config = Config::load(&Sources::of_this_process(config.clone(), given)?)?;
    if data.is_some() && database.is_none() {
        // A folder was named, so a server that the configuration names is not meant.
        config.server = None;
        config.missing_server = None;
    }
    config.require_database()?;
    let (database, folder) = match &config.server {
        Some(server) => (Database::Server(server.value.clone()), DataFolder::share(&config.data)?),
        None => {
            let folder = DataFolder::open(&config.data)?;
            (empty_file(&header, &folder)?, folder)
        }
    };
    let key_file = bring_key(&header, included, &config, &folder)?;
    let end_sessions = (!target.keep_sessions).then(|| Moment::real(SystemClock.now()));
    let audit = entries(file, &header, target)?;
    match database.load(archive, &Load { end_sessions, audit }).await {
        Ok(contents) => {
            let key_file = key_file.as_deref().map(shown);
            Ok(Loaded { header, contents, database: database::name(&database), key_file })
        }
        Err(error) => {
            if let Some(key_file) = key_file {
                let _ = std::fs::remove_file(key_file);
            }
            Err(archive_file::failed(file, &database, error))
        }
    }
}

/// What the audit log of each instance gets.
fn entries(
    file: &Path,
    header: &ArchiveHeader,
    target: &Target<'_>,
) -> Result<Vec<(InstanceId, AuditEntry)>, Failure> {
    let now = SystemClock.now();
    let entry = |instance: &ArchivedInstance| {
        let id: InstanceId = instance.id.parse().map_err(|_| {
            let why = "its first line has an instance without an id".to_owned();
            archive_file::unloaded(file, ArchiveError::Damaged(why))
        })?;
        let act = Act::on(target.action, id).field("as_of", (), utc(header.created_at)).field(
            "sessions_kept",
            (),
            target.keep_sessions,
        );
        let commit = CommitId::generate(now, &mut Rng::System.handle());
        Ok((id, act.entry(&by_command_line(), commit, now)))
    };
    header.instances.iter().map(entry).collect()
}

/// The file of the embedded database, which must not exist.
fn empty_file(header: &ArchiveHeader, folder: &DataFolder) -> Result<Database, Failure> {
    let is_production = header.instances.iter().any(|instance| instance.environment == "production");
    let production = database_in(folder.path(), true);
    for path in [&production, &development_database_in(folder.path())] {
        if path.exists() {
            return Err(Failure::new(Exit::Rejected, "target_not_empty", "nothing was loaded")
                .because(format!("{} exists already", shown(path)))
                .next("give --data an empty folder, or move that file away"));
        }
    }
    Ok(Database::File(database_in(folder.path(), is_production)))
}

/// Makes sure that the server will have the master key of the archive. Returns the file that it was
/// written to, if it came with the archive.
fn bring_key(
    header: &ArchiveHeader,
    included: Option<MasterKey>,
    config: &Config,
    folder: &DataFolder,
) -> Result<Option<PathBuf>, Failure> {
    let there = database::given_master_key(config, folder.path())?;
    let wanted = header.master_key_check.as_deref();
    if let Some((key, from)) = there {
        if wanted.is_none_or(|wanted| wanted == master_key_check(&key)) {
            return Ok(None);
        }
        return Err(Failure::new(
            Exit::Usage,
            "master_key_wrong",
            format!("the master key from {from} is not that of the archive"),
        )
        .because("the signing keys in it were sealed with another one; nothing was loaded")
        .next("give the key that the server had: master_key_file (SOJOURN_MASTER_KEY_FILE), or another data folder"));
    }
    let Some(key) = included else {
        return Err(Failure::new(Exit::Usage, "master_key_missing", "the master key is missing")
            .because("it is not in the archive, and the signing keys there cannot be used without; nothing was loaded")
            .next(format!(
                "put the key that the server had into {}, or name it: master_key_file (SOJOURN_MASTER_KEY_FILE)",
                shown(&folder.master_key_path())
            )));
    };
    let path = folder.master_key_path();
    write_new_private(&path, &format!("{}\n", key.text())).map_err(|error| {
        Failure::new(Exit::Other, "file_not_writable", format!("cannot write {}", shown(&path)))
            .because(error.to_string())
            .next("give --data a folder with enough space that this user may write; nothing was loaded")
    })?;
    Ok(Some(path))
}
