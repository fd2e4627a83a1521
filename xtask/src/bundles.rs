//! `cargo xtask bundles`: downloads the official browser builds that the lock file names.
//!
//! `npm install` is not used: it would resolve the packages' dependencies (which fails for
//! `@clerk/ui`) and download hundreds of packages that browsers do not need. `npm pack` downloads
//! exactly the published tarball.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha512};

/// Part of the stamp: a change of the unpacked files also rebuilds old folders.
const LAYOUT: u32 = 2;

#[derive(Deserialize)]
struct Lock {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    integrity: String,
    licence: String,
    /// The scripts that pages load. The chunks are found from them.
    entries: Vec<String>,
    /// The prefixes of chunks that no page loads from this server.
    leave_out: Vec<String>,
}

pub fn unpack_locked(root: &Path) -> Result<()> {
    let lock_path = root.join("web/bundles.lock.json");
    let lock_text = fs::read(&lock_path).with_context(|| format!("cannot read {}", lock_path.display()))?;
    let lock: Lock =
        serde_json::from_slice(&lock_text).context("web/bundles.lock.json is not a lock file")?;
    let target = root.join("web/bundles");
    let stamp_path = target.join(".stamp");
    let stamp = format!("{LAYOUT} {}", sha512(&lock_text));
    if fs::read_to_string(&stamp_path).is_ok_and(|found| found == stamp) {
        say("bundles are up to date");
        return Ok(());
    }

    let tarballs = root.join("target/bundles");
    fs::create_dir_all(&tarballs)?;
    // The stamp is removed first and written last, so that an interrupted run is repeated.
    remove_if_there(&stamp_path)?;
    for package in &lock.packages {
        let tarball = fetch(package, &tarballs)?;
        let files = choose(package, read_tarball(&tarball)?)?;
        write_package(package, &files, &target)?;
    }
    remove_unlocked(&lock, &target)?;
    fs::write(&stamp_path, stamp)?;
    // The macro that embeds the bundles runs only if its own file is newer, and `make check` may
    // have built it before the bundles existed.
    let embedding = root.join("crates/sojourn-server/src/portal/bundles.rs");
    fs::write(&embedding, fs::read(&embedding)?)?;
    Ok(())
}

/// The tarball's bytes, from `target/bundles` if it is already there.
fn fetch(package: &Package, tarballs: &Path) -> Result<Vec<u8>> {
    let Package { name, version, .. } = package;
    let file_name = format!("{}-{version}.tgz", name.trim_start_matches('@').replace('/', "-"));
    let path = tarballs.join(file_name);
    if !path.exists() {
        say(&format!("fetching {name}@{version}"));
        let status = Command::new("npm")
            .args(["pack", "--silent", &format!("{name}@{version}")])
            .current_dir(tarballs)
            .stdout(std::process::Stdio::null())
            .status()
            .context("npm could not be started; install Node.js (which brings npm) and try again")?;
        ensure!(
            status.success() && path.exists(),
            "npm could not fetch {name}@{version}. The registry may be out of reach; \
             check `npm ping`, or put {} there by hand, and run `cargo xtask bundles` again",
            path.display()
        );
    }
    let bytes = fs::read(&path)?;
    let found = sha512(&bytes);
    if found != package.integrity {
        bail!(
            "{} is not the {name}@{version} that web/bundles.lock.json names.\n  \
             locked: {}\n  found:  {found}\n\
             Either the download was damaged or the package was replaced at its source. \
             Delete the file and run `cargo xtask bundles` again; if the hash differs again, \
             do not build with it, and compare with `npm view {name}@{version} dist.integrity`",
            path.display(),
            package.integrity
        );
    }
    Ok(bytes)
}

