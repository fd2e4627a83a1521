//! `sojourn mailbox`: prints a link to the development mailbox.

use clap::Args;
use serde_json::json;

use super::ServerArguments;
use crate::{client::Client, failure::Failure, output};

#[derive(Debug, Args)]
pub struct MailboxArguments {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Prints a new one-time link that opens the mailbox in a browser.
pub async fn run(arguments: &MailboxArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let answer = client.post("/dev/mailbox/links", &json!({})).await;
    let answer = answer.map_err(|refused| refused.while_doing("cannot make a link to the mailbox"))?;
    match arguments.json {
        true => output::line(&answer.to_string()),
        false => output::line(answer["url"].as_str().unwrap_or_default()),
    }
}
