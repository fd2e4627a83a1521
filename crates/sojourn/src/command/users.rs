//! `sojourn users`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sojourn_core::settings::parse_duration;

use super::confirm::confirm;
use super::sessions::time;
use super::{PageArguments, ServerArguments};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// List users, newest first
    List(ListArguments),
    /// Create a user with a verified e-mail address
    Create(CreateArguments),
    /// Print a one-time link by which somebody of your staff acts as a user
    Impersonate(ImpersonateArguments),
    /// Print everything that is stored about a user, as JSON, without digests and secrets
    Export(ExportArguments),
    /// Delete a user; the sessions end at once
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Part of a name, an address or an id
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    page: PageArguments,
    /// The users as one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Id such as user_2kX…, or an e-mail address of the user
    user: String,
    /// In one line, and failures as JSON, too
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Id such as user_2kX…, or an e-mail address of the user
    user: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The deleted object as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// E-mail address; with +clerk_test in it the code is 424242
    #[arg(long)]
    email: String,
    /// Password; other users of this machine can see it while the command runs
    #[arg(long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    #[arg(long, value_name = "NAME")]
    last_name: Option<String>,
    /// The whole user as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct ImpersonateArguments {
    /// Id such as user_2kX…, or an e-mail address of the user
    user: String,
    /// Who really acts: an id or a name, told to the application and to the log
    #[arg(long, value_name = "SUB")]
    actor: String,
    /// The longest that the session lives, such as 30m; 10 minutes without activity end it, too
    #[arg(long = "for", value_name = "DURATION", default_value = "30m", value_parser = parse_duration)]
    longest: u64,
    /// The whole actor token as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl UsersCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Create(arguments) => arguments.json,
            Self::Impersonate(arguments) => arguments.json,
            Self::Export(arguments) => arguments.json,
            Self::Delete(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &UsersCommand) -> Result<(), Failure> {
    match command {
        UsersCommand::List(arguments) => list(arguments).await,
        UsersCommand::Create(arguments) => create(arguments).await,
        UsersCommand::Impersonate(arguments) => impersonate(arguments).await,
        UsersCommand::Export(arguments) => export(arguments).await,
        UsersCommand::Delete(arguments) => delete(arguments).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let mut query = vec![
        ("order_by", "-created_at".to_owned()),
        ("limit", arguments.page.limit.to_string()),
        ("offset", arguments.page.offset.to_string()),
    ];
    query.extend(arguments.query.iter().map(|text| ("query", text.clone())));
    let answer = client
        .get("/v1/users", &query)
        .await
        .map_err(|refused| refused.while_doing("cannot list the users"))?;
    if arguments.json {
        return output::line(&answer.to_string());
    }
    let users = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if users.is_empty() {
        output::note("no users match");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = users.iter().map(row).collect();
    output::line(&output::table(&["ID", "E-MAIL", "NAME", "CREATED", "LAST ACTIVE", "STATUS"], &rows))?;
    if users.len() == arguments.page.limit as usize {
        output::note(&format!("more: --offset {}", arguments.page.offset + arguments.page.limit));
    }
    Ok(())
}

fn row(user: &Value) -> Vec<String> {
    let text = |name: &str| user[name].as_str().unwrap_or_default();
    let addresses = user["email_addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let primary = addresses.iter().find(|address| address["id"] == user["primary_email_address_id"]);
    let email = primary.and_then(|address| address["email_address"].as_str()).unwrap_or("-");
    let name = format!("{} {}", text("first_name"), text("last_name"));
    let status = match (user["banned"] == true, user["locked"] == true) {
        (true, _) => "banned",
        (false, true) => "locked",
        (false, false) => "-",
    };
    vec![
        text("id").to_owned(),
        email.to_owned(),
        name.trim().to_owned(),
        time(user["created_at"].as_i64()),
        time(user["last_active_at"].as_i64()),
        status.to_owned(),
    ]
}

async fn create(arguments: &CreateArguments) -> Result<(), Failure> {
    let password = match (&arguments.password, arguments.password_stdin) {
        (Some(password), _) => Some(password.clone()),
        (None, true) => Some(first_line_of_stdin()?),
        (None, false) => None,
    };
    let client = Client::find(&arguments.server)?;
    let mut body = json!({ "email_address": [arguments.email] });
    let optional =
        [("password", &password), ("first_name", &arguments.first_name), ("last_name", &arguments.last_name)];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = Value::from(value.as_str());
        }
    }
    // Without a password the user signs in by a code, so the server must not require a password.
    if password.is_none() {
        body["skip_password_requirement"] = Value::from(true);
    }
    let user = client
        .post("/v1/users", &body)
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot create the user {}", arguments.email)))?;
    if arguments.json {
        return output::line(&user.to_string());
    }
    output::line(user["id"].as_str().unwrap_or_default())?;
    output::note(&format!("created {}", arguments.email));
    Ok(())
}

async fn impersonate(arguments: &ImpersonateArguments) -> Result<(), Failure> {
    let ImpersonateArguments { user, actor, longest, .. } = arguments;
    let client = Client::find(&arguments.server)?;
    let body = json!({
        "user_id": user_id(&client, user).await?,
        "actor": { "sub": actor },
        "session_max_duration_in_seconds": longest,
    });
    let token = client
        .post("/v1/actor_tokens", &body)
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot make a link to act as {user}")))?;
    if arguments.json {
        return output::line(&token.to_string());
    }
    output::line(token["url"].as_str().unwrap_or_default())?;
    output::note(&format!("good once, within an hour; who opens it acts as {user} and is logged as {actor}"));
    Ok(())
}

async fn export(arguments: &ExportArguments) -> Result<(), Failure> {
    let ExportArguments { user, json, server } = arguments;
    let client = Client::find(server)?;
    let id = user_id(&client, user).await?;
    let data = client
        .get(&format!("/v1/users/{id}/export"), &[])
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot export {user}")))?;
    output::line(&if *json { data.to_string() } else { format!("{data:#}") })
}

async fn delete(arguments: &DeleteArguments) -> Result<(), Failure> {
    let DeleteArguments { user, yes, json, server } = arguments;
    let client = Client::find(server)?;
    let id = user_id(&client, user).await?;
    confirm(*yes, &format!("Delete {user} for good, and end all sessions?"))?;
    let deleted = client
        .delete(&format!("/v1/users/{id}"))
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot delete {user}")))?;
    if *json {
        return output::line(&deleted.to_string());
    }
    output::line(&id)?;
    output::note(&format!("deleted {user}; what is kept for how long: docs/backup.md"));
    Ok(())
}

/// The id of a user that is given by id or address.
async fn user_id(client: &Client, user: &str) -> Result<String, Failure> {
    if !user.contains('@') {
        return Ok(user.to_owned());
    }
    let found = client
        .get("/v1/users", &[("email_address", user.to_owned())])
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot look up {user}")))?;
    found[0]["id"].as_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::NotFound, "user_not_found", format!("there is no user {user}"))
            .because("no account of this instance has that e-mail address")
            .next("check the address, or give the user's id")
    })
}

fn first_line_of_stdin() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    let password = line.trim_end_matches(['\r', '\n']);
    match read {
        Ok(_) if !password.is_empty() => Ok(password.to_owned()),
        Ok(_) => Err(Failure::new(Exit::Usage, "password_missing", "stdin holds no password")
            .because("--password-stdin reads its first line, and that is empty")
            .next("printf '%s\\n' \"$PASSWORD\" | sojourn users create --password-stdin …")),
        Err(error) => {
            Err(Failure::new(Exit::Usage, "password_missing", "cannot read the password from stdin")
                .because(error.to_string()))
        }
    }
}
