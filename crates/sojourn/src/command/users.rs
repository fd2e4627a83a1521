//! `sojourn users`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ServerArguments;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Create a user with a verified e-mail address
    Create(CreateArguments),
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

impl UsersCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::Create(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &UsersCommand) -> Result<(), Failure> {
    match command {
        UsersCommand::Create(arguments) => create(arguments).await,
    }
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
    // Without a password the user signs in by a code; the server must not ask for one.
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
