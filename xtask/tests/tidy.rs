//! Tests of the repository's own rules.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/citations.rs"]
mod citations;

/// Generated or downloaded files, which are not ours.
const NOT_OURS: &[&str] = &[
    ".astro",
    ".git",
    ".next",
    ".nuxt",
    ".output",
    ".sojourn",
    ".state",
    ".svelte-kit",
    ".variants",
    "bundles",
    "dist",
    "node_modules",
    "results",
    "target",
];

/// Each crate and the crates of ours that it may depend on. A new arrow is a design change:
/// document it in ARCHITECTURE.md and docs/decisions/ first.
const ARROWS: &[(&str, &[&str])] = &[
    ("sojourn-core", &[]),
    ("sojourn-api", &[]),
    ("sojourn-metrics", &[]),
    ("sojourn-store", &["sojourn-metrics", "sojourn-core"]),
    ("sojourn-service", &["sojourn-metrics", "sojourn-core", "sojourn-store"]),
    (
        "sojourn-server",
        &["sojourn-metrics", "sojourn-api", "sojourn-core", "sojourn-store", "sojourn-service"],
    ),
    (
        "sojourn",
        &[
            "sojourn-metrics",
            "sojourn-api",
            "sojourn-core",
            "sojourn-store",
            "sojourn-service",
            "sojourn-server",
        ],
    ),
    (
        "sojourn-testkit",
        &["sojourn-api", "sojourn-core", "sojourn-store", "sojourn-service", "sojourn-server"],
    ),
    (
        "sojourn-bench",
        &["sojourn-core", "sojourn-store", "sojourn-service", "sojourn-server", "sojourn-testkit"],
    ),
    ("xtask", &["sojourn-core", "sojourn-store", "sojourn-service", "sojourn-server", "sojourn-testkit"]),
];

/// Modules of the server that must not use each other; shared code is in `wire`, `auth` or the
/// core.
const INDEPENDENT_MODULES: &[&str] = &["fapi", "bapi", "dashboard", "portal"];

const LONGEST_RUST_FILE: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Every file of ours, as a path relative to the root.
fn files() -> Vec<PathBuf> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let entry = entry.expect("a readable entry");
            let kind = entry.file_type().expect("a kind");
            let ours = entry.file_name().to_str().is_none_or(|name| !NOT_OURS.contains(&name));
            if kind.is_dir() && ours {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path().strip_prefix(&root).expect("below the root").to_owned());
            }
        }
    }
    files.sort();
    files
}

fn with_extension(extensions: &[&str]) -> Vec<(PathBuf, String)> {
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)))
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).expect("a text");
            (path, text)
        })
        .collect()
}

fn manifests() -> Vec<(PathBuf, toml::Table)> {
    with_extension(&["toml"])
        .into_iter()
        .filter(|(path, _)| path.ends_with("Cargo.toml") && path != Path::new("Cargo.toml"))
        .filter(|(path, _)| {
            path.starts_with("bench") || path.starts_with("crates") || path.starts_with("xtask")
        })
        .map(|(path, text)| {
            let table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, table)
        })
        .collect()
}

fn name(manifest: &toml::Table) -> &str {
    manifest["package"]["name"].as_str().expect("a package has a name")
}

fn ours_in<'a>(manifest: &'a toml::Table, section: &str) -> Vec<&'a str> {
    let table = manifest.get(section).and_then(toml::Value::as_table);
    table
        .into_iter()
        .flat_map(toml::Table::keys)
        .map(String::as_str)
        .filter(|name| name.starts_with("sojourn"))
        .collect()
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn crates_rest_only_on_those_below_them() {
    let mut complaints = Vec::new();
    for (_, manifest) in &manifests() {
        let name = name(manifest);
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            complaints.push(format!("{name} is not in the table of arrows: say where it belongs"));
            continue;
        };
        for section in ["dependencies", "build-dependencies"] {
            for used in ours_in(manifest, section) {
                if !allowed.contains(&used) {
                    complaints.push(format!("{name} must not depend on {used}"));
                }
            }
        }
        for used in ours_in(manifest, "dev-dependencies") {
            let testkit = used == "sojourn-testkit" && name != "sojourn-core";
            if !testkit && used != name && !allowed.contains(&used) {
                complaints.push(format!("the tests of {name} must not depend on {used}"));
            }
        }
    }
    none(&complaints);
}

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    let complaints: Vec<String> = manifests()
        .iter()
        .filter(|(_, manifest)| {
            let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
            lints.and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|(path, _)| format!("{}: [lints] workspace = true is missing", path.display()))
        .collect();
    none(&complaints);
}

