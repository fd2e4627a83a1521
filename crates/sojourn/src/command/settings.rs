//! `sojourn settings`: the session settings, the session token and all other settings.

mod file;
mod remote;
mod simulate;
mod versions;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use sojourn_core::nearest::nearest;
use sojourn_core::settings::registry::{self, insert_at, is_below, value_at};
use sojourn_core::settings::{Kind, SETTINGS, Setting};

use self::remote::{Remote, between, report};
use super::ServerArguments;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::output;

/// The maximum number of attempts of `set` if other versions come into force meanwhile.
const ATTEMPTS: u32 = 5;

#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show all settings, or those under one key
    Get(GetArguments),
    /// Change settings at once, such as session_settings.inactivity_timeout=30m
    Set(SetArguments),
    /// Write all settings to a file, to edit and to keep in version control
    Pull(versions::PullArguments),
    /// Put the settings of a file into force, after showing what that does
    Push(versions::PushArguments),
    /// Compare a file or an earlier version with what is in force; exit 9 where they differ
    Diff(versions::DiffArguments),
    /// List who changed what and when, newest first
    History(versions::HistoryArguments),
    /// Put the content of an earlier version into force again, as a new version
    Rollback(versions::RollbackArguments),
    /// Say when and why a user has to sign in, given limits and a pattern of use
    Simulate(simulate::SimulateArguments),
}

