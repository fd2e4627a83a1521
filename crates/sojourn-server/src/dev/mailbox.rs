//! The development mailbox: mail that never left the machine.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_store::{Engine as _, Mail, Write};

use super::only_development;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiResult, Params},
};

/// The development mailbox, newest first; `to` is an exact address.
#[utoipa::path(get, path = "/dev/mailbox", tag = "Development", responses((status = 200, description = "Mails")))]
pub async fn list_mails(State(app): State<App>, _: ApplicationServer, params: Params) -> ApiResult<Response> {
    only_development(&app)?;
    let to = params.text("to")?.map(|to| to.trim().to_lowercase());
    let limit = params.number("limit")?.map_or(100, |limit| u32::try_from(limit).unwrap_or(500).min(500));
    let mails = app.store().mails(app.instance_id(), to.as_deref(), limit).await?;
    Ok(Json(json!({"data": mails.iter().map(mail).collect::<Vec<_>>()})).into_response())
}

/// Empties the development mailbox.
#[utoipa::path(delete, path = "/dev/mailbox", tag = "Development", responses((status = 204, description = "It is empty")))]
pub async fn clear_mails(State(app): State<App>, _: ApplicationServer) -> ApiResult<StatusCode> {
    only_development(&app)?;
    app.commit(app.changes(app.moment()).write(Write::ClearMails)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fresh one-time link to the mailbox page.
#[utoipa::path(post, path = "/dev/mailbox/links", tag = "Development", responses((status = 200, description = "The link")))]
pub async fn create_mailbox_link(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    only_development(&app)?;
    Ok(Json(json!({"object": "mailbox_link", "url": app.mailbox_link()})).into_response())
}

fn mail(mail: &Mail) -> Value {
    json!({
        "object": "mail",
        "id": mail.id,
        "to": mail.to,
        "subject": mail.subject,
        "code": mail.code,
        "link": mail.link,
        "text": mail.text,
        "html": mail.html,
        "received_at": mail.received_at,
    })
}
