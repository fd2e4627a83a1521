//! The data folder: who may look into it, the master key, and who uses it now.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sojourn_store::Database;
use tempfile::{NamedTempFile, TempDir};

use crate::failure::{Exit, Failure};

const DATABASE: &str = "sojourn.db";
const DEVELOPMENT_DATABASE: &str = "dev.db";
/// The file of the master key in a data folder.
pub const MASTER_KEY: &str = "master.key";
const LOCK: &str = "lock";

/// Encrypts the signing keys at rest and derives the secret key of a development instance.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(pub [u8; 32]);

// Never shown, not even in a log of a failing assertion.
impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads 32 bytes as base64 text.
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok()).map(Self)
    }

    /// The text that [`Self::parse`] reads. It is secret.
    pub fn text(&self) -> String {
        STANDARD.encode(self.0)
    }
}

/// A folder that this process may use.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: Option<File>,
    _temporary: Option<TempDir>,
}

impl DataFolder {
    /// Opens or creates the folder for its database; nobody else can until it is dropped.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shared = Self::share(path)?;
        Ok(Self { _lock: Some(lock(path)?), ..shared })
    }

    /// Opens or creates the folder for everything but its database.
    pub fn share(path: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
            .map_err(|error| unusable(path, "create the data folder", &error))?;
        ignore_in_git(path)?;
        Ok(Self { path: path.to_owned(), _lock: None, _temporary: None })
    }

    /// A folder for a test server, removed when this value is dropped.
    pub fn temporary() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("sojourn-").tempdir().map_err(|error| {
            Failure::new(Exit::Other, "data_folder_unusable", "cannot create a temporary data folder")
                .because(error.to_string())
                .next("set TMPDIR to a folder that can be written, or give --data")
        })?;
        let opened = Self::open(folder.path())?;
        Ok(Self { _temporary: Some(folder), ..opened })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn master_key_path(&self) -> PathBuf {
        self.path.join(MASTER_KEY)
    }

    /// The master key; a new one only where there is no database that it would have to open.
    pub fn master_key(&self, existing: Option<&Database>) -> Result<MasterKey, Failure> {
        let path = self.master_key_path();
        match (fs::read_to_string(&path), existing) {
            (Ok(text), _) => parse(&path, &text),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => {
                Err(unusable(&path, "read the master key", &error))
            }
            (Err(_), None) => create(&path),
            (Err(_), Some(database)) => Err(missing(&path, database)),
        }
    }
}

/// Where the embedded database of a data folder is. A folder that holds production is one whoever asks:
/// no second database is made beside it.
pub fn database_in(folder: &Path, is_production: bool) -> PathBuf {
    let path = folder.join(DATABASE);
    if is_production || path.exists() { path } else { development_database_in(folder) }
}

/// Where that of a development instance is.
pub fn development_database_in(folder: &Path) -> PathBuf {
    folder.join(DEVELOPMENT_DATABASE)
}

/// The master key in a file that must be there.
pub fn master_key_in(path: &Path) -> Result<MasterKey, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::new(
            Exit::Other,
            "master_key_unreadable",
            format!("cannot read the master key in {}", path.display()),
        )
        .because(error.to_string())
        .next("give master_key_file a file that this user may read; a new key: openssl rand -base64 32")
    })?;
    parse(path, &text)
}

/// Two servers on one embedded database would each trust memory the other does not see.
fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| unusable(&path, "open the lock file", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
            return Err(Failure::new(
                Exit::Other,
                "data_folder_in_use",
                format!("another sojourn{who} is using {}", folder.display()),
            )
            .because("the embedded database belongs to one server at a time")
            .next("use the running one (its address: sojourn env --for json), stop it, or give --data"));
        }
        Err(TryLockError::Error(error)) => return Err(unusable(&path, "lock the data folder", &error)),
    }
    // Only for the message above; the lock itself is the kernel's and ends with the process.
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn ignore_in_git(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(".gitignore");
    if path.exists() {
        return Ok(());
    }
    fs::write(&path, "*\n").map_err(|error| unusable(&path, "write", &error))
}

/// The failure of a database whose master key is missing.
pub fn missing(path: &Path, database: &Database) -> Failure {
    let next = match database {
        Database::File(_) => format!(
            "restore {MASTER_KEY} from a backup, or start over by deleting {}",
            path.parent().unwrap_or(path).display()
        ),
        Database::Server(_) => "copy it from a node that has it, or name it: master_key_file \
             (SOJOURN_MASTER_KEY_FILE) or master_key (SOJOURN_MASTER_KEY)"
            .to_owned(),
    };
    Failure::new(
        Exit::Other,
        "master_key_missing",
        format!("{} is missing, and {database} is there already", path.display()),
    )
    .because("it encrypts the signing keys in the database; a new one could not read them")
    .next(next)
}

