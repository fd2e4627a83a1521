//! `sojourn backup verify`: a restore into a temporary database.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use sojourn_core::id::InstanceId;
use sojourn_store::{Database, Engine as _, Load, MigrationMode, StoreError};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::create::utc;
use crate::archive_file::{self, DecryptionArguments};
use crate::command::flags;
use crate::config::{Config, Sources};
use crate::data_folder::{DataFolder, MasterKey};
use crate::database::{self, master_key_check, shown};
use crate::failure::{Exit, Failure};
use crate::output::{self, printable};
use crate::shutdown::Signals;

#[derive(Clone, Debug, Args)]
pub struct VerifyArguments {
    /// File that `sojourn backup create` or `sojourn export` wrote
    file: PathBuf,
    #[command(flatten)]
    decryption: DecryptionArguments,
    /// Data folder with the master key, if the backup does not include it
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file that names the master key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Checks in a thread of its own, because a load does not yield: a signal is seen meanwhile, and removes
/// the decrypted data.
pub async fn run(arguments: &VerifyArguments) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    // Of mode 0700, and removed at the end.
    let folder = DataFolder::temporary()
        .map_err(|failure| failure.next("set TMPDIR to a folder that this user may write"))?;
    let checking = {
        let (arguments, folder, runtime) = (arguments.clone(), folder.path().to_owned(), Handle::current());
        spawn_blocking(move || runtime.block_on(check(&arguments, &folder)))
    };
    let summary = tokio::select! {
        checked = checking => match checked {
            Ok(checked) => checked?,
            Err(error) => resume_unwind(error.into_panic()),
        },
        code = signals.next_or_hangup() => {
            remove(folder.path()).await;
            output::note("interrupted: what was decrypted is removed");
            std::process::exit(code);
        }
    };
    output::line(&summary)
}

/// Again while the other thread makes files; none can be made once the folder is gone.
async fn remove(folder: &Path) {
    for _ in 0..100 {
        match std::fs::remove_dir_all(folder) {
            Err(_) if folder.exists() => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return,
        }
    }
}

/// Loads the archive into `folder`, and checks what was loaded.
async fn check(arguments: &VerifyArguments, folder: &Path) -> Result<String, Failure> {
    let file = &arguments.file;
    let archive = archive_file::open(file, &arguments.decryption)?;
    let header = archive.header().clone();
    let included = archive_file::included_key(file, &header)?;
    let database = Database::File(folder.join("verify.db"));
    let failed = |error: StoreError| database::failed(&database, &error);
    let loaded = database.load(archive, &Load::default()).await;
    let contents = loaded.map_err(|error| archive_file::failed(file, &database, error))?;
    database.check_integrity().map_err(failed)?;
    let key = match included {
        Some(key) => Some(key),
        None => given_key(arguments)?.filter(|key| header.master_key_check == Some(master_key_check(key))),
    };
    let store = database.open(MigrationMode::Refuse).await.map_err(failed)?;
    let instances = store.instances().await.map_err(failed)?;
    if instances.is_empty() {
        return Err(unusable(file, "it holds no instance".to_owned()));
    }
    for instance in instances {
        store.settings(instance.id).await.map_err(failed)?;
        if let Some(key) = &key {
            check_signing_keys(&store, instance.id, key, file).await?;
        }
    }
    store.close().await.map_err(failed)?;
    let key_state = match (&header.master_key, &key) {
        (Some(_), _) => "included, and opens the signing keys",
        (None, Some(_)) => "not included; the one here opens the signing keys",
        (None, None) => "not included, and not checked: it is not here",
    };
    let instances: Vec<&str> = header.instances.iter().map(|instance| instance.host.as_str()).collect();
    if arguments.json {
        return Ok(json!({
            "file": file.display().to_string(),
            "created_at": header.created_at,
            "program": header.program,
            "schema": header.schema,
            "engine": header.engine,
            "instances": header.instances,
            "rows": contents.total(),
            "tables": contents.rows,
            "master_key_included": header.master_key.is_some(),
            "master_key_checked": key.is_some(),
        })
        .to_string());
    }
    Ok(format!(
        "{} is good\nmade         {} by sojourn {} on {}\ninstance     {}\nschema       {}\nrows         {}\nmaster key   {key_state}",
        shown(file),
        utc(header.created_at),
        printable(&header.program),
        printable(&header.engine),
        printable(&instances.join(", ")),
        header.schema,
        contents.total(),
    ))
}

/// What the archive holds cannot be used, although it is whole.
fn unusable(file: &Path, why: String) -> Failure {
    Failure::new(Exit::Other, "archive_damaged", format!("{} cannot be used", shown(file)))
        .because(why)
        .next("make another backup")
}

fn given_key(arguments: &VerifyArguments) -> Result<Option<MasterKey>, Failure> {
    let given = flags([("--data", "data", &arguments.data)]);
    let config = Config::load(&Sources::of_this_process(arguments.config.clone(), given)?)?;
    Ok(database::given_master_key(&config, &config.data)?.map(|(key, _)| key))
}

async fn check_signing_keys(
    store: &sojourn_store::Store,
    instance: InstanceId,
    key: &MasterKey,
    file: &Path,
) -> Result<(), Failure> {
    let unreadable = |why| unusable(file, why);
    let key = sojourn_service::MasterKey::new(key.0);
    let keys = store.signing_keys(instance).await.map_err(|error| unreadable(error.to_string()))?;
    for row in &keys {
        let opened = key.open(&row.kid, &row.sealed_private_key);
        opened.map_err(|error| unreadable(format!("signing key {}: {error}", row.kid)))?;
    }
    if keys.is_empty() { Err(unreadable("it has no signing key".to_owned())) } else { Ok(()) }
}
