//! Everything that is stored about one person. Ours: the vendor has no such call.

use axum::{Json, extract::Path};
use sojourn_api as api;
use sojourn_core::session::Session;
use sojourn_service::personal_data::{self, PersonalData};
use sojourn_store::{Mail, OutboxEntry};

use super::{super::mails, object};
use crate::{
    auth::ApplicationServer,
    wire::{self, ApiResult, millis},
};

/// Everything that is stored about a user, without digests and secrets.
#[utoipa::path(
    get, path = "/v1/users/{user_id}/export",
    responses((status = 200, description = "What is stored", body = api::UserExport)),
)]
pub async fn export_user(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Json<api::UserExport>> {
    let data = personal_data::collect(&app, app.moment(), id.parse().ok()).await?;
    let PersonalData { at, policy, user, sessions, outgoing_mails, mailbox, events, audit_log } = &data;
    let session = |session: &Session| api::SessionWithEnd {
        session: wire::session::backend_session(*at, policy, session),
        end: session.closed.as_ref().map(|closing| wire::session_end::record(session, closing)),
    };
    let mail = |mail: &Mail| api::MailboxEntry {
        id: mail.id.to_string(),
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        received_at: millis(mail.received_at),
    };
    let event = |event: &OutboxEntry| api::UserEvent {
        id: event.id.to_string(),
        name: event.name.clone(),
        at: millis(event.at),
        data: event.data.clone(),
    };
    Ok(Json(api::UserExport {
        object: api::Kind::default(),
        exported_at: millis(*at),
        user: object(user, *at),
        sessions: sessions.iter().map(session).collect(),
        mails: outgoing_mails.iter().map(mails::object).collect(),
        mailbox: mailbox.iter().map(mail).collect(),
        events: events.iter().map(event).collect(),
        audit_log: audit_log.iter().map(wire::audit::entry).collect(),
    }))
}
