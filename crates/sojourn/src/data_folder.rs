//! The data folder: who may look into it, the master key, and who uses it now.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::failure::{Exit, Failure};

const DATABASE: &str = "dev.db";
const MASTER_KEY: &str = "master.key";
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

/// A folder that this process holds; nobody else can open it until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    pub master_key: MasterKey,
    /// Whether there was a database before.
    pub existing: bool,
    _lock: File,
    _temporary: Option<TempDir>,
}

impl DataFolder {
    /// Opens the folder, or creates it with a new master key.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
            .map_err(|error| unusable(path, "create the data folder", &error))?;
        let lock = lock(path)?;
        ignore_in_git(path)?;
        let existing = path.join(DATABASE).exists();
        let master_key = master_key(path, existing)?;
        Ok(Self { path: path.to_owned(), master_key, existing, _lock: lock, _temporary: None })
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

    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
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

fn master_key(folder: &Path, existing: bool) -> Result<MasterKey, Failure> {
    let path = folder.join(MASTER_KEY);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && existing => Err(Failure::new(
            Exit::Other,
            "master_key_missing",
            format!("{} is missing beside an existing database", path.display()),
        )
        .because("it encrypts the signing keys in the database; a new one could not read them")
        .next(format!("restore {MASTER_KEY} from a backup, or start over by deleting {}", folder.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path),
        Err(error) => Err(unusable(&path, "read the master key", &error)),
    }
}

fn parse(path: &Path, text: &str) -> Result<MasterKey, Failure> {
    let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(MasterKey).ok_or_else(|| {
        Failure::new(Exit::Other, "master_key_invalid", format!("{} is not a master key", path.display()))
            .because("it must hold 32 bytes as base64 text on one line")
            .next("restore the file from a backup")
    })
}

/// Writes a new key so that it is whole or absent, also after a power cut.
fn create(path: &Path) -> Result<MasterKey, Failure> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| {
        Failure::new(Exit::Other, "no_randomness", "cannot create a master key")
            .because("the system's source of randomness failed")
            .next("check that getrandom(2) works for this process")
    })?;
    write_private(path, &format!("{}\n", STANDARD.encode(key)))
        .map_err(|error| unusable(path, "write the master key", &error))?;
    Ok(MasterKey(key))
}

/// Replaces a file by one that only this user may read.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Temporary files are created with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
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

    #[test]
    fn a_new_folder_is_private_and_ignored_by_git() {
        let (_outer, path) = folder();
        let opened = DataFolder::open(&path).expect("a new folder");
        assert!(!opened.existing);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(MASTER_KEY)), 0o600);
        assert_eq!(fs::read_to_string(path.join(".gitignore")).expect("file"), "*\n");
    }

    #[test]
    fn a_second_start_reads_the_same_key() {
        let (_outer, path) = folder();
        let first = DataFolder::open(&path).expect("first").master_key;
        fs::write(path.join(DATABASE), "").expect("write");
        let second = DataFolder::open(&path).expect("second");
        assert!(second.existing);
        assert!(first == second.master_key);
    }

    #[test]
    fn a_database_without_its_key_refuses_the_start_and_makes_no_second_key() {
        let (_outer, path) = folder();
        drop(DataFolder::open(&path).expect("first"));
        fs::write(path.join(DATABASE), "").expect("write");
        fs::remove_file(path.join(MASTER_KEY)).expect("remove");
        let failure = DataFolder::open(&path).expect_err("no key");
        assert_eq!(failure.code, "master_key_missing");
        assert!(!path.join(MASTER_KEY).exists());
    }

    #[test]
    fn a_damaged_key_is_refused_and_kept() {
        let (_outer, path) = folder();
        drop(DataFolder::open(&path).expect("first"));
        fs::write(path.join(MASTER_KEY), "c2hvcnQ=\n").expect("write");
        assert_eq!(DataFolder::open(&path).expect_err("short key").code, "master_key_invalid");
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
        assert!(path.join(MASTER_KEY).exists());
        drop(opened);
        assert!(!path.exists());
    }
}
