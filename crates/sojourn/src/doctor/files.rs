//! Who can read the secrets, and whether the disk keeps what is written.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Check;
use crate::config::{CertificateSource, Config, GivenKey};
use crate::database::shown;

const GIB: u64 = 1 << 30;

/// File systems that answer a sync before the data is safe, or lose it at the next start.
const VOLATILE: [&str; 3] = ["tmpfs", "ramfs", "overlay"];
/// File systems over a network, whose locks and memory maps SQLite cannot rely on.
/// Source: sqlite.org/howtocorrupt.html, section 2.1, and sqlite.org/wal.html.
const NETWORK: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"];

pub(super) fn check(config: &Config) -> Vec<Check> {
    let folder = &config.data.value;
    if !folder.is_dir() {
        return vec![
            Check::failed("data folder", format!("there is no folder {}", shown(folder)))
                .next("sojourn init production, or give --data or --config the one that the server uses"),
        ];
    }
    let mut checks = vec![permissions(config), durability(folder)];
    if config.server.is_none() {
        checks.push(file_system(folder));
    }
    checks.push(free_space(folder));
    checks
}

/// Files that hold secrets, those that exist.
fn secret_files(config: &Config) -> Vec<PathBuf> {
    let folder = &config.data.value;
    let mut files: Vec<PathBuf> =
        ["master.key", "server.json", "sojourn.db", "dev.db"].iter().map(|name| folder.join(name)).collect();
    if let Some(GivenKey::In(path)) = config.master_key.as_ref().map(|key| &key.value) {
        files.push(path.clone());
    }
    files.extend(config.previous_master_key.as_ref().map(|path| path.value.clone()));
    files.extend(config.mail.password_file().map(Path::to_owned));
    if let Some(CertificateSource::Files(files_of_tls)) = config.tls.as_ref().map(|tls| &tls.certificate) {
        files.push(files_of_tls.key.value.clone());
    }
    if config.has_secrets_in_its_file() {
        files.extend(config.file.clone());
    }
    files.retain(|file| file.exists());
    files
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o777)
}

fn permissions(config: &Config) -> Check {
    let folder = &config.data.value;
    let mut open: Vec<(PathBuf, u32)> =
        secret_files(config).into_iter().map(|file| (file.clone(), mode(&file))).collect();
    let total = open.len();
    // Files in a private folder are private, whatever their own mode.
    let folder_is_private = mode(folder) & 0o077 == 0;
    open.retain(|(file, mode)| mode & 0o077 != 0 && !(folder_is_private && file.starts_with(folder)));
    if open.is_empty() && folder_is_private {
        return Check::ok("permissions", format!("{total} files with secrets, readable by this user alone"));
    }
    if !folder_is_private {
        open.insert(0, (folder.clone(), mode(folder)));
    }
    let list: Vec<String> =
        open.iter().map(|(file, mode)| format!("{} has mode {mode:o}", shown(file))).collect();
    let paths: Vec<String> = open
        .iter()
        .map(|(file, _)| format!("chmod {} {}", if file.is_dir() { "700" } else { "600" }, shown(file)))
        .collect();
    Check::failed("permissions", "other users of this machine can read secrets")
        .because(list.join("\n"))
        .next(paths.join("\n"))
}

/// Writes and syncs a file as the database does.
fn durability(folder: &Path) -> Check {
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.as_file().sync_all()
    });
    match written {
        Ok(()) => Check::ok("disk writes", format!("{} takes and syncs a file", shown(folder))),
        Err(error) => Check::failed("disk writes", format!("{} does not take a file", shown(folder)))
            .because(error.to_string())
            .next(
                "run this as the user of the server; check the disk, its quota, and that it is not read-only",
            ),
    }
}

fn file_system(folder: &Path) -> Check {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let Some(kind) = file_system_of(&mounts, &folder) else {
        return Check::skipped("file system", "this system does not say what the data folder lies on");
    };
    if NETWORK.contains(&kind) {
        return Check::failed("file system", format!("the database lies on a network file system ({kind})"))
            .because("its locks do not keep two writers apart, and a lost connection can damage the file")
            .next("move the data folder to a local disk, or use PostgreSQL: database = \"postgres://…\"");
    }
    if VOLATILE.contains(&kind) {
        return Check::warning("file system", format!("the database lies on {kind}"))
            .because("what it holds goes with the container or the next start of the machine")
            .next("give data a folder on a volume or a disk of its own");
    }
    Check::ok("file system", format!("{kind}, local"))
}

/// The type of the file system that holds `path`, from the lines of `/proc/self/mountinfo` (proc(5)).
fn file_system_of<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (Some(place), Some(kind)) = (left.split(' ').nth(4), right.split(' ').next()) else { continue };
        // A blank is written as \040.
        let place = place.replace("\\040", " ");
        let longer = best.is_none_or(|(length, _)| place.len() >= length);
        if path.starts_with(&place) && longer {
            best = Some((place.len(), kind));
        }
    }
    best.map(|(_, kind)| kind)
}

fn free_space(folder: &Path) -> Check {
    let Ok(found) = rustix::fs::statvfs(folder) else {
        return Check::skipped("disk space", "this system does not tell the free space");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let (whole, tenths) = (free / GIB, free % GIB * 10 / GIB);
    let message = format!("{whole}.{tenths} GiB free for {}", shown(folder));
    if free < GIB {
        return Check::warning("disk space", message)
            .because("a full disk refuses every sign-in until there is room; nothing that was acknowledged is lost")
            .next("make room, or move the data folder");
    }
    Check::ok("disk space", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
         30 22 0:30 / /srv/my\\040data rw - nfs4 server:/export rw\n\
         31 22 0:31 / /run rw shared:5 - tmpfs tmpfs rw\n\
         32 22 0:32 / /srv rw - xfs /dev/sdb1 rw\n";

    #[test]
    fn the_longest_mount_above_a_path_is_its_file_system() {
        for (path, kind) in [
            ("/var/lib/sojourn", "ext4"),
            ("/srv/my data/sojourn", "nfs4"),
            ("/srv/my", "xfs"),
            ("/run/sojourn", "tmpfs"),
            ("/running", "ext4"),
        ] {
            assert_eq!(file_system_of(MOUNTS, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(file_system_of("", Path::new("/srv")), None);
    }
}