#[derive(Debug, Args)]
pub struct GetArguments {
    /// A key or the beginning of one, such as session_settings.inactivity_timeout
    key: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct SetArguments {
    /// KEY=VALUE; a limit takes a duration or off: session_settings.maximum_lifetime=7d
    #[arg(required = true, value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Change nothing; say what the change would do
    #[arg(long)]
    dry_run: bool,
    /// The server's answer as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl SettingsCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::Get(arguments) => arguments.json,
            Self::Set(arguments) => arguments.json,
            Self::Pull(_) => false,
            Self::Push(arguments) => arguments.json(),
            Self::Diff(arguments) => arguments.json,
            Self::History(arguments) => arguments.json,
            Self::Rollback(arguments) => arguments.terms.json,
            Self::Simulate(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &SettingsCommand) -> Result<(), Failure> {
    match command {
        SettingsCommand::Get(arguments) => get(arguments).await,
        SettingsCommand::Set(arguments) => set(arguments).await,
        SettingsCommand::Pull(arguments) => versions::pull(arguments).await,
        SettingsCommand::Push(arguments) => versions::push(arguments).await,
        SettingsCommand::Diff(arguments) => versions::diff(arguments).await,
        SettingsCommand::History(arguments) => versions::history(arguments).await,
        SettingsCommand::Rollback(arguments) => versions::rollback(arguments).await,
        SettingsCommand::Simulate(arguments) => simulate::simulate(arguments).await,
    }
}

async fn get(arguments: &GetArguments) -> Result<(), Failure> {
    let wanted = arguments.key.as_deref().unwrap_or_default();
    let settings: Vec<&Setting> =
        SETTINGS.iter().filter(|one| one.path == wanted || is_below(one.path, wanted)).collect();
    if settings.is_empty() {
        return Err(unknown(wanted));
    }
    let (_, config) = Remote::find(&arguments.server).await?.config().await?;
    let values = settings.iter().map(|setting| (setting.path, value_at(&config, setting.path)));
    if arguments.json {
        let mut nested = Map::new();
        values.for_each(|(path, value)| insert_at(&mut nested, path, value.clone()));
        return output::line(&Value::Object(nested).to_string());
    }
    match values.collect::<Vec<_>>().as_slice() {
        // One key was requested: print only the value, for scripts.
        [(path, value)] if *path == wanted => {
            output::line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        }
        values => {
            let lines: Vec<String> = values.iter().map(|(path, value)| as_toml(path, value)).collect();
            output::line(&lines.join("\n"))
        }
    }
}

/// A line in the syntax of `sojourn.toml`, so that the output can be used as a file.
fn as_toml(path: &str, value: &Value) -> String {
    if value.is_null() {
        return format!("# {path} is not set");
    }
    match toml::Value::try_from(value) {
        Ok(value) => format!("{path} = {value}"),
        Err(_) => format!("{path} = {value}"),
    }
}

async fn set(arguments: &SetArguments) -> Result<(), Failure> {
    let assigned = assigned(&arguments.assignments)?;
    let remote = Remote::find(&arguments.server).await?;
    let mut attempts = 0;
    let mut answer = loop {
        attempts += 1;
        let (version, config) = remote.config().await?;
        let wanted = file::overlay(&config, &assigned);
        match remote.replace(version, &wanted, arguments.dry_run).await {
            // Another administrator changed other settings meanwhile: read them again and apply
            // this change to them.
            Err(failure) if failure.code == "conflict" && attempts < ATTEMPTS => {}
            answer => break answer?,
        }
    };
    let changes = between(&answer["before"], &answer["after"]);
    if arguments.json {
        answer["changes"] = json!(changes);
        return output::line(&answer.to_string());
    }
    report(&answer);
    output::note(if arguments.dry_run { "nothing was changed" } else { "changed" });
    Ok(())
}

/// Parses assignments into a partial configuration.
fn assigned(assignments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut assigned = Map::new();
    for assignment in assignments {
        let Some((path, text)) = assignment.split_once('=') else {
            return Err(Failure::new(
                Exit::Usage,
                "assignment_invalid",
                format!("\"{assignment}\" is not KEY=VALUE"),
            )
            .because("each argument sets one key")
            .next("sojourn settings set session_settings.inactivity_timeout=30m"));
        };
        for (path, text) in expand(path.trim(), text.trim()) {
            let kind = registry::find(&path).ok_or_else(|| unknown(&path))?.kind;
            // An empty value removes an address.
            let read = match kind {
                Kind::Address | Kind::EmailAddress if text.is_empty() => Ok(Value::Null),
                _ => config::from_text(kind, &text),
            };
            let value = read.map_err(|why| {
                Failure::new(Exit::Usage, "value_invalid", format!("{path} cannot be \"{text}\""))
                    .because(why)
                    .next(format!("give {}", config::example(kind)))
            })?;
            insert_at(&mut assigned, &path, value);
        }
    }
    Ok(assigned)
}

/// Splits `….inactivity_timeout=30m|on|off` into its two keys; other assignments stay unchanged.
fn expand(path: &str, text: &str) -> Vec<(String, String)> {
    let limit = matches!(path, "session_settings.inactivity_timeout" | "session_settings.maximum_lifetime");
    let enabled = |switch: &str| (format!("{path}.enabled"), switch.to_owned());
    match (limit, text) {
        (false, _) if path == "session_settings.ended_sessions_kept" => {
            vec![(format!("{path}_seconds"), text.to_owned())]
        }
        (false, _) => vec![(path.to_owned(), text.to_owned())],
        (true, "off") => vec![enabled("false")],
        (true, "on") => vec![enabled("true")],
        (true, duration) => vec![enabled("true"), (format!("{path}.duration_seconds"), duration.to_owned())],
    }
}

fn unknown(path: &str) -> Failure {
    if config::is_of_the_process(path) {
        return Failure::new(
            Exit::Usage,
            "setting_fixed",
            format!("{path} cannot be changed while the server runs"),
        )
        .because("it is configuration of the process, not a setting of the instance")
        .next("set it in sojourn.toml, the environment or a flag, and start again");
    }
    let failure = Failure::new(Exit::NotFound, "setting_unknown", format!("unknown setting {path}"));
    let below: Vec<&str> = registry::below(path).map(|setting| setting.path).collect();
    if !below.is_empty() {
        return failure.because("it groups several settings").next(below.join("\n"));
    }
    let failure = failure.because("there is no setting of this name");
    match nearest(path, SETTINGS.iter().map(|setting| setting.path)) {
        Some(meant) => failure.next(format!("did you mean {meant}?")),
        None => failure.next("sojourn settings get lists them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(assignments: &[&str]) -> Result<Map<String, Value>, Failure> {
        assigned(&assignments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn assignments_become_one_change_of_the_configuration() {
        let change = set(&[
            "session_settings.inactivity_timeout=1h30m",
            "session_settings.maximum_lifetime=off",
            "auth_email.verify_at_sign_up=false",
            "session.claims={\"a\":\"{{user.id}}\"}",
            "session_settings.multi_session_enabled=true",
            "session_settings.activity=visible",
            "session_settings.ended_sessions_kept=30d",
            "paths.home_url=",
            "allowed_origins=https://a.example.com, https://b.example.com",
        ])
        .expect("valid");
        assert_eq!(
            Value::Object(change),
            json!({
                "session_settings": {
                    "inactivity_timeout": { "enabled": true, "duration_seconds": 5400 },
                    "maximum_lifetime": { "enabled": false },
                    "multi_session_enabled": true,
                    "activity": "visible",
                    "ended_sessions_kept_seconds": 2_592_000,
                },
                "auth_email": { "verify_at_sign_up": false },
                "paths": { "home_url": null },
                "session": { "claims": { "a": "{{user.id}}" } },
                "allowed_origins": ["https://a.example.com", "https://b.example.com"],
            })
        );
    }

    #[test]
    fn what_cannot_be_set_says_what_can() {
        let rows = [
            "session_settings.inactivity_timeout",
            "session_settings.inactivity_timeout=soon",
            "session_settings.inactivity_timout=30m",
            "session_settings=30m",
            "multi_session_enabled=true",
            "session_settings.multi_session_enabled=yes",
            "port=4001",
        ];
        let said: Vec<String> = rows.iter().map(|row| set(&[row]).expect_err(row).to_string()).collect();
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
