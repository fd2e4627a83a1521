//! `sojourn mail`: mails on their way out, and how they look.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ServerArguments;
use super::sessions::{checked, time};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

const MAILS: &str = "/v1/instance/mails";
const TEMPLATES: &str = "/v1/instance/mail_templates";

#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// List mails on their way out, and what became of those of the last week
    List(ListArguments),
    /// Try a mail again, now, or all that failed
    Retry(RetryArguments),
    /// Send a test mail
    SendTest(SendTestArguments),
    /// Print a mail with sample values
    Preview(PreviewArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only queued, sent or failed ones
    #[arg(long, value_parser = ["queued", "sent", "failed"])]
    status: Option<String>,
    /// At most so many, newest first
    #[arg(long, default_value = "50")]
    limit: u32,
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct RetryArguments {
    /// Such as mail_2kX…
    #[arg(value_name = "ID", required_unless_present = "all_failed", conflicts_with = "all_failed")]
    id: Option<String>,
    /// All that failed and are not too old
    #[arg(long)]
    all_failed: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct SendTestArguments {
    /// Where it goes
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Its language, such as de
    #[arg(long)]
    locale: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct PreviewArguments {
    /// Such as verification_code; without it, what there is
    #[arg(value_name = "TEMPLATE")]
    template: Option<String>,
    /// Its language, such as de
    #[arg(long)]
    locale: Option<String>,
    /// Its HTML instead of its text
    #[arg(long, conflicts_with = "json")]
    html: bool,
    /// As one JSON object, with both
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl MailCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Retry(arguments) => arguments.json,
            Self::SendTest(arguments) => arguments.json,
            Self::Preview(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &MailCommand) -> Result<(), Failure> {
    match command {
        MailCommand::List(arguments) => list(arguments).await,
        MailCommand::Retry(arguments) => retry(arguments).await,
        MailCommand::SendTest(arguments) => send_test(arguments).await,
        MailCommand::Preview(arguments) => preview(arguments).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(arguments.status.clone().map(|status| ("status", status)));
    let mails =
        client.get(MAILS, &query).await.map_err(|refused| refused.while_doing("cannot list the mails"))?;
    if arguments.json {
        return output::line(&mails.to_string());
    }
    let rows: Vec<Vec<String>> = mails["data"].as_array().into_iter().flatten().map(row).collect();
    output::line(&output::table(
        &["ID", "TO", "TEMPLATE", "STATUS", "TRIES", "QUEUED", "NEXT TRY", "REPLY"],
        &rows,
    ))
}

fn row(mail: &Value) -> Vec<String> {
    let text = |name: &str| mail[name].as_str().unwrap_or("-").to_owned();
    vec![
        text("id"),
        text("to"),
        text("template"),
        text("status"),
        mail["tries"].to_string(),
        time(mail["queued_at"].as_i64()),
        time(mail["next_try_at"].as_i64()),
        text("reply"),
    ]
}

async fn retry(arguments: &RetryArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let Some(id) = &arguments.id else {
        let retried = client
            .post(&format!("{MAILS}/retry_failed"), &json!({}))
            .await
            .map_err(|refused| refused.while_doing("cannot try the failed mails again"))?;
        if arguments.json {
            return output::line(&retried.to_string());
        }
        return output::line(&format!("{} tried again", retried["retried"]));
    };
    let id = checked(id, "mail", "sojourn mail list")?;
    let mail = client
        .post(&format!("{MAILS}/{id}/retry"), &json!({}))
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot try {id} again")))?;
    if arguments.json {
        return output::line(&mail.to_string());
    }
    output::line(&format!("{id} is tried again"))?;
    output::note("what becomes of it: sojourn mail list");
    Ok(())
}

async fn send_test(arguments: &SendTestArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let body = match &arguments.locale {
        Some(locale) => json!({"email_address": arguments.address, "locale": locale}),
        None => json!({"email_address": arguments.address}),
    };
    let mail = client
        .post(&format!("{MAILS}/test"), &body)
        .await
        .map_err(|refused| refused.while_doing("cannot send a test mail"))?;
    if arguments.json {
        return output::line(&mail.to_string());
    }
    output::line(mail["id"].as_str().unwrap_or_default())?;
    output::note("queued; what becomes of it: sojourn mail list");
    Ok(())
}

async fn preview(arguments: &PreviewArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let Some(template) = &arguments.template else {
        let kinds = client
            .get(TEMPLATES, &[])
            .await
            .map_err(|refused| refused.while_doing("cannot list the mail templates"))?;
        if arguments.json {
            return output::line(&kinds.to_string());
        }
        let list = |value: &Value| {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        };
        let row = |kind: &Value| {
            vec![
                kind["slug"].as_str().unwrap_or("-").to_owned(),
                list(&kind["locales"]),
                kind["name"].as_str().unwrap_or("-").to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = kinds["data"].as_array().into_iter().flatten().map(row).collect();
        return output::line(&output::table(&["TEMPLATE", "LOCALES", "FOR"], &rows));
    };
    if !template.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Failure::new(Exit::Usage, "template_invalid", format!("\"{template}\" is no template"))
            .next("sojourn mail preview lists them"));
    }
    let query: Vec<_> = arguments.locale.clone().map(|locale| ("locale", locale)).into_iter().collect();
    let mail = client
        .get(&format!("{TEMPLATES}/{template}/preview"), &query)
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot preview {template}")))?;
    let text = |name: &str| mail[name].as_str().unwrap_or_default().to_owned();
    match (arguments.json, arguments.html) {
        (true, _) => output::line(&mail.to_string()),
        (false, true) => output::line(text("html").trim_end()),
        (false, false) => {
            output::line(&format!("Subject: {}\n\n{}", text("subject"), text("text").trim_end()))
        }
    }
}
