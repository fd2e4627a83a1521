//! Certificate files: read at start, and again whenever what they hold has changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sojourn_core::time::Timestamp;
use tokio::signal::unix::Signal;

use super::{Certificate, CertificateError, CertificateResolver};

/// How often the files are looked at. Tools that renew certificates do so days before the end.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// From when on the log warns that a certificate ends.
const EXPIRY_WARNING_DAYS: i64 = 14;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}, {}: {error}", certificate.display(), key.display())]
    Unusable { certificate: PathBuf, key: PathBuf, error: CertificateError },
}

/// A certificate chain and its key, in PEM form.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    /// What the files held when they were last read, used or not.
    seen: Option<(Vec<u8>, Vec<u8>)>,
    /// The day of the last warning about the end of the certificate in use.
    warned_on: Option<i64>,
}

/// What became of a look at the files.
#[derive(Debug)]
pub enum Outcome {
    Unchanged,
    Replaced,
    /// They cannot be used; what was in use before still is.
    Refused(FileError),
}

impl CertificateFiles {
    pub const fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, seen: None, warned_on: None }
    }

    /// Reads the files and, where their contents have changed, puts the certificate into use.
    ///
    /// The contents are compared and not the times: so a file that is renamed over another, a
    /// symbolic link that is turned (certbot) and a folder that is swapped (Kubernetes) are seen
    /// alike. Between the two writes of a tool that writes in place the key is another certificate's;
    /// that state is refused, and the next look sees both.
    pub fn load(&mut self, resolver: &CertificateResolver) -> Outcome {
        let files = match read(&self.certificate).and_then(|chain| Ok((chain, read(&self.key)?))) {
            Ok(files) => files,
            Err(error) => {
                // Said once and not every time.
                return match self.seen.take() {
                    None if resolver.current().is_some() => Outcome::Unchanged,
                    _ => Outcome::Refused(error),
                };
            }
        };
        if self.seen.as_ref() == Some(&files) {
            return Outcome::Unchanged;
        }
        let (chain, key) = self.seen.insert(files);
        match Certificate::from_pem(chain, key) {
            Ok(certificate) => {
                resolver.replace(Arc::new(certificate));
                self.warned_on = None;
                Outcome::Replaced
            }
            Err(error) => Outcome::Refused(FileError::Unusable {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                error,
            }),
        }
    }

    /// Follows the files until the process ends; `hangup` makes it look at once.
    pub async fn follow(
        mut self,
        resolver: Arc<CertificateResolver>,
        mut hangup: Signal,
        now: fn() -> Timestamp,
    ) {
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(POLL_INTERVAL) => false,
            };
            match self.load(&resolver) {
                Outcome::Replaced => {
                    tracing::info!(file = %self.certificate.display(), "certificate replaced");
                }
                Outcome::Refused(error) => {
                    tracing::error!(%error, "the new certificate cannot be used; the old one stays in use");
                }
                Outcome::Unchanged if asked => tracing::info!("the certificate files have not changed"),
                Outcome::Unchanged => {}
            }
            self.warn_of_expiry(&resolver, now());
        }
    }

    /// Warns once a day when the end of the certificate is near.
    pub fn warn_of_expiry(&mut self, resolver: &CertificateResolver, now: Timestamp) {
        let Some(certificate) = resolver.current() else { return };
        let today = now.as_millis().div_euclid(DAY_MS);
        if self.warned_on == Some(today) {
            return;
        }
        let Some(text) = expiry_warning(certificate.not_after, now) else { return };
        self.warned_on = Some(today);
        tracing::warn!(file = %self.certificate.display(), "{text}");
    }

    /// The mode of the key file, if others than its owner can read it.
    pub fn key_readable_by_others(&self) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&self.key).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|error| FileError::Unreadable { path: path.to_owned(), error })
}

