//! `sojourn webhooks listen`: a temporary endpoint, and its deliveries as they happen. There is no
//! relay: the server sends to the program itself.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{create, endpoint_path, happened, text};
use crate::client::Client;
use crate::command::ServerArguments;
use crate::failure::Failure;
use crate::output;

const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct ListenArguments {
    /// Where the program receives them, such as http://localhost:3000/api/webhooks
    #[arg(long, value_name = "URL")]
    forward_to: String,
    /// Only these events [else: all of the vendor's]
    #[arg(long, value_delimiter = ',', value_name = "EVENTS")]
    events: Vec<String>,
    #[command(flatten)]
    server: ServerArguments,
}

pub async fn run(arguments: &ListenArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let note = Some("sojourn webhooks listen");
    let endpoint = create(&client, &arguments.forward_to, &arguments.events, note).await?;
    let id = text(&endpoint["id"]);
    output::note(&format!("events go to {} until Ctrl-C; the program needs:", arguments.forward_to));
    let printed = output::line(&format!("CLERK_WEBHOOK_SIGNING_SECRET={}", text(&endpoint["secret"])));
    let followed = match printed {
        Ok(()) => tokio::select! {
            _ = tokio::signal::ctrl_c() => Ok(()),
            followed = follow(&client, id) => followed,
        },
        failed => failed,
    };
    // Also after a failure: nobody would read what the endpoint gets.
    let deleted = client.delete(&endpoint_path(id, "")?).await;
    deleted.map_err(|refused| refused.while_doing(&format!("cannot delete the temporary endpoint {id}")))?;
    followed
}

/// Prints each delivery when its state changes.
async fn follow(client: &Client, id: &str) -> Result<(), Failure> {
    let path = endpoint_path(id, "/deliveries")?;
    let mut known: BTreeMap<String, (Value, Value)> = BTreeMap::new();
    loop {
        let page = client.get(&path, &[("limit", "100".to_owned())]).await;
        let page = page.map_err(|refused| refused.while_doing("cannot list the deliveries"))?;
        for delivery in page["data"].as_array().into_iter().flatten().rev() {
            let state = (delivery["status"].clone(), delivery["attempts"].clone());
            let delivery_id = text(&delivery["id"]).to_owned();
            let is_news = !delivery["last_attempt"].is_null() && known.get(&delivery_id) != Some(&state);
            if is_news {
                let (event, status) = (text(&delivery["event"]), text(&delivery["status"]));
                output::line(&format!("{event}  {status}  {}  {delivery_id}", happened(delivery)))?;
                known.insert(delivery_id, state);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