fn parse(path: &Path, text: &str) -> Result<MasterKey, Failure> {
    MasterKey::parse(text).ok_or_else(|| {
        Failure::new(Exit::Other, "master_key_invalid", format!("{} is not a master key", path.display()))
            .because("it must hold 32 bytes as base64 text on one line")
            .next("restore the file from a backup")
    })
}

/// Writes a new key so that it is whole or absent, also after a power cut. Of two that do so
/// at once in a shared folder both get the same.
fn create(path: &Path) -> Result<MasterKey, Failure> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| {
        Failure::new(Exit::Other, "no_randomness", "cannot create a master key")
            .because("the system's source of randomness failed")
            .next("check that getrandom(2) works for this process")
    })?;
    match write_new_private(path, &format!("{}\n", STANDARD.encode(key))) {
        Ok(()) => Ok(MasterKey(key)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => master_key_in(path),
        Err(error) => Err(unusable(path, "write the master key", &error)),
    }
}

/// Writes a file that only this user may read, and that must not exist.
pub fn write_new_private(path: &Path, text: &str) -> io::Result<()> {
    draft(path, text)?.persist_noclobber(path)?;
    sync_folder(path)
}

/// Replaces a file by one that only this user may read.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    draft(path, text)?.persist(path)?;
    sync_folder(path)
}

fn draft(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    // Temporary files are created with mode 0600.
    let mut file = NamedTempFile::new_in(folder_of(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn unusable(path: &Path, doing: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Other, "data_folder_unusable", format!("cannot {doing} ({})", path.display()))
        .because(error.to_string())
        .next("give --data a folder on a local disk that this user owns")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (TempDir, PathBuf) {
        let outer = tempfile::tempdir().expect("temporary folder");
        let path = outer.path().join("deep/.sojourn");
        (outer, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    fn key(path: &Path, existing: bool) -> Result<MasterKey, Failure> {
        let folder = DataFolder::open(path).expect("a folder");
        let database = Database::File(development_database_in(folder.path()));
        folder.master_key(existing.then_some(&database))
    }

    #[test]
    fn a_new_folder_is_private_and_ignored_by_git() {
        let (_outer, path) = folder();
        key(&path, false).expect("a new key");
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(MASTER_KEY)), 0o600);
        assert_eq!(fs::read_to_string(path.join(".gitignore")).expect("file"), "*\n");
    }

    #[test]
    fn a_second_start_reads_the_same_key() {
        let (_outer, path) = folder();
        let first = key(&path, false).expect("first");
        assert!(first == key(&path, true).expect("second"));
    }

    #[test]
    fn those_that_share_a_folder_and_start_at_once_get_one_key() {
        let (_outer, path) = folder();
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    DataFolder::share(&path).expect("a folder").master_key(None).expect("a key")
                })
            })
            .collect();
        let keys: Vec<MasterKey> = starts.into_iter().map(|start| start.join().expect("no panic")).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert!(master_key_in(&path.join(MASTER_KEY)).expect("stored") == keys[0]);
    }

    #[test]
    fn d11_a_database_without_its_key_refuses_the_start() {
        let (_outer, path) = folder();
        assert_eq!(key(&path, true).expect_err("no key").code, "master_key_missing");
        assert!(!path.join(MASTER_KEY).exists());
    }

    #[test]
    fn a_damaged_key_is_refused_and_kept() {
        let (_outer, path) = folder();
        key(&path, false).expect("first");
        fs::write(path.join(MASTER_KEY), "c2hvcnQ=\n").expect("write");
        assert_eq!(key(&path, false).expect_err("short key").code, "master_key_invalid");
        assert_eq!(fs::read_to_string(path.join(MASTER_KEY)).expect("file"), "c2hvcnQ=\n");
    }

    #[test]
    fn a_folder_belongs_to_one_server_at_a_time() {
        let (_outer, path) = folder();
        let first = DataFolder::open(&path).expect("first");
        let failure = DataFolder::open(&path).expect_err("in use");
        assert_eq!(failure.code, "data_folder_in_use");
        assert!(failure.what.contains(&std::process::id().to_string()), "{failure}");
        drop(first);
        DataFolder::open(&path).expect("free again");
    }

    #[test]
    fn a_temporary_folder_goes_with_its_server() {
        let opened = DataFolder::temporary().expect("temporary");
        let path = opened.path().to_owned();
        assert!(path.exists());
        drop(opened);
        assert!(!path.exists());
    }
}
