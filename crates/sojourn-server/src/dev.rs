//! `/dev`: what tests and developers ask of a development instance, with its
//! secret key. Absent (404) everywhere else.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_store::{Engine as _, Mail, Write};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, Params},
};

/// Routes with their documentation.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_mails, clear_mails)).routes(routes!(create_mailbox_link))
}

/// The development mailbox, newest first; `to` is an exact address.
#[utoipa::path(get, path = "/dev/mailbox", tag = "Development", responses((status = 200, description = "Mails")))]
async fn list_mails(State(app): State<App>, _: ApplicationServer, params: Params) -> ApiResult<Response> {
    only_development(&app)?;
    let to = params.text("to")?.map(|to| to.trim().to_lowercase());
    let limit = params.number("limit")?.map_or(100, |limit| u32::try_from(limit).unwrap_or(500).min(500));
    let mails = app.store().mails(app.instance_id(), to.as_deref(), limit).await?;
    Ok(Json(json!({"data": mails.iter().map(mail).collect::<Vec<_>>()})).into_response())
}

/// Empties the development mailbox.
#[utoipa::path(delete, path = "/dev/mailbox", tag = "Development", responses((status = 204, description = "It is empty")))]
async fn clear_mails(State(app): State<App>, _: ApplicationServer) -> ApiResult<StatusCode> {
    only_development(&app)?;
    app.commit(app.changes(app.moment()).write(Write::ClearMails)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fresh one-time link to the mailbox page.
#[utoipa::path(post, path = "/dev/mailbox/links", tag = "Development", responses((status = 200, description = "The link")))]
async fn create_mailbox_link(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    only_development(&app)?;
    Ok(Json(json!({"object": "mailbox_link", "url": app.mailbox_link()})).into_response())
}

fn only_development(app: &App) -> ApiResult<()> {
    if app.has_development_tools() { Ok(()) } else { Err(ApiError::not_found("page")) }
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
