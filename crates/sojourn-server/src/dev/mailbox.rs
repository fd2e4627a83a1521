//! The development mailbox: mail that never left the machine.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_store::{Engine as _, Mail, Write};

use super::only_development;
use crate::{
    auth::ApplicationServer,
    wire::{ApiResult, Params, millis},
};

/// The development mailbox, newest first; `to` is an exact address.
#[utoipa::path(
    get, path = "/dev/mailbox",
    params(api::ListMailsQuery),
    responses((status = 200, description = "Mails, newest first", body = api::Items<api::Mail>)),
)]
pub async fn list_mails(app: ApplicationServer, params: Params) -> ApiResult<Response> {
    only_development(&app)?;
    let to = params.text("to")?.map(|to| to.trim().to_lowercase());
    let limit = params.number("limit")?.map_or(100, |limit| u32::try_from(limit).unwrap_or(500).min(500));
    let mails = app.store().mails(app.instance_id(), to.as_deref(), limit).await?;
    Ok(Json(api::Items { data: mails.iter().map(mail).collect() }).into_response())
}

/// Empties the development mailbox.
#[utoipa::path(delete, path = "/dev/mailbox", responses((status = 204, description = "It is empty")))]
pub async fn clear_mails(app: ApplicationServer) -> ApiResult<StatusCode> {
    only_development(&app)?;
    app.commit(app.changes(app.moment()).write(Write::ClearMails)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fresh one-time link to the mailbox page.
#[utoipa::path(
    post, path = "/dev/mailbox/links",
    responses((status = 200, description = "The link", body = api::MailboxLink)),
)]
pub async fn create_mailbox_link(app: ApplicationServer) -> ApiResult<Response> {
    only_development(&app)?;
    Ok(Json(api::MailboxLink { object: api::Kind::default(), url: app.mailbox_link() }).into_response())
}

fn mail(mail: &Mail) -> api::Mail {
    api::Mail {
        object: api::Kind::default(),
        id: mail.id.to_string(),
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        code: mail.code.clone(),
        link: mail.link.clone(),
        text: mail.text.clone(),
        html: mail.html.clone(),
        received_at: millis(mail.received_at),
    }
}