/// What to say of a certificate that ends at `not_after`, if anything.
fn expiry_warning(not_after: Timestamp, now: Timestamp) -> Option<String> {
    let left_ms = not_after.as_millis() - now.as_millis();
    match left_ms.div_euclid(DAY_MS) {
        days if days >= EXPIRY_WARNING_DAYS => None,
        _ if left_ms <= 0 => Some("the certificate has expired: browsers refuse it".to_owned()),
        0 => Some("the certificate expires within a day".to_owned()),
        days => Some(format!("the certificate expires in {days} days")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::certificate::tests::{issue, issuer};
    use super::*;

    struct Folder {
        folder: tempfile::TempDir,
        resolver: CertificateResolver,
        files: CertificateFiles,
    }

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("temporary folder");
            let files = CertificateFiles::new(folder.path().join("tls.crt"), folder.path().join("tls.key"));
            Self { folder, resolver: CertificateResolver::default(), files }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).expect("written");
        }

        fn load(&mut self) -> Outcome {
            self.files.load(&self.resolver)
        }

        /// The certificate that the next handshake shows.
        fn shown(&self) -> Vec<u8> {
            self.resolver.current().expect("a certificate").key.cert[0].to_vec()
        }
    }

    #[test]
    fn a_changed_certificate_is_loaded_and_a_broken_one_is_not() {
        let issuer = issuer();
        let mut folder = Folder::new();
        let (chain, key) = issue(&issuer);
        folder.write("tls.crt", &chain);
        assert!(matches!(folder.load(), Outcome::Refused(FileError::Unreadable { .. })));
        folder.write("tls.key", &key);
        assert!(matches!(folder.load(), Outcome::Replaced));
        assert!(matches!(folder.load(), Outcome::Unchanged));
        let first = folder.shown();

        // A tool that writes in place: first the chain, then the key.
        let (chain, key) = issue(&issuer);
        folder.write("tls.crt", &chain);
        let Outcome::Refused(error) = folder.load() else { panic!("the key is another's") };
        assert!(error.to_string().contains("does not belong"), "{error}");
        assert!(matches!(folder.load(), Outcome::Unchanged), "said once");
        assert_eq!(folder.shown(), first);
        folder.write("tls.key", &key);
        assert!(matches!(folder.load(), Outcome::Replaced));
        assert_ne!(folder.shown(), first);

        fs::remove_file(folder.folder.path().join("tls.key")).expect("removed");
        assert!(matches!(folder.load(), Outcome::Refused(_)));
        assert!(matches!(folder.load(), Outcome::Unchanged), "said once");
        folder.write("tls.key", &key);
        assert!(matches!(folder.load(), Outcome::Replaced));
    }

    #[test]
    fn a_turned_symbolic_link_is_a_change() {
        let issuer = issuer();
        let mut folder = Folder::new();
        let path = folder.folder.path().to_owned();
        for version in ["one", "two"] {
            let (chain, key) = issue(&issuer);
            fs::create_dir(path.join(version)).expect("created");
            folder.write(&format!("{version}/tls.crt"), &chain);
            folder.write(&format!("{version}/tls.key"), &key);
        }
        symlink("one", path.join("data")).expect("linked");
        symlink("data/tls.crt", path.join("tls.crt")).expect("linked");
        symlink("data/tls.key", path.join("tls.key")).expect("linked");
        assert!(matches!(folder.load(), Outcome::Replaced));
        let first = folder.shown();
        symlink("two", path.join("next")).expect("linked");
        fs::rename(path.join("next"), path.join("data")).expect("turned");
        assert!(matches!(folder.load(), Outcome::Replaced));
        assert_ne!(folder.shown(), first);
    }

    #[test]
    fn the_end_of_a_certificate_is_announced_two_weeks_before() {
        let day = |days: i64| Timestamp::from_millis(days * DAY_MS);
        assert_eq!(expiry_warning(day(14), day(0)), None);
        assert_eq!(
            expiry_warning(day(14), Timestamp::from_millis(1)).as_deref(),
            Some("the certificate expires in 13 days")
        );
        assert_eq!(
            expiry_warning(day(1), Timestamp::from_millis(1)).as_deref(),
            Some("the certificate expires within a day")
        );
        assert_eq!(
            expiry_warning(day(1), day(1)).as_deref(),
            Some("the certificate has expired: browsers refuse it")
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_noticed() {
        let folder = Folder::new();
        folder.write("tls.key", "");
        let path = folder.folder.path().join("tls.key");
        for (mode, expected) in [(0o600, None), (0o400, None), (0o640, Some(0o640)), (0o644, Some(0o644))] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
            assert_eq!(folder.files.key_readable_by_others(), expected);
        }
    }
}
