//! `sojourn settings pull|push|diff|history|rollback`: settings as code, with their history.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use sojourn_core::settings::{Difference, differences};

use super::file;
use super::remote::{Remote, between, lines, report};
use crate::client::Client;
use crate::command::ServerArguments;
use crate::command::confirm::confirm;
use crate::command::sessions::time;
use crate::failure::{Exit, Failure};
use crate::output;

const FILE: &str = "sojourn.settings.toml";
const HISTORY: &str = "/v1/instance/settings_history";

#[derive(Debug, Args)]
pub struct PullArguments {
    /// Where to; - is stdout
    #[arg(long, value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Replace a file that says something else than what is in force
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct PushArguments {
    /// The file to put into force
    #[arg(value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    #[command(flatten)]
    terms: TermsArguments,
}

/// On what terms the settings are changed.
#[derive(Debug, Args)]
pub struct TermsArguments {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Change nothing; say what the change would do
    #[arg(long)]
    dry_run: bool,
    /// The server's answer as one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct DiffArguments {
    /// A file, or the number of a version, to compare with what is in force
    #[arg(value_name = "FILE|VERSION", default_value = FILE)]
    other: String,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// At most so many versions
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Skip so many
    #[arg(long, default_value_t = 0)]
    offset: u32,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// The version whose content is to be in force again
    #[arg(value_name = "VERSION")]
    earlier: u64,
    #[command(flatten)]
    pub terms: TermsArguments,
}

impl PushArguments {
    pub fn json(&self) -> bool {
        self.terms.json
    }
}

pub async fn pull(arguments: &PullArguments) -> Result<(), Failure> {
    let remote = Remote::find(&arguments.server).await?;
    let (version, config) = remote.config().await?;
    let text = file::write(version, &config, &remote.schema().await?);
    if arguments.file == Path::new("-") {
        return output::line(text.trim_end());
    }
    let shown = arguments.file.display();
    if arguments.file.exists() && !arguments.force {
        let old = read(&arguments.file)?;
        let lost = differences(&file::overlay(&config, &old.1.config), &config);
        if !lost.is_empty() {
            return Err(Failure::new(
                Exit::Rejected,
                "settings_file_differs",
                format!("{shown} was left as it is"),
            )
            .because(format!("it says what is not in force:\n{}", lines(&lost)))
            .next(
                "sojourn settings push, to put it into force\nsojourn settings pull --force, to replace it",
            ));
        }
    }
    write(&arguments.file, &text)?;
    output::note(&format!("version {version} is in {shown}"));
    Ok(())
}

pub async fn push(arguments: &PushArguments) -> Result<(), Failure> {
    let (text, given) = read(&arguments.file)?;
    let terms = &arguments.terms;
    let remote = Remote::find(&terms.server).await?;
    let (current, config) = remote.config().await?;
    let expected = given.version.unwrap_or(current);
    let wanted = file::overlay(&config, &given.config);
    let mut dry = remote.replace(expected, &wanted, true).await?;
    let changes = between(&dry["before"], &dry["after"]);
    dry["changes"] = json!(changes);
    if !propose(&dry, &changes, terms)? {
        return Ok(());
    }
    let mut answer = remote.replace(expected, &wanted, false).await?;
    answer["changes"] = json!(changes);
    let version = answer["config_version"].as_str().and_then(|version| version.parse().ok());
    // The file now equals the settings in force, so the next push is based on this version.
    if let (Some(version), Some(_)) = (version, given.version) {
        write(&arguments.file, &file::with_version(&text, version))?;
    }
    in_force(&answer, answer["config_version"].as_str().unwrap_or("?"), terms)
}

pub async fn rollback(arguments: &RollbackArguments) -> Result<(), Failure> {
    let terms = &arguments.terms;
    let client = Client::find(&terms.server)?;
    let path = format!("{HISTORY}/{}/rollback", arguments.earlier);
    let refused = |refused: crate::client::Refused| {
        refused.while_doing(&format!("cannot roll back to version {}", arguments.earlier))
    };
    let current = client.get("/v1/instance/session_settings", &[]).await.map_err(refused)?;
    let current = current["version"].as_u64().unwrap_or_default();
    let send = async |dry_run: bool| {
        let query = [("dry_run", dry_run.to_string())];
        client.change_version(Method::POST, &path, &query, current, None).await.map_err(refused)
    };
    let dry = send(true).await?;
    let changes = between(&dry["before"], &dry["after"]);
    if !propose(&dry, &changes, terms)? {
        return Ok(());
    }
    let answer = send(false).await?;
    in_force(&answer, &answer["version"].to_string(), terms)
}

/// Shows the effect of a change and asks for confirmation; false if there is no change.
fn propose(dry: &Value, changes: &[Difference], terms: &TermsArguments) -> Result<bool, Failure> {
    if terms.json && (terms.dry_run || changes.is_empty()) {
        output::line(&dry.to_string())?;
        return Ok(false);
    }
    if changes.is_empty() {
        output::note("nothing differs from what is in force");
        return Ok(false);
    }
    if !terms.json {
        output::line(&lines(changes))?;
        report(dry);
    }
    if terms.dry_run {
        output::note("nothing was changed");
        return Ok(false);
    }
    confirm(terms.yes, "Change the settings?")?;
    Ok(true)
}

fn in_force(answer: &Value, version: &str, terms: &TermsArguments) -> Result<(), Failure> {
    if terms.json {
        return output::line(&answer.to_string());
    }
    output::note(&format!("version {version} is in force"));
    Ok(())
}

pub async fn diff(arguments: &DiffArguments) -> Result<(), Failure> {
    let remote = Remote::find(&arguments.server).await?;
    let (current, config) = remote.config().await?;
    let (changes, what) = match arguments.other.parse::<u64>() {
        Ok(version) => {
            let found = remote.client.get(&format!("{HISTORY}/{version}"), &[]).await;
            let found =
                found.map_err(|refused| refused.while_doing(&format!("cannot read version {version}")))?;
            let earlier = found["config"].as_object().cloned().unwrap_or_default();
            (
                differences(&earlier, &config),
                format!("version {version} and version {current}, which is in force,"),
            )
        }
        Err(_) => {
            let (_, given) = read(Path::new(&arguments.other))?;
            let wanted = file::overlay(&config, &given.config);
            (
                differences(&config, &wanted),
                format!("version {current}, which is in force, and {}", arguments.other),
            )
        }
    };
    if arguments.json {
        output::line(&json!({ "changes": changes }).to_string())?;
    } else if !changes.is_empty() {
        output::line(&lines(&changes))?;
    }
    match changes.len() {
        0 => Ok(()),
        count => Err(Failure::new(Exit::Differs, "settings_differ", format!("{what} differ"))
            .because(format!("in {count} of the settings"))),
    }
}

pub async fn history(arguments: &HistoryArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let query = [("limit", arguments.limit.to_string()), ("offset", arguments.offset.to_string())];
    let history = client
        .get(HISTORY, &query)
        .await
        .map_err(|refused| refused.while_doing("cannot read the history of the settings"))?;
    if arguments.json {
        return output::line(&history.to_string());
    }
    let versions = history["data"].as_array().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for version in &versions {
        rows.extend(rows_of(version));
    }
    output::line(&output::table(&["VERSION", "SAVED", "AUTHOR", "CHANGES"], &rows))?;
    let total = history["total_count"].as_u64().unwrap_or_default();
    let shown = u64::from(arguments.offset) + versions.len() as u64;
    if shown < total {
        output::note(&format!("{} of {total}; more: --offset {shown}", versions.len()));
    }
    Ok(())
}

/// One row for the version, and one for each further change.
fn rows_of(version: &Value) -> Vec<Vec<String>> {
    let text = |name: &str| version[name].as_str().unwrap_or_default().to_owned();
    let no_changes = Vec::new();
    let changes = version["changes"].as_array().unwrap_or(&no_changes);
    let mut told: Vec<String> = changes
        .iter()
        .map(|one| {
            let path = one["path"].as_str().unwrap_or_default();
            format!("{path}: {} -> {}", one["before"], one["after"])
        })
        .collect();
    if let Some(earlier) = version["restores"].as_u64() {
        told.insert(0, format!("(back to version {earlier})"));
    }
    if version["ended_all_sessions"] == true {
        told.insert(0, "(everybody signed out)".to_owned());
    }
    if told.is_empty() {
        told.push("-".to_owned());
    }
    let mut head = vec![version["version"].to_string(), time(version["saved_at"].as_i64()), text("author")];
    let rows = told.into_iter().map(|line| {
        let mut row = std::mem::replace(&mut head, vec![String::new(); 3]);
        row.push(line);
        row
    });
    rows.collect()
}

fn read(path: &Path) -> Result<(String, file::SettingsFile), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Usage, "settings_file_not_readable", format!("cannot read {}", path.display()))
            .because(error.to_string())
            .next("sojourn settings pull writes it")
    })?;
    let given = file::read(&path.display().to_string(), &text)?;
    Ok((text, given))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::new(Exit::Other, "settings_file_not_writable", format!("cannot write {}", path.display()))
            .because(error.to_string())
            .next("give --file a path that can be written, or - for stdout")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_with_several_changes_is_told_in_as_many_rows() {
        let version = json!({
            "version": 4, "author": "cli:ada", "saved_at": 1_790_000_000_000_i64, "restores": 1,
            "changes": [{"path": "a.b", "before": null, "after": 1}, {"path": "c", "before": "x", "after": null}],
        });
        let rows = rows_of(&version);
        assert_eq!(rows[0], ["4", "2026-09-21T14:13:20Z", "cli:ada", "(back to version 1)"]);
        assert_eq!(rows[1..], [["", "", "", "a.b: null -> 1"], ["", "", "", "c: \"x\" -> null"]]);
        assert_eq!(rows_of(&json!({"version": 1}))[0][3], "-");
    }
}
