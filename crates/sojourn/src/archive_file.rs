//! Files with an archive: compressed, encrypted on request, and complete or absent.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sojourn_store::{ArchiveError, ArchiveHeader, ArchiveReader, Database};
use tempfile::NamedTempFile;

use crate::age::{self, AgeError, Encryptor, Identity, Passphrase, Recipient, SecretKey};
use crate::data_folder::MasterKey;
use crate::database::{self, master_key_check, shown};
use crate::failure::{Exit, Failure};

/// The first bytes of a compressed file (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// For whom a file is encrypted.
#[derive(Debug, Args)]
pub struct EncryptionArguments {
    /// Public key that can decrypt it, such as age1…; may be repeated
    #[arg(long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// File whose first line is the passphrase that decrypts it
    #[arg(long, value_name = "FILE", conflicts_with = "recipients")]
    passphrase_file: Option<PathBuf>,
}

/// How a file is decrypted.
#[derive(Clone, Debug, Args)]
pub struct DecryptionArguments {
    /// File with the secret key that decrypts it (AGE-SECRET-KEY-1…)
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// File whose first line is the passphrase that decrypts it
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    passphrase_file: Option<PathBuf>,
}

impl EncryptionArguments {
    /// Empty if the file is not to be encrypted.
    pub fn recipients(&self) -> Result<Vec<Recipient>, Failure> {
        if let Some(file) = &self.passphrase_file {
            return Ok(vec![Recipient::Passphrase(passphrase(file)?)]);
        }
        let parse = |text: &String| {
            Recipient::parse(text).ok_or_else(|| {
                let what = format!("\"{text}\" is not a public key");
                // Whoever gives the secret key by mistake must not find it in a log.
                let what = if text.to_lowercase().starts_with("age-secret") {
                    "a secret key was given"
                } else {
                    &what
                };
                Failure::new(Exit::Usage, "recipient_invalid", what)
                    .because("a recipient begins with age1")
                    .next("sojourn backup keygen --to backup.key prints the public key of a new pair")
            })
        };
        self.recipients.iter().map(parse).collect()
    }
}

impl DecryptionArguments {
    fn identity(&self) -> Result<Option<Identity>, Failure> {
        if let Some(file) = &self.passphrase_file {
            return Ok(Some(Identity::Passphrase(passphrase(file)?)));
        }
        let Some(file) = &self.identity else { return Ok(None) };
        let keys = SecretKey::parse_file(&read(file, "identity_unreadable")?).ok_or_else(|| {
            Failure::new(Exit::Usage, "identity_invalid", format!("{} holds no secret key", shown(file)))
                .because("each line is a key (AGE-SECRET-KEY-1…) or a comment (#)")
                .next("give the file that sojourn backup keygen or age-keygen wrote")
        })?;
        Ok(Some(Identity::Keys(keys)))
    }
}

fn passphrase(file: &Path) -> Result<Passphrase, Failure> {
    let text = read(file, "passphrase_unreadable")?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        let what = format!("{} holds no passphrase", shown(file));
        return Err(Failure::new(Exit::Usage, "passphrase_missing", what)
            .because("its first line is empty")
            .next("openssl rand -base64 32 > passphrase, and keep a copy elsewhere than the backups"));
    }
    Ok(Passphrase(line.to_owned()))
}

fn read(file: &Path, code: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::new(Exit::Usage, code, format!("cannot read {}", shown(file)))
            .because(error.to_string())
            .next("give a file that this user may read")
    })
}

/// A file that is being written. It appears under its name when it is complete and durable; dropped
/// before, it leaves nothing. One that exists is not replaced.
pub struct NewFile {
    path: PathBuf,
    draft: NamedTempFile,
    out: GzEncoder<Layer>,
}

enum Layer {
    Plain(BufWriter<File>),
    Encrypted(Box<Encryptor<BufWriter<File>>>),
}

impl Write for Layer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Encrypted(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Compressed and encrypted in blocks; `finish` writes the last ones.
        Ok(())
    }
}

impl NewFile {
    /// Not encrypted without recipients.
    pub fn create(path: &Path, recipients: &[Recipient]) -> Result<Self, Failure> {
        let create = || {
            if path.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            // Temporary files are created with mode 0600.
            let draft = NamedTempFile::new_in(folder_of(path))?;
            let file = BufWriter::with_capacity(128 << 10, draft.reopen()?);
            let layer = match recipients {
                [] => Layer::Plain(file),
                recipients => Layer::Encrypted(Box::new(age::encrypt(recipients, file)?)),
            };
            Ok(Self { path: path.to_owned(), draft, out: GzEncoder::new(layer, Compression::default()) })
        };
        create().map_err(|error| unwritable(path, &error))
    }

    /// Returns the size in bytes.
    pub fn finish(self) -> Result<u64, Failure> {
        let Self { path, draft, out } = self;
        let finish = || {
            match out.finish()? {
                Layer::Plain(mut file) => file.flush()?,
                Layer::Encrypted(encryptor) => drop(encryptor.finish()?),
            }
            draft.as_file().sync_all()?;
            let bytes = draft.as_file().metadata()?.len();
            draft.persist_noclobber(&path).map_err(|error| error.error)?;
            File::open(folder_of(&path))?.sync_all()?;
            Ok(bytes)
        };
        finish().map_err(|error| unwritable(&path, &error))
    }
}

pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot write {}", shown(path));
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::new(Exit::Other, "file_exists", what)
            .because("it exists already, and is not replaced")
            .next("give another name");
    }
    Failure::new(Exit::Other, "file_not_writable", what)
        .because(error.to_string())
        .next("give --to a folder with enough space that this user may write")
}

