//! What must outlive the process: the account at the ACME server, and the certificate with its key.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;

/// A folder that only its owner can read, for one ACME server.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

const ACCOUNT: &str = "account.json";

impl Cache {
    /// Makes the folder where it is missing. Accounts and certificates of another server stay apart.
    pub fn open(folder: &Path, directory_url: &str) -> io::Result<Self> {
        let server = directory_url.trim_start_matches("https://");
        let folder = folder.join(file_name(server));
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn account(&self) -> io::Result<Option<AccountCredentials>> {
        let text = self.read(ACCOUNT)?;
        text.map(|text| serde_json::from_slice(&text).map_err(io::Error::other)).transpose()
    }

    pub fn keep_account(&self, credentials: &AccountCredentials) -> io::Result<()> {
        self.write(ACCOUNT, &serde_json::to_vec(credentials)?)
    }

    /// The private key and the chain, in PEM form.
    pub fn certificate(&self, host: &str) -> io::Result<Option<Vec<u8>>> {
        self.read(&format!("{}.pem", file_name(host)))
    }

    pub fn keep_certificate(&self, host: &str, pem: &[u8]) -> io::Result<()> {
        self.write(&format!("{}.pem", file_name(host)), pem)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The old file or the new one, whenever the process ends. Files of `tempfile` have mode 0600.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name))?;
        fs::File::open(&self.folder)?.sync_all()
    }
}

fn file_name(text: &str) -> String {
    let kept = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    text.chars().map(|letter| if kept(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_by_its_owner_alone() {
        let home = tempfile::tempdir().expect("temporary folder");
        let open = |url: &str| Cache::open(home.path(), url).expect("opened");
        let cache = open("https://acme.example/directory");
        assert!(cache.certificate("a.example").expect("readable").is_none());
        cache.keep_certificate("a.example", b"first").expect("kept");
        cache.keep_certificate("a.example", b"second").expect("kept");
        let again = open("https://acme.example/directory");
        assert_eq!(again.certificate("a.example").expect("readable").as_deref(), Some(&b"second"[..]));
        assert!(
            open("https://other.example/directory").certificate("a.example").expect("readable").is_none()
        );

        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(cache.folder()), 0o700);
        assert_eq!(mode(&cache.folder().join("a.example.pem")), 0o600);
        assert_eq!(fs::read_dir(cache.folder()).expect("readable").count(), 1, "no remains");
    }
}
