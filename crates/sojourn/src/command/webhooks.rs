//! `sojourn webhooks`: receivers of events, and what was sent to them.

mod listen;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use sojourn_core::settings::parse_duration;

use super::ServerArguments;
use super::sessions::{checked, point, time};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

const ENDPOINTS: &str = "/v1/webhooks/endpoints";
const LIST: &str = "sojourn webhooks list";

#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// List the endpoints
    List(ListArguments),
    /// Create an endpoint, and print its signing secret: it is shown once
    Add(AddArguments),
    /// Delete an endpoint
    Remove(IdArguments),
    /// Enable an endpoint that was disabled, after failures or on request
    Enable(IdArguments),
    /// Send nothing to an endpoint until it is enabled again
    Disable(IdArguments),
    /// Send a test event, and print what the endpoint answered
    Test(IdArguments),
    /// Send everything of a period again, with the same ids
    Replay(ReplayArguments),
    /// Print a new signing secret; the one so far signs too for a day
    RotateSecret(RotateArguments),
    /// List what was sent, and what happened
    Deliveries(DeliveriesArguments),
    /// Send a delivery again, with the same id
    Retry(IdArguments),
    /// Send events to a program on this machine until Ctrl-C, and print what happens
    Listen(listen::ListenArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct AddArguments {
    /// Such as https://example.com/api/webhooks
    #[arg(value_name = "URL")]
    receiver: String,
    /// Only these events, such as session.created,session.ended [else: all of the vendor's]
    #[arg(long, value_delimiter = ',', value_name = "EVENTS")]
    events: Vec<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// As one JSON object; the secret is its "secret"
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct IdArguments {
    /// An endpoint such as ep_2kX…, for `retry` a delivery such as msg_2kX…
    #[arg(value_name = "ID")]
    id: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Such as ep_2kX…
    #[arg(value_name = "ID")]
    id: String,
    /// From that long ago, such as 2h, or from a time such as 2026-11-29T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: String,
    /// Until then, written alike [else: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct RotateArguments {
    /// Such as ep_2kX…
    #[arg(value_name = "ID")]
    id: String,
    /// For how long the secret so far signs too, at most 7d; 0s ends it at once
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    overlap: String,
    /// As one JSON object; the secret is its "secret"
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct DeliveriesArguments {
    /// Such as ep_2kX…
    #[arg(value_name = "ID")]
    id: String,
    /// Only queued, delivered or failed ones
    #[arg(long)]
    status: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl WebhooksCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Add(arguments) => arguments.json,
            Self::Remove(arguments)
            | Self::Enable(arguments)
            | Self::Disable(arguments)
            | Self::Test(arguments)
            | Self::Retry(arguments) => arguments.json,
            Self::Replay(arguments) => arguments.json,
            Self::RotateSecret(arguments) => arguments.json,
            Self::Deliveries(arguments) => arguments.json,
            Self::Listen(_) => false,
        }
    }
}

pub async fn run(command: &WebhooksCommand) -> Result<(), Failure> {
    match command {
        WebhooksCommand::List(arguments) => list(arguments).await,
        WebhooksCommand::Add(arguments) => add(arguments).await,
        WebhooksCommand::Remove(arguments) => remove(arguments).await,
        WebhooksCommand::Enable(arguments) => set_enabled(arguments, true).await,
        WebhooksCommand::Disable(arguments) => set_enabled(arguments, false).await,
        WebhooksCommand::Test(arguments) => test(arguments).await,
        WebhooksCommand::Replay(arguments) => replay(arguments).await,
        WebhooksCommand::RotateSecret(arguments) => rotate_secret(arguments).await,
        WebhooksCommand::Deliveries(arguments) => deliveries(arguments).await,
        WebhooksCommand::Retry(arguments) => retry(arguments).await,
        WebhooksCommand::Listen(arguments) => listen::run(arguments).await,
    }
}

fn endpoint_path(id: &str, rest: &str) -> Result<String, Failure> {
    Ok(format!("{ENDPOINTS}/{}{rest}", checked(id, "ep", LIST)?))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let endpoints = client.get(ENDPOINTS, &[]).await;
    let endpoints = endpoints.map_err(|refused| refused.while_doing("cannot list the endpoints"))?;
    if arguments.json {
        return output::line(&endpoints.to_string());
    }
    let rows: Vec<Vec<String>> = endpoints["data"].as_array().into_iter().flatten().map(row).collect();
    output::line(&output::table(&["ID", "URL", "EVENTS", "STATUS"], &rows))
}

fn row(endpoint: &Value) -> Vec<String> {
    let events: Vec<&str> = endpoint["events"].as_array().into_iter().flatten().map(text).collect();
    let status = match (endpoint["disabled_reason"].as_str(), endpoint["failing_since"].as_i64()) {
        (Some("by_request"), _) => "disabled".to_owned(),
        (Some(reason), _) => format!("disabled: {reason}"),
        (None, Some(since)) => format!("failing since {}", time(Some(since))),
        (None, None) => "good".to_owned(),
    };
    vec![
        text(&endpoint["id"]).to_owned(),
        text(&endpoint["url"]).to_owned(),
        if events.is_empty() { "the vendor's".to_owned() } else { events.join(" ") },
        status,
    ]
}

async fn create(
    client: &Client,
    url: &str,
    events: &[String],
    description: Option<&str>,
) -> Result<Value, Failure> {
    let body = json!({"url": url, "events": events, "description": description});
    let created = client.post(ENDPOINTS, &body).await;
    created.map_err(|refused| refused.while_doing("cannot create the endpoint"))
}

async fn add(arguments: &AddArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let description = arguments.description.as_deref();
    let endpoint = create(&client, &arguments.receiver, &arguments.events, description).await?;
    told(&endpoint, arguments.json)
}

/// Prints the secret to stdout, for scripts.
fn told(endpoint: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return output::line(&endpoint.to_string());
    }
    output::line(text(&endpoint["secret"]))?;
    let id = text(&endpoint["id"]);
    output::note(&format!(
        "the signing secret of {id} is shown here and nowhere else; \
         try the endpoint with: sojourn webhooks test {id}"
    ));
    Ok(())
}