/// The scripts of `dist/` and the licence, by their path in the package.
fn read_tarball(tarball: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(tarball)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let Some(path) = path.strip_prefix("package/") else {
            continue;
        };
        let in_dist = path.strip_prefix("dist/").is_some_and(|name| !name.contains('/'));
        if path == "LICENSE" || (in_dist && path.ends_with(".js")) {
            let path = path.to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

/// Keeps the entry scripts, the chunks that they load, and the licence.
fn choose(package: &Package, mut files: BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Vec<u8>>> {
    let Package { name, version, entries, leave_out, .. } = package;
    let mut chosen = BTreeMap::new();
    let licence = files.remove("LICENSE").with_context(|| {
        format!("{name}@{version} has no LICENSE ({} expected); it may not be embedded", package.licence)
    })?;
    chosen.insert("LICENSE".to_owned(), licence);
    for entry in entries {
        let script = files
            .remove(entry)
            .with_context(|| format!("{name}@{version} has no {entry}; correct web/bundles.lock.json"))?;
        let script_text = String::from_utf8_lossy(&script);
        let chunks: Vec<String> = files
            .keys()
            .filter(|path| {
                chunk_hash(path, version).is_some_and(|hash| script_text.contains(&format!("\"{hash}")))
            })
            .cloned()
            .collect();
        ensure!(
            !chunks.is_empty(),
            "no chunk of {name}@{version} belongs to {entry}: the package names its chunks \
             differently from before; read how {entry} builds their names and mend xtask/src/bundles.rs"
        );
        for path in chunks {
            let Some(bytes) = files.remove(&path) else { continue };
            if !leave_out.iter().any(|name| path.starts_with(&format!("dist/{name}_"))) {
                chosen.insert(path, bytes);
            }
        }
        drop(script_text);
        chosen.insert(entry.clone(), script);
    }
    Ok(chosen)
}

/// `dist/signin_ui_58d0c7_1.36.0.js` → `58d0c7`.
///
/// The entry script contains the hash of its build as a string, and every chunk's name contains its
/// first six characters. This distinguishes the chunks of the browser build from those of the
/// native and legacy builds.
fn chunk_hash<'a>(path: &'a str, version: &str) -> Option<&'a str> {
    let stem = path.strip_suffix(&format!("_{version}.js"))?;
    let (_, hash) = stem.rsplit_once('_')?;
    (hash.len() == 6 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hash)
}

fn write_package(package: &Package, files: &BTreeMap<String, Vec<u8>>, target: &Path) -> Result<()> {
    let folder = target.join(&package.name).join(&package.version);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("dist"))?;
    let (mut plain, mut packed) = (0, 0);
    for (path, bytes) in files {
        fs::write(folder.join(path), bytes)?;
        plain += bytes.len();
        if path.ends_with(".js") {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes)?;
            let compressed = encoder.finish()?;
            packed += compressed.len();
            fs::write(folder.join(format!("{path}.gz")), compressed)?;
        }
    }
    say(&format!(
        "{}@{}: {} files, {} KB, {} KB compressed",
        package.name,
        package.version,
        files.len(),
        plain / 1000,
        packed / 1000
    ));
    Ok(())
}

/// Removes versions that the lock file no longer names; otherwise they would stay in the binary.
fn remove_unlocked(lock: &Lock, target: &Path) -> Result<()> {
    let locked: Vec<PathBuf> =
        lock.packages.iter().map(|package| target.join(&package.name).join(&package.version)).collect();
    for scope in folders(target)? {
        for name in folders(&scope)? {
            for version in folders(&name)? {
                if !locked.contains(&version) {
                    fs::remove_dir_all(version)?;
                }
            }
        }
    }
    Ok(())
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The hash in npm's format: `sha512-` and standard base64.
fn sha512(bytes: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)))
}

fn say(line: &str) {
    eprintln!("xtask: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            name: "@clerk/ui".into(),
            version: "1.36.0".into(),
            integrity: String::new(),
            licence: "MIT".into(),
            entries: vec!["dist/ui.browser.js".into()],
            leave_out: vec!["wallet-sdk".into()],
        }
    }

    fn files(of: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn only_the_chunks_of_the_locked_entry_are_kept() {
        let chosen = choose(
            &package(),
            files(&[
                ("LICENSE", "MIT"),
                ("dist/ui.browser.js", "h=()=>\"58d0c711908d2399\""),
                ("dist/signin_ui_58d0c7_1.36.0.js", ""),
                ("dist/signin_ui_1124a2_1.36.0.js", ""),
                ("dist/wallet-sdk_ui_58d0c7_1.36.0.js", ""),
                ("dist/index.js", ""),
            ]),
        )
        .unwrap();
        let paths: Vec<_> = chosen.keys().map(String::as_str).collect();
        assert_eq!(paths, ["LICENSE", "dist/signin_ui_58d0c7_1.36.0.js", "dist/ui.browser.js"]);
    }

    #[test]
    fn an_entry_whose_chunks_cannot_be_found_is_an_error() {
        let error = choose(&package(), files(&[("LICENSE", "MIT"), ("dist/ui.browser.js", "")]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no chunk of @clerk/ui@1.36.0"), "{error}");
    }

    #[test]
    fn a_package_without_a_licence_is_an_error() {
        let error = choose(&package(), files(&[("dist/ui.browser.js", "")])).unwrap_err().to_string();
        assert!(error.contains("has no LICENSE"), "{error}");
    }
}
