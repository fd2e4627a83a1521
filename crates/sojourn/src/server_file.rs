//! `server.json` in the data folder: how client commands find the running server.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data_folder::write_private;
use crate::env_lines::Access;
use crate::failure::{Exit, Failure};

const NAME: &str = "server.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    pub base_url: String,
    pub publishable_key: String,
    pub secret_key: String,
    /// The public key as PEM; empty in a file that an older server has written.
    #[serde(default)]
    pub jwt_key: String,
    pub pid: u32,
    /// Without its password.
    #[serde(default)]
    pub database: String,
    /// Of a production instance. Its `secret_key` is the one of this process, for the command line on
    /// this machine, and no application gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<Production>,
}

/// What the command line needs beside the public address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Production {
    /// Where the Backend API is reached on this machine, past any proxy.
    pub local_url: String,
    /// Where application servers reach it, if it is not the public address.
    pub api_url: Option<String>,
}

impl ServerFile {
    pub fn access(&self) -> Access {
        Access {
            base_url: self.base_url.clone(),
            publishable_key: self.publishable_key.clone(),
            api_url: self.production.as_ref().and_then(|production| production.api_url.clone()),
            secret_key: self.production.is_none().then(|| self.secret_key.clone()),
            jwt_key: self.jwt_key.clone(),
            is_production: self.production.is_some(),
        }
    }

    /// The server that runs on this data folder: `Ok(None)` if none has written the file.
    pub fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::new(
                    Exit::Other,
                    "server_file_unreadable",
                    format!("cannot read {}", path.display()),
                )
                .because(error.to_string())
                .next("run the command as the user that runs the server, or give --url and --secret-key"));
            }
        };
        let file: Self = serde_json::from_str(&text).map_err(|error| {
            Failure::new(Exit::Other, "server_file_unreadable", format!("cannot read {}", path.display()))
                .because(error.to_string())
                .next("stop and start the server, which writes the file anew")
        })?;
        if !is_running(file.pid) {
            return Err(Failure::new(
                Exit::Unreachable,
                "server_not_running",
                format!("the server of {} is not running", folder.display()),
            )
            .because(format!("process {}, which answered at {}, is gone", file.pid, file.base_url))
            .next(format!("sojourn serve --data {}", folder.display())));
        }
        Ok(Some(file))
    }

    /// Writes the file; it is removed when the guard is dropped.
    pub fn publish(&self, folder: &Path) -> Result<Published, Failure> {
        let path = folder.join(NAME);
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        write_private(&path, &format!("{text}\n")).map_err(|error| {
            Failure::new(Exit::Other, "data_folder_unusable", format!("cannot write {}", path.display()))
                .because(error.to_string())
                .next("give --data a folder on a local disk that this user owns")
        })?;
        Ok(Published { path, text })
    }
}

/// Takes the file back at a clean stop.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    text: String,
}

impl Drop for Published {
    fn drop(&mut self) {
        // Another node with the same folder may have written its own since.
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text.trim_end() == self.text) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where there is no `/proc`, every process counts as running: the request itself will tell.
fn is_running(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(pid: u32) -> ServerFile {
        ServerFile {
            base_url: "http://localhost:4000".to_owned(),
            publishable_key: "pk_live_x".to_owned(),
            secret_key: "sk_test_sojourn_x".to_owned(),
            jwt_key: "-----BEGIN PUBLIC KEY-----".to_owned(),
            pid,
            database: "./.sojourn/dev.db".to_owned(),
            production: None,
        }
    }

    #[test]
    fn the_file_is_private_and_goes_at_a_clean_stop() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let published = file(std::process::id()).publish(folder.path()).expect("written");
        let mode = std::fs::metadata(folder.path().join(NAME)).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(ServerFile::read(folder.path()).expect("readable"), Some(file(std::process::id())));
        drop(published);
        assert_eq!(ServerFile::read(folder.path()).expect("absent"), None);
    }

    #[test]
    fn a_stopping_server_leaves_the_file_of_its_successor() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let first = file(1).publish(folder.path()).expect("written");
        let second = file(std::process::id()).publish(folder.path()).expect("written");
        drop(first);
        assert_eq!(ServerFile::read(folder.path()).expect("readable"), Some(file(std::process::id())));
        drop(second);
        assert_eq!(ServerFile::read(folder.path()).expect("absent"), None);
    }

    #[test]
    fn a_file_left_by_a_killed_server_says_that_it_is_not_running() {
        let folder = tempfile::tempdir().expect("temporary folder");
        // Beyond the largest process id of Linux.
        let _published = file(u32::MAX).publish(folder.path()).expect("written");
        let failure = ServerFile::read(folder.path()).expect_err("gone");
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Unreachable, "server_not_running"));
        assert!(failure.next.expect("next").starts_with("sojourn serve"));
    }
}
