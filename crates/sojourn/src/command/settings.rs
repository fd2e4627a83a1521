//! `sojourn settings`: the session settings, the session token and the rest.

mod file;
mod remote;
mod simulate;
mod versions;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ServerArguments;
use crate::client::Client;
use crate::config::{self, Document, KEYS, Kind};
use crate::failure::{Exit, Failure};
use crate::output;

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
    /// The server's answers as one JSON object
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
    let keys: Vec<&config::Key> = KEYS
        .iter()
        .filter(|key| key.document.is_some())
        .filter(|key| wanted.is_empty() || key.path == wanted || key.path.starts_with(&format!("{wanted}.")))
        .collect();
    if keys.is_empty() {
        return Err(unknown(wanted));
    }
    let client = Client::find(&arguments.server)?;
    let mut values: Vec<(&str, Value)> = Vec::new();
    for document in Document::ALL {
        let of_document = || keys.iter().filter(|key| key.document == Some(document));
        if of_document().next().is_none() {
            continue;
        }
        let answer = client
            .get(document.path(), &[])
            .await
            .map_err(|refused| refused.while_doing("cannot read the settings"))?;
        for key in of_document() {
            let inside = key.path.strip_prefix(document.prefix()).unwrap_or(key.path);
            let pointer = format!("/{}", inside.replace('.', "/"));
            values.push((key.path, answer.pointer(&pointer).cloned().unwrap_or(Value::Null)));
        }
    }
    if arguments.json {
        let mut nested = json!({});
        for (path, value) in values {
            insert(&mut nested, path, value);
        }
        return output::line(&nested.to_string());
    }
    match values.as_slice() {
        // One key asked for: the bare value, for scripts.
        [(path, value)] if *path == wanted => {
            output::line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        }
        _ => {
            let lines: Vec<String> = values.iter().map(|(path, value)| as_toml(path, value)).collect();
            output::line(&lines.join("\n"))
        }
    }
}

/// A line as `sojourn.toml` takes it, so that the output can become a file.
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
    let changes = changes(&arguments.assignments)?;
    let client = Client::find(&arguments.server)?;
    let query: Vec<(&str, String)> =
        if arguments.dry_run { vec![("dry_run", "true".to_owned())] } else { Vec::new() };
    let mut answers = Map::new();
    let mut done: Vec<&str> = Vec::new();
    for (document, body) in &changes {
        let answer = client.patch(document.path(), &query, body).await.map_err(|refused| {
            let before = if done.is_empty() || arguments.dry_run {
                String::new()
            } else {
                format!(" (already changed: {})", done.join(", "))
            };
            refused.while_doing(&format!("cannot change the settings{before}"))
        })?;
        if !arguments.json {
            remote::report(&answer);
        }
        let name = document.path().rsplit('/').next().unwrap_or_default();
        done.push(name);
        answers.insert(name.to_owned(), answer);
    }
    if arguments.json {
        return output::line(&Value::Object(answers).to_string());
    }
    output::note(if arguments.dry_run { "nothing was changed" } else { "changed" });
    Ok(())
}

/// Assignments as the bodies to send, one per document.
fn changes(assignments: &[String]) -> Result<Vec<(Document, Value)>, Failure> {
    let mut bodies: Vec<(Document, Value)> = Vec::new();
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
            let Some((key, document)) =
                config::find(&path).and_then(|key| key.document.map(|document| (key, document)))
            else {
                return Err(unknown(&path));
            };
            // Nothing after "=" takes a text away.
            let read = if text.is_empty() && key.kind == Kind::Text {
                Ok(Value::Null)
            } else {
                config::from_text(key.kind, &text)
            };
            let value = read.map_err(|why| {
                Failure::new(Exit::Usage, "value_invalid", format!("{path} cannot be \"{text}\""))
                    .because(why)
                    .next(format!("give {}", key.kind.example()))
            })?;
            let inside = path.strip_prefix(document.prefix()).unwrap_or(&path).to_owned();
            match bodies.iter_mut().find(|(given, _)| *given == document) {
                Some((_, body)) => insert(body, &inside, value),
                None => {
                    let mut body = json!({});
                    insert(&mut body, &inside, value);
                    bodies.push((document, body));
                }
            }
        }
    }
    Ok(bodies)
}

/// `….inactivity_timeout=30m|on|off` in its two keys; everything else as it is.
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

fn insert(object: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        Some((head, rest)) => {
            if !object[head].is_object() {
                object[head] = json!({});
            }
            insert(&mut object[head], rest, value);
        }
        None => object[path] = value,
    }
}

fn unknown(path: &str) -> Failure {
    if config::find(path).is_some() {
        return Failure::new(
            Exit::Usage,
            "setting_fixed",
            format!("{path} cannot be changed while the server runs"),
        )
        .because("it is configuration of the process, not a setting of the instance")
        .next("set it in sojourn.toml, the environment or a flag, and start again");
    }
    let failure = Failure::new(Exit::NotFound, "setting_unknown", format!("unknown setting {path}"));
    let known = || KEYS.iter().filter(|key| key.document.is_some()).map(|key| key.path);
    if config::is_table(path) {
        let below: Vec<&str> = known().filter(|known| known.starts_with(&format!("{path}."))).collect();
        return failure.because("it groups several settings").next(below.join("\n"));
    }
    let failure = failure.because("there is no setting of this name");
    match config::nearest(path, known()) {
        Some(meant) => failure.next(format!("did you mean {meant}?")),
        None => failure.next("sojourn settings get lists them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(assignments: &[&str]) -> Result<Vec<(Document, Value)>, Failure> {
        changes(&assignments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn assignments_become_one_body_per_document() {
        let bodies = set(&[
            "session_settings.inactivity_timeout=30m",
            "session_settings.maximum_lifetime=off",
            "auth_email.verify_at_sign_up=false",
            "session.claims={\"a\":\"{{user.id}}\"}",
            "session_settings.multi_session_enabled=true",
            "session_settings.activity=visible",
            "session_settings.ended_sessions_kept=30d",
            "paths.home_url=",
        ])
        .expect("valid");
        assert_eq!(
            bodies,
            [
                (
                    Document::SessionSettings,
                    json!({
                        "inactivity_timeout": { "enabled": true, "duration_seconds": 1800 },
                        "maximum_lifetime": { "enabled": false },
                        "multi_session_enabled": true,
                        "activity": "visible",
                        "ended_sessions_kept_seconds": 2_592_000,
                    })
                ),
                (
                    Document::Instance,
                    json!({ "auth_email": { "verify_at_sign_up": false }, "paths": { "home_url": null } })
                ),
                (Document::SessionToken, json!({ "claims": { "a": "{{user.id}}" } })),
            ]
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
