//! `sojourn sessions inspect`: shows one session from sign-in to its end.

use serde_json::{Value, json};

use super::{InspectArguments, LIST, checked, ends_at, time};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

pub async fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let id = checked(&arguments.id, "sess", LIST)?;
    let client = Client::find(&arguments.server)?;
    let failed = format!("cannot inspect {id}");
    let session = client
        .get(&format!("/v1/sessions/{id}"), &[])
        .await
        .map_err(|refused| refused.while_doing(&failed))?;
    // A session that is over never opens again, so the second response is consistent with the
    // first.
    let end = if session["status"] == "active" {
        Value::Null
    } else {
        let end = client.get(&format!("/v1/sessions/{id}/end"), &[]).await;
        end.map_err(|refused| refused.while_doing(&failed))?
    };
    if arguments.json {
        return output::line(&json!({ "session": session, "end": end }).to_string());
    }
    let user = user(&client, &session).await?;
    output::line(&account(&session, &end, &user))
}

/// The user's name; empty for a deleted user.
async fn user(client: &Client, session: &Value) -> Result<String, Failure> {
    let id = session["user_id"].as_str().unwrap_or("-");
    match client.get(&format!("/v1/users/{id}"), &[]).await {
        Ok(user) => {
            let primary = &user["primary_email_address_id"];
            let addresses = user["email_addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
            let address = addresses.iter().find(|address| address["id"] == *primary);
            let email = address.and_then(|address| address["email_address"].as_str());
            Ok(email.map_or_else(|| id.to_owned(), |email| format!("{id} ({email})")))
        }
        Err(refused) => {
            let failure = refused.while_doing("cannot read the user");
            if failure.exit == Exit::NotFound { Ok(format!("{id} (deleted)")) } else { Err(failure) }
        }
    }
}

fn account(session: &Value, end: &Value, user: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let at = |value: &Value| time(value.as_i64());
    let mut lines = vec![
        ("session", text(&session["id"])),
        ("status", text(&session["status"])),
        ("user", user.to_owned()),
    ];
    if let Some(actor) = session["actor"]["sub"].as_str() {
        lines.push(("acted by", actor.to_owned()));
    }
    lines.extend([
        ("browser", text(&session["client_id"])),
        ("from", place(&session["latest_activity"])),
        ("signed in", at(&session["created_at"])),
        ("last active", at(&session["last_active_at"])),
    ]);
    if end.is_null() {
        let (ends, limit) = ends_at(session);
        lines.push(("ends", format!("{} by the {limit}", time(ends))));
    } else {
        lines.extend([
            ("ended", at(&end["ended_at"])),
            ("reason", text(&end["reason"])),
            ("ended by", by_whom(&end["actor"])),
            ("deadline", at(&end["deadline_at"])),
            ("settings", format!("version {}", end["settings_version"])),
        ]);
    }
    let lines = lines.into_iter().map(|(name, value)| format!("{name:<12} {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn by_whom(actor: &Value) -> String {
    let kind = actor["type"].as_str().unwrap_or("-");
    match actor["id"].as_str() {
        Some(id) => format!("{kind} {id}"),
        None => kind.to_owned(),
    }
}

/// `Chrome 150.0.0.0, Linux, 203.0.113.7`, with the parts that are known.
fn place(activity: &Value) -> String {
    let text = |name: &str| activity[name].as_str().filter(|text| !text.is_empty());
    let browser = text("browser_name").map(|name| match text("browser_version") {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    });
    let rest = [text("device_type"), text("ip_address")].map(|part| part.map(str::to_owned));
    let known: Vec<String> = [browser].into_iter().chain(rest).flatten().collect();
    if known.is_empty() { "-".to_owned() } else { known.join(", ") }
}
