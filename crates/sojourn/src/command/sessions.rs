//! `sojourn sessions`: list, inspect and end sessions.

mod inspect;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sojourn_core::settings::parse_duration;

use super::confirm::confirm;
use super::{PageArguments, ServerArguments};
use crate::client::Client;
use crate::clock::SystemClock;
use crate::failure::{Exit, Failure};
use crate::output;

const LIST: &str = "sojourn sessions list";

#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List sessions, of the whole instance or of one user or browser
    List(ListArguments),
    /// Tell who it is, where from, since when, and when it ends or why it ended
    Inspect(InspectArguments),
    /// End sessions; tokens already out live on for at most 60 s
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only sessions of this user
    #[arg(long, value_name = "USER_ID")]
    user: Option<String>,
    /// Only sessions of this browser
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Only sessions in this status, such as active, expired, abandoned, revoked
    #[arg(long)]
    status: Option<String>,
    #[command(flatten)]
    page: PageArguments,
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct InspectArguments {
    /// Such as sess_2kX…
    #[arg(value_name = "ID")]
    id: String,
    /// One object: {"session":{…},"end":{…}}, with null for an end that is still to come
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["ids", "user", "all"]))]
pub struct RevokeArguments {
    /// Ids such as sess_2kX…
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All sessions of this user
    #[arg(long, value_name = "USER_ID")]
    user: Option<String>,
    /// All sessions of everybody
    #[arg(long)]
    all: bool,
    /// End none of --user or --all; say how many it would be
    #[arg(long, conflicts_with = "ids")]
    dry_run: bool,
    /// Do not ask before --all
    #[arg(long, conflicts_with = "ids")]
    yes: bool,
    /// As one JSON object; of ids {"data":[…]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl SessionsCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Inspect(arguments) => arguments.json,
            Self::Revoke(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &SessionsCommand) -> Result<(), Failure> {
    match command {
        SessionsCommand::List(arguments) => list(arguments).await,
        SessionsCommand::Inspect(arguments) => inspect::inspect(arguments).await,
        SessionsCommand::Revoke(arguments) => revoke(arguments).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let mut query = vec![
        ("paginated", "true".to_owned()),
        ("include_end", "true".to_owned()),
        ("limit", arguments.page.limit.to_string()),
        ("offset", arguments.page.offset.to_string()),
    ];
    let filters =
        [("user_id", &arguments.user), ("client_id", &arguments.client), ("status", &arguments.status)];
    for (name, value) in filters {
        if let Some(value) = value {
            query.push((name, value.clone()));
        }
    }
    let answer = client
        .get("/v1/sessions", &query)
        .await
        .map_err(|refused| refused.while_doing("cannot list the sessions"))?;
    if arguments.json {
        return output::line(&answer.to_string());
    }
    let sessions = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    if sessions.is_empty() {
        output::note("no sessions match");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = sessions.iter().map(row).collect();
    output::line(&output::table(&["ID", "STATUS", "USER", "LAST ACTIVE", "END", "REASON"], &rows))?;
    let total = answer["total_count"].as_u64().unwrap_or_default();
    let seen = u64::from(arguments.page.offset) + sessions.len() as u64;
    if total > seen {
        output::note(&format!("{} of {total}; more: --offset {seen}", sessions.len()));
    }
    Ok(())
}

fn row(session: &Value) -> Vec<String> {
    let text = |name: &str| session[name].as_str().unwrap_or("-").to_owned();
    let end = &session["end"];
    // The end time; for an open session, the time at which it ends without further activity.
    let at = end["ended_at"].as_i64().or(ends_at(session).0);
    vec![
        text("id"),
        text("status"),
        text("user_id"),
        time(session["last_active_at"].as_i64()),
        time(at),
        end["reason"].as_str().unwrap_or("-").to_owned(),
    ]
}

/// When an open session ends, and by which limit: the earlier one; the maximum if both are equal.
/// The server's value for a limit that is off is far in the future.
fn ends_at(session: &Value) -> (Option<i64>, &'static str) {
    match (session["expire_at"].as_i64(), session["abandon_at"].as_i64()) {
        (Some(expires), Some(abandoned)) if abandoned < expires => {
            (Some(abandoned), "inactivity timeout, without further activity")
        }
        (expires, _) => (expires, "maximum lifetime"),
    }
}

/// Checks an id before it becomes part of a path, so that it cannot name another path.
pub(super) fn checked<'a>(id: &'a str, kind: &str, list: &str) -> Result<&'a str, Failure> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(id);
    }
    Err(Failure::new(Exit::Usage, "id_invalid", format!("\"{id}\" is no such id"))
        .because(format!("it looks like {kind}_2kX9bvq1…"))
        .next(list))
}

pub(super) fn time(ms: Option<i64>) -> String {
    let timestamp = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A point in time in Unix milliseconds: a time, or so long ago.
pub(super) fn point(given: &str, flag: &str) -> Result<i64, Failure> {
    if let Ok(at) = given.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    match parse_duration(given).ok().and_then(|ago| i64::try_from(ago.saturating_mul(1000)).ok()) {
        Some(ago_ms) => Ok((SystemClock.now_ms() - ago_ms).max(0)),
        None => Err(Failure::new(Exit::Usage, "time_invalid", format!("{flag} cannot be \"{given}\""))
            .because("it is neither a time nor a duration")
            .next(format!("{flag} 2h, or {flag} 2026-11-29T08:00:00Z"))),
    }
}

async fn revoke(arguments: &RevokeArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    match (&arguments.user, arguments.all) {
        (Some(user), _) => return revoke_many(&client, arguments, &json!({ "user_id": user })).await,
        (None, true) => return revoke_many(&client, arguments, &json!({ "all": true })).await,
        (None, false) => {}
    }
    let mut revoked = Vec::new();
    for id in &arguments.ids {
        let id = checked(id, "sess", LIST)?;
        let session = client
            .post(&format!("/v1/sessions/{id}/revoke"), &json!({}))
            .await
            .map_err(|refused| refused.while_doing(&format!("cannot revoke {id}{}", so_far(&revoked))))?;
        if !arguments.json {
            output::line(&format!("{id} {}", session["status"].as_str().unwrap_or("revoked")))?;
        }
        revoked.push(session);
    }
    if arguments.json {
        output::line(&json!({ "data": revoked }).to_string())?;
    }
    Ok(())
}

/// Ends all sessions of a user, or of all users.
async fn revoke_many(client: &Client, arguments: &RevokeArguments, whose: &Value) -> Result<(), Failure> {
    let send = async |dry_run: bool| {
        let answer = client.post_or_try("/v1/sessions/revoke", dry_run, whose).await;
        answer.map_err(|refused| refused.while_doing("cannot end the sessions"))
    };
    let told = |answer: &Value, text: String| {
        if arguments.json { output::line(&answer.to_string()) } else { output::line(&text) }
    };
    if arguments.dry_run || (arguments.all && !arguments.yes) {
        let dry = send(true).await?;
        let would = format!("would end {} sessions", dry["would_end"]);
        if arguments.dry_run {
            return told(&dry, would);
        }
        output::note(&would);
        confirm(arguments.yes, "Sign everybody out?")?;
    }
    let answer = send(false).await?;
    let text = match answer["revoked"].as_u64() {
        Some(count) => format!("{count} sessions ended"),
        None => {
            format!("everybody who was signed in at {} is signed out", time(answer["revoked_at"].as_i64()))
        }
    };
    told(&answer, text)
}

fn so_far(revoked: &[Value]) -> String {
    match revoked.len() {
        0 => String::new(),
        n => format!(" ({n} before it were revoked)"),
    }
}
