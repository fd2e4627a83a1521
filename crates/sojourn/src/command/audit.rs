//! `sojourn audit`: the log of administrative acts.

use clap::Args;
use serde_json::Value;

use super::ServerArguments;
use super::sessions::{point, time};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

const AUDIT_LOG: &str = "/v1/audit_log";
/// A cell of the table is cut there; --json has everything.
const MAX_CELL_CHARS: usize = 100;

#[derive(Debug, Args)]
pub struct AuditArguments {
    /// Only acts by this secret key, by command_line or by system
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this action, such as session.revoked, or all with a beginning, such as "user.*"
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only acts on the object with this id
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// From that long ago, such as 2h, or from a time such as 2026-11-29T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before then, written alike
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub async fn run(arguments: &AuditArguments) -> Result<(), Failure> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    let plain =
        [("actor", &arguments.actor), ("action", &arguments.action), ("object_id", &arguments.object)];
    query.extend(plain.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    for (name, flag, given) in
        [("since", "--since", &arguments.since), ("before", "--before", &arguments.before)]
    {
        if let Some(given) = given {
            query.push((name, point(given, flag)?.to_string()));
        }
    }
    let client = Client::find(&arguments.server)?;
    let page = client.get(AUDIT_LOG, &query).await;
    let page = page.map_err(|refused| refused.while_doing("cannot read the audit log"))?;
    if arguments.json {
        return output::line(&page.to_string());
    }
    let entries = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    output::line(&output::table(&["TIME", "ACTOR", "ACTION", "OBJECT", "FROM", "CHANGES"], &rows))?;
    let total = page["total_count"].as_u64().unwrap_or_default();
    if total > rows.len() as u64 {
        output::note(&format!("{} of {total}; --limit, --since and --before choose others", rows.len()));
    }
    Ok(())
}

fn row(entry: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    vec![
        time(entry["at"].as_i64()),
        actor(&entry["actor"]),
        text(&entry["action"]),
        text(&entry["object_id"]),
        text(&entry["ip_address"]),
        changes(entry),
    ]
}

fn actor(actor: &Value) -> String {
    let named = ["id", "job"].iter().find_map(|field| actor[*field].as_str());
    let who = named.or(actor["type"].as_str()).unwrap_or("-");
    let called = ["name", "label"].iter().filter_map(|field| actor[*field].as_str());
    let called: Vec<&str> = called.collect();
    if called.is_empty() { who.to_owned() } else { format!("{who} ({})", called.join(", ")) }
}

fn changes(entry: &Value) -> String {
    let Some(changes) = entry["changes"].as_array() else {
        let fields = entry["fields"].as_array().into_iter().flatten().filter_map(Value::as_str);
        return fields.collect::<Vec<_>>().join(", ");
    };
    let told = |change: &Value| {
        let field = change["field"].as_str().unwrap_or_default();
        format!("{field}: {} -> {}", change["before"], change["after"])
    };
    let text = changes.iter().map(told).collect::<Vec<_>>().join(", ");
    match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_tells_who_did_what_and_what_it_changed() {
        let entry = json!({
            "at": 1_764_403_200_000_i64, "action": "settings.changed", "object_id": "3",
            "ip_address": "203.0.113.9", "fields": ["session.lifetime"],
            "actor": { "type": "secret_key", "id": "key_1", "name": "worker", "label": "ada" },
            "changes": [{ "field": "session.lifetime", "before": 60, "after": 30 }],
        });
        assert_eq!(
            row(&entry),
            [
                "2025-11-29T08:00:00Z",
                "key_1 (worker, ada)",
                "settings.changed",
                "3",
                "203.0.113.9",
                "session.lifetime: 60 -> 30",
            ]
        );
        let forgotten = json!({ "changes": null, "fields": ["first_name"], "actor": { "type": "system", "job": "start" } });
        assert_eq!(row(&forgotten)[1..], ["start", "-", "-", "-", "first_name"]);
    }
}
