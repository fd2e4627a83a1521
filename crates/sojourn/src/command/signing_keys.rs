//! `sojourn keys signing`: the keys that sign session tokens.

use clap::{Args, Subcommand};
use serde_json::json;
use sojourn_api::{Page, SigningKey};
use sojourn_core::settings::parse_duration;

use super::ServerArguments;
use super::confirm::confirm;
use super::sessions::time;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

const KEYS: &str = "/v1/instance/signing_keys";

#[derive(Debug, Subcommand)]
pub enum SigningKeysCommand {
    /// List the keys that sign session tokens
    List(ListArguments),
    /// Replace the key that signs; no token is refused, unless --emergency
    Rotate(RotateArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct RotateArguments {
    /// Withdraw all older keys at once: every token that is out is refused within minutes
    #[arg(long, conflicts_with_all = ["wait", "keep"])]
    emergency: bool,
    /// How long the new key is published before it signs
    #[arg(long, value_name = "DURATION", default_value = "65m", value_parser = parse_duration)]
    wait: u64,
    /// How long the old key stays published after that
    #[arg(long, value_name = "DURATION", default_value = "31d", value_parser = parse_duration)]
    keep: u64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// All keys as one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub async fn run(command: &SigningKeysCommand) -> Result<(), Failure> {
    match command {
        SigningKeysCommand::List(arguments) => list(arguments).await,
        SigningKeysCommand::Rotate(arguments) => rotate(arguments).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let keys =
        client.get(KEYS, &[]).await.map_err(|refused| refused.while_doing("cannot list the signing keys"))?;
    show(&keys, arguments.json)
}

async fn rotate(arguments: &RotateArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let body = if arguments.emergency {
        confirm(
            arguments.yes,
            "Every session token that is out is refused as soon as an application reads the keys again, five \
             minutes at most with the JavaScript SDKs and an hour with those for Go and Rust. Browsers get \
             new tokens by themselves; nobody is signed out. Applications that hold the public key in their \
             configuration (CLERK_JWT_KEY) refuse everybody until they get the new one. Go on?",
        )?;
        json!({"emergency": true})
    } else {
        json!({"wait_seconds": arguments.wait, "keep_seconds": arguments.keep})
    };
    let doing = "cannot rotate the signing key";
    let path = format!("{KEYS}/rotate");
    let keys = client.post(&path, &body).await.map_err(|refused| refused.while_doing(doing))?;
    show(&keys, arguments.json)?;
    if !arguments.json && !arguments.emergency {
        output::note(
            "applications that hold the public key in their configuration (CLERK_JWT_KEY) need the new one \
             before it signs: sojourn keys signing list --json",
        );
    }
    Ok(())
}

fn show(keys: &serde_json::Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return output::line(&keys.to_string());
    }
    let page: Page<SigningKey> = serde_json::from_value(keys.clone()).map_err(|error| {
        Failure::new(Exit::Other, "answer_unreadable", "the server's answer cannot be read")
            .because(error.to_string())
            .next("use the command line of the server's version")
    })?;
    let rows: Vec<Vec<String>> = page.data.into_iter().map(row).collect();
    output::line(&output::table(&["ID", "STATUS", "CREATED", "SIGNS FROM", "PUBLISHED UNTIL"], &rows))
}

fn row(key: SigningKey) -> Vec<String> {
    let until = key.published_until.map_or_else(|| "-".to_owned(), |at| time(Some(at.0)));
    vec![key.id, key.status, time(Some(key.created_at.0)), time(Some(key.signs_from.0)), until]
}