/// Opens a file with an archive, and reads its header.
pub fn open(path: &Path, decryption: &DecryptionArguments) -> Result<ArchiveReader<Box<dyn Read>>, Failure> {
    let identity = decryption.identity()?;
    let file = File::open(path).map_err(|error| {
        Failure::new(Exit::NotFound, "file_not_readable", format!("cannot read {}", shown(path)))
            .because(error.to_string())
            .next("give a file that sojourn backup create or sojourn export wrote")
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::new(Exit::Usage, "file_not_readable", format!("cannot read {}", shown(path)))
            .because("it is a folder")
            .next("name one of the files in it"));
    }
    let mut file = BufReader::new(file);
    let is_encrypted = age::is_encrypted(&mut file).map_err(|error| unloaded(path, error.into()))?;
    let is_plain = file.fill_buf().map_err(|error| unloaded(path, error.into()))?.starts_with(GZIP);
    let plain: Box<dyn Read> = match (is_encrypted, identity) {
        // Whoever may write where backups are kept could otherwise replace one: a plain file says nothing
        // about who wrote it.
        (false, Some(_)) if is_plain => {
            return Err(Failure::new(
                Exit::Rejected,
                "archive_not_encrypted",
                format!("{} is not encrypted", shown(path)),
            )
            .because("a key or passphrase was given, so an encrypted file was expected; this one may be a forgery")
            .next("find out who wrote it; if it is an export of yours, leave out --identity and --passphrase-file"));
        }
        (false, _) => Box::new(file),
        (true, None) => {
            let what = format!("{} is encrypted", shown(path));
            return Err(Failure::new(Exit::Usage, "identity_missing", what)
                .because("neither a key nor a passphrase was given")
                .next("--identity FILE with the secret key, or --passphrase-file FILE"));
        }
        (true, Some(identity)) => match age::decrypt(&identity, file) {
            Ok(plain) => Box::new(plain),
            Err(AgeError::WrongKey(why)) => {
                let what = format!("{} cannot be decrypted", shown(path));
                return Err(Failure::new(Exit::NotAuthorised, "identity_wrong", what)
                    .because(why)
                    .next("give the key or passphrase that belongs to this file"));
            }
            Err(AgeError::Io(error)) => return Err(unloaded(path, error.into())),
            Err(other) => return Err(unloaded(path, ArchiveError::Damaged(other.to_string()))),
        },
    };
    let mut plain = BufReader::new(plain);
    let begin = plain.fill_buf().map_err(|error| unloaded(path, error.into()))?;
    if !begin.starts_with(GZIP) {
        return Err(unloaded(path, ArchiveError::Foreign("it is not compressed".to_owned())));
    }
    ArchiveReader::open(Box::new(GzDecoder::new(plain)) as Box<dyn Read>)
        .map_err(|error| unloaded(path, error))
}

/// Why an archive was not read.
pub fn unloaded(path: &Path, error: ArchiveError) -> Failure {
    let what = format!("{} cannot be used", shown(path));
    let (code, why, next) = match error {
        // Of a file that is cut off within a compressed block.
        ArchiveError::Truncated => ("archive_truncated", "it is incomplete".to_owned(), OTHER_COPY),
        ArchiveError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ("archive_truncated", "it is incomplete".to_owned(), OTHER_COPY)
        }
        ArchiveError::Io(error) => ("archive_damaged", error.to_string(), OTHER_COPY),
        ArchiveError::Damaged(why) => ("archive_damaged", why, OTHER_COPY),
        ArchiveError::Foreign(why) => (
            "archive_foreign",
            format!("it is no archive of Sojourn: {why}"),
            "give a file that sojourn backup create or sojourn export wrote",
        ),
        newer @ ArchiveError::Newer { .. } => {
            ("archive_newer", newer.to_string(), "use the version of sojourn that wrote it, or a newer one")
        }
        ArchiveError::NotEmpty(why) => {
            return Failure::new(Exit::Rejected, "target_not_empty", "nothing was loaded")
                .because(why)
                .next("give --data an empty folder");
        }
        ArchiveError::Store(error) => {
            ("database_failed", error.to_string(), "check the database; nothing was changed")
        }
    };
    Failure::new(Exit::Other, code, what).because(why).next(next)
}

const OTHER_COPY: &str = "use another copy or an older backup; nothing was changed";

/// The master key that came with an archive.
pub fn included_key(path: &Path, header: &ArchiveHeader) -> Result<Option<MasterKey>, Failure> {
    let Some(text) = &header.master_key else { return Ok(None) };
    let fits = |key: &MasterKey| {
        header.master_key_check.as_ref().is_none_or(|wanted| *wanted == master_key_check(key))
    };
    match MasterKey::parse(text) {
        Some(key) if fits(&key) => Ok(Some(key)),
        Some(_) => Err(unloaded(path, ArchiveError::Damaged("its master key is another one".to_owned()))),
        None => {
            Err(unloaded(path, ArchiveError::Damaged("its master key is not 32 bytes in base64".to_owned())))
        }
    }
}

/// The failure of a load into `database`, or of reading it for an archive.
pub fn failed(path: &Path, database: &Database, error: ArchiveError) -> Failure {
    match error {
        ArchiveError::NotEmpty(why) if matches!(database, Database::Server(_)) => {
            Failure::new(Exit::Rejected, "target_not_empty", "nothing was loaded")
                .because(why)
                .next("make another database (createdb), and name that one")
        }
        ArchiveError::Store(error) => database::failed(database, &error),
        other => unloaded(path, other),
    }
}