#[test]
fn the_apis_of_the_server_do_not_use_each_other() {
    let mut complaints = Vec::new();
    for (path, text) in with_extension(&["rs"]) {
        let Ok(inside) = path.strip_prefix("crates/sojourn-server/src") else { continue };
        let first = inside.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let module = first.as_deref().map(|name| name.trim_end_matches(".rs")).unwrap_or_default();
        if !INDEPENDENT_MODULES.contains(&module) {
            continue;
        }
        for other in INDEPENDENT_MODULES.iter().filter(|other| **other != module) {
            for (number, line) in text.lines().enumerate() {
                let named = [format!("crate::{other}"), format!("super::{other}")];
                if named.iter().any(|named| mentions(line, named)) {
                    complaints.push(format!("{}:{}: {module} uses {other}", path.display(), number + 1));
                }
            }
        }
    }
    none(&complaints);
}

/// Whether `line` contains the complete path (`crate::fapi`, but not `crate::fapi_errors`).
fn mentions(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let next = line[at + path.len()..].chars().next();
        next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
    })
}

/// Crates whose files must not have circular imports.
const WITHOUT_CIRCLES: &[&str] = &["sojourn-store"];

/// The module of a file below `src`, by its path: `["sql", "row"]`.
fn module_of(inside: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        inside.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| ["lib", "main", "mod"].contains(&name.as_str())) {
        names.pop();
    }
    names
}

/// The paths of an import tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn imported(tree: &str) -> Vec<String> {
    let Some((before, inside)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let (mut depth, mut branches) = (0, vec![String::new()]);
    for c in inside.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (c, branches.last_mut()) {
            (',', _) if depth == 0 => branches.push(String::new()),
            (_, Some(branch)) => branch.push(c),
            _ => {}
        }
    }
    let branches = branches.iter().filter(|branch| !branch.trim().is_empty());
    branches.flat_map(|branch| imported(branch)).map(|path| format!("{}{path}", before.trim())).collect()
}

/// All module paths in a file: its imports, and paths that begin with `crate` or `super`. Test code
/// is excluded.
fn paths_in(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let statements = code.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
    let mut paths: Vec<String> = statements.flat_map(imported).collect();
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in code.split(|c| !is_part(c)) {
        let leads = ["crate::", "super::", "self::"].iter().any(|start| word.starts_with(start));
        if leads && !word.ends_with(':') {
            paths.push(word.to_owned());
        }
    }
    paths
}

/// The file that a path from `module` refers to: the deepest that exists.
fn target(module: &[String], path: &str, modules: &[Vec<String>]) -> Option<Vec<String>> {
    let mut parts = path.split("::").peekable();
    let mut at = match parts.peek()? {
        &"crate" => Vec::new(),
        _ => module.to_vec(),
    };
    let mut found = None;
    for part in parts {
        match part {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            name => at.push(name.to_owned()),
        }
        if modules.contains(&at) {
            found = Some(at.clone());
        } else if !["crate", "self", "super"].contains(&part) {
            break;
        }
    }
    found.filter(|found| found != module && !found.is_empty())
}