async fn remove(arguments: &IdArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let deleted = client.delete(&endpoint_path(&arguments.id, "")?).await;
    let deleted = deleted.map_err(|refused| refused.while_doing("cannot delete the endpoint"))?;
    output::line(&if arguments.json { deleted.to_string() } else { format!("{} deleted", arguments.id) })
}

async fn set_enabled(arguments: &IdArguments, enabled: bool) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let path = endpoint_path(&arguments.id, "")?;
    let changed = client.patch(&path, &json!({ "enabled": enabled })).await;
    let changed = changed.map_err(|refused| refused.while_doing("cannot change the endpoint"))?;
    let word = if enabled { "enabled" } else { "disabled" };
    output::line(&if arguments.json { changed.to_string() } else { format!("{} {word}", arguments.id) })
}

/// How often, and at which interval, a test asks for its result: longer than one attempt may take.
const TEST_LOOKS: u32 = 100;
const TEST_INTERVAL: std::time::Duration = std::time::Duration::from_millis(200);

async fn test(arguments: &IdArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let what = "cannot test the endpoint";
    let queued = client.post(&endpoint_path(&arguments.id, "/test")?, &json!({})).await;
    let mut delivery = queued.map_err(|refused| refused.while_doing(what))?;
    let path = format!("/v1/webhooks/deliveries/{}", text(&delivery["id"]));
    for _ in 0..TEST_LOOKS {
        if !delivery["last_attempt"].is_null() {
            break;
        }
        tokio::time::sleep(TEST_INTERVAL).await;
        delivery = client.get(&path, &[]).await.map_err(|refused| refused.while_doing(what))?;
    }
    if arguments.json {
        return output::line(&delivery.to_string());
    }
    let happened = happened(&delivery);
    if delivery["status"] == "delivered" {
        return output::line(&happened);
    }
    Err(Failure::new(Exit::Other, "webhook_failed", "the endpoint did not accept the test event")
        .because(happened)
        .next(format!("sojourn webhooks deliveries {} shows all attempts; it is tried again", arguments.id)))
}

/// What happened in the last attempt, in one line.
fn happened(delivery: &Value) -> String {
    let attempt = &delivery["last_attempt"];
    if attempt.is_null() {
        return "not attempted yet".to_owned();
    }
    let status = attempt["http_status"].as_u64().map(|status| status.to_string());
    let duration = attempt["duration_ms"].as_u64().unwrap_or_default();
    let why = [&attempt["error"], &attempt["response"]].into_iter().filter_map(Value::as_str);
    let mut parts: Vec<String> = status.into_iter().chain([format!("{duration} ms")]).collect();
    parts.extend(why.filter(|text| !text.is_empty()).map(str::to_owned));
    parts.join(", ")
}

async fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("since".to_owned(), point(&arguments.since, "--since")?.into());
    if let Some(until) = &arguments.until {
        body.insert("until".to_owned(), point(until, "--until")?.into());
    }
    let client = Client::find(&arguments.server)?;
    let replayed = client.post(&endpoint_path(&arguments.id, "/replay")?, &body.into()).await;
    let replayed = replayed.map_err(|refused| refused.while_doing("cannot replay"))?;
    let text = format!("{} deliveries are sent again", replayed["queued"]);
    output::line(&if arguments.json { replayed.to_string() } else { text })
}

async fn rotate_secret(arguments: &RotateArguments) -> Result<(), Failure> {
    let overlap = parse_duration(&arguments.overlap).map_err(|why| {
        Failure::new(Exit::Usage, "duration_invalid", "--overlap is not understood")
            .because(why)
            .next("--overlap 1d")
    })?;
    let client = Client::find(&arguments.server)?;
    let path = endpoint_path(&arguments.id, "/rotate_secret")?;
    let rotated = client.post(&path, &json!({ "overlap_seconds": overlap })).await;
    told(&rotated.map_err(|refused| refused.while_doing("cannot rotate the secret"))?, arguments.json)
}

async fn deliveries(arguments: &DeliveriesArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(arguments.status.clone().map(|status| ("status", status)));
    let page = client.get(&endpoint_path(&arguments.id, "/deliveries")?, &query).await;
    let page = page.map_err(|refused| refused.while_doing("cannot list the deliveries"))?;
    if arguments.json {
        return output::line(&page.to_string());
    }
    let rows: Vec<Vec<String>> = page["data"].as_array().into_iter().flatten().map(delivery_row).collect();
    output::line(&output::table(&["ID", "QUEUED", "EVENT", "STATUS", "ATTEMPTS", "LAST ATTEMPT"], &rows))
}

fn delivery_row(delivery: &Value) -> Vec<String> {
    vec![
        text(&delivery["id"]).to_owned(),
        time(delivery["queued_at"].as_i64()),
        text(&delivery["event"]).to_owned(),
        text(&delivery["status"]).to_owned(),
        delivery["attempts"].to_string(),
        happened(delivery),
    ]
}

async fn retry(arguments: &IdArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let id = checked(&arguments.id, "msg", "sojourn webhooks deliveries")?;
    let queued = client.post(&format!("/v1/webhooks/deliveries/{id}/retry"), &json!({})).await;
    let queued = queued.map_err(|refused| refused.while_doing("cannot send the delivery again"))?;
    output::line(&if arguments.json { queued.to_string() } else { format!("{id} is sent again") })
}