#[test]
fn files_of_a_crate_do_not_use_each_other_in_circles() {
    let mut complaints = Vec::new();
    for name in WITHOUT_CIRCLES {
        let folder = Path::new("crates").join(name).join("src");
        let files: Vec<(Vec<String>, String)> = with_extension(&["rs"])
            .into_iter()
            .filter_map(|(path, text)| Some((module_of(path.strip_prefix(&folder).ok()?), text)))
            .filter(|(module, _)| module.last().is_some_and(|name| !name.ends_with("tests")))
            .collect();
        let modules: Vec<Vec<String>> = files.iter().map(|(module, _)| module.clone()).collect();
        let mut uses: Vec<(&Vec<String>, Vec<Vec<String>>)> = files
            .iter()
            .map(|(module, text)| {
                (module, paths_in(text).iter().filter_map(|path| target(module, path, &modules)).collect())
            })
            .collect();
        // Remove files that use only removed files; the remaining ones form a circle.
        while let Some(free) = uses.iter().position(|(_, used)| used.is_empty()) {
            let (gone, _) = uses.swap_remove(free);
            uses.iter_mut().for_each(|(_, used)| used.retain(|module| module != gone));
        }
        complaints.extend(uses.iter().map(|(module, used)| {
            let used: Vec<String> = used.iter().map(|module| module.join("::")).collect();
            format!("{name}: {} is in a circle, or uses one: {}", module.join("::"), used.join(", "))
        }));
    }
    none(&complaints);
}

#[test]
fn rust_files_stay_short_enough_to_read() {
    let complaints: Vec<String> = with_extension(&["rs"])
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_RUST_FILE)
        .map(|(path, lines)| format!("{}: {lines} lines, at most {LONGEST_RUST_FILE}", path.display()))
        .collect();
    none(&complaints);
}

#[test]
fn whatever_is_left_for_later_has_an_issue() {
    let marker = concat!("TO", "DO");
    let mut complaints = Vec::new();
    for (path, text) in
        with_extension(&["rs", "ts", "tsx", "js", "mjs", "cjs", "sql", "sh", "toml", "css", "html"])
    {
        for (number, line) in text.lines().enumerate() {
            let unnumbered = line.match_indices(marker).any(|(at, _)| {
                let rest = line[at + marker.len()..].trim_start_matches(['(', ' ', ':']);
                !rest.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            });
            if unnumbered {
                complaints.push(format!("{}:{}: {marker} without (#issue)", path.display(), number + 1));
            }
        }
    }
    none(&complaints);
}

#[test]
fn lock_files_of_npm_name_no_download_addresses() {
    let complaints: Vec<String> = with_extension(&["json"])
        .iter()
        .filter(|(path, text)| path.ends_with("package-lock.json") && text.contains("\"resolved\": \"http"))
        .map(|(path, _)| format!("{}: run npm install with the .npmrc of the root", path.display()))
        .collect();
    none(&complaints);
}

#[test]
fn no_text_of_ours_names_the_host_of_a_package_registry() {
    // In parts, so that this file does not match itself.
    let hosts = [
        concat!("registry.", "npmjs"),
        concat!("registry.", "yarnpkg"),
        concat!("files.", "pythonhosted"),
        concat!("pypi", ".org"),
        concat!("proxy.", "golang"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
    ];
    let extensions = [
        "rs", "toml", "md", "json", "ts", "tsx", "js", "mjs", "cjs", "sh", "yml", "yaml", "html", "css",
        "lock", "npmrc",
    ];
    let mut complaints = Vec::new();
    for (path, text) in with_extension(&extensions) {
        for host in hosts.iter().filter(|host| text.contains(**host)) {
            complaints.push(format!("{}: names {host}…", path.display()));
        }
    }
    none(&complaints);
}

#[test]
fn links_between_our_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for (path, text) in with_extension(&["md"]) {
        let folder = path.parent().expect("a file lies in a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:") || file.is_empty();
            if !elsewhere && !root().join(&folder).join(file).exists() {
                complaints.push(format!("{}: {target}", path.display()));
            }
        }
    }
    none(&complaints);
}
