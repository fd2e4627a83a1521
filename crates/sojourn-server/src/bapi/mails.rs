//! Mails on their way out, and how mails look. Ours: the vendor sends mail by itself.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{
    language,
    outgoing_mail::{MailStatus, OutgoingMail},
};
use sojourn_service::mail::{
    Template,
    outgoing::{self, OutgoingMailError},
};
use sojourn_store::Engine as _;

use super::page::Page;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params, millis},
};

/// The object of a mail.
pub(super) fn object(mail: &OutgoingMail) -> api::OutgoingMail {
    api::OutgoingMail {
        object: api::Kind::default(),
        id: mail.id.to_string(),
        to: mail.to.clone(),
        template: mail.template.clone(),
        status: match mail.status {
            MailStatus::Queued => api::MailStatus::Queued,
            MailStatus::Sent => api::MailStatus::Sent,
            MailStatus::Failed => api::MailStatus::Failed,
        },
        tries: mail.tries,
        reply: mail.reply.clone(),
        queued_at: millis(mail.queued_at),
        expires_at: millis(mail.expires_at),
        next_try_at: mail.due_at.filter(|_| mail.status == MailStatus::Queued).map(millis),
        finished_at: mail.finished_at.map(millis),
    }
}

/// Mails on their way out and those of the last week, newest first.
#[utoipa::path(
    get,
    path = "/v1/instance/mails",
    tag = "Mails",
    params(api::ListOutgoingMailsQuery),
    responses((status = 200, description = "The mails", body = api::Page<api::OutgoingMail>)),
    extensions(("x-error-codes" = json!(["form_param_type_invalid", "form_param_value_invalid"]))),
)]
pub async fn list_outgoing_mails(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let Page { limit, offset } = Page::of(&params)?;
    let status = match params.text("status")? {
        Some(word) => Some(MailStatus::from_word(&word).ok_or_else(|| {
            ApiError::param(ErrorCode::FormParamValueInvalid, "status")
                .why("status has to be queued, sent or failed.")
        })?),
        None => None,
    };
    let (mails, total_count) = outgoing::list(&app, status, limit, offset).await?;
    let data: Vec<_> = mails.iter().map(object).collect();
    Ok(Json(api::Page { data, total_count }).into_response())
}

/// Tries a mail again, now. Not one that was sent, nor one whose code is over.
#[utoipa::path(
    post,
    path = "/v1/instance/mails/{mail_id}/retry",
    tag = "Mails",
    responses((status = 200, description = "The mail as it is now", body = api::OutgoingMail)),
    extensions(("x-error-codes" = json!(["mail_cannot_be_retried", "resource_not_found"]))),
)]
pub async fn retry_mail(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let mail = outgoing::retry(&app, app.context(), id.parse().ok()).await?;
    Ok(Json(object(&mail)).into_response())
}

/// Tries all mails again that failed and are not over.
#[utoipa::path(
    post,
    path = "/v1/instance/mails/retry_failed",
    tag = "Mails",
    responses((status = 200, description = "How many", body = api::RetriedMails)),
)]
pub async fn retry_failed_mails(app: ApplicationServer) -> ApiResult<Response> {
    let retried = outgoing::retry_failed(&app, app.context()).await?;
    Ok(Json(api::RetriedMails { object: api::Kind::default(), retried }).into_response())
}

/// Sends a mail that shows whether the delivery works. What became of it is in the list.
#[utoipa::path(
    post,
    path = "/v1/instance/mails/test",
    tag = "Mails",
    request_body = api::SendTestMail,
    responses((status = 200, description = "The mail, queued", body = api::OutgoingMail)),
    extensions(("x-error-codes" = json!([
        "form_param_format_invalid", "form_param_missing", "form_param_type_invalid",
        "form_param_unknown", "mail_unavailable", "malformed_request_parameters",
    ]))),
)]
pub async fn send_test_mail(app: ApplicationServer, params: Params) -> ApiResult<Response> {
    params.only(&["email_address", "locale"])?;
    let (address, locale) = (params.required("email_address")?, params.text("locale")?);
    let mail = outgoing::send_test(&app, app.context(), &address, locale.as_deref()).await?;
    Ok(Json(object(&mail)).into_response())
}

/// The kinds of mail, their languages, and what their texts may use.
#[utoipa::path(
    get,
    path = "/v1/instance/mail_templates",
    tag = "Mails",
    responses((status = 200, description = "The kinds", body = api::Items<api::MailTemplate>)),
)]
pub async fn list_mail_templates(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    let object = |template: &Template| api::MailTemplate {
        object: api::Kind::default(),
        slug: template.slug().to_owned(),
        name: template.title().to_owned(),
        locales: app.mailer().templates().locales(*template).to_vec(),
        available_variables: template.variables().map(str::to_owned).collect(),
    };
    Ok(Json(api::Items { data: Template::ALL.iter().map(object).collect() }).into_response())
}

/// A mail as it would look, with sample values.
#[utoipa::path(
    get,
    path = "/v1/instance/mail_templates/{slug}/preview",
    tag = "Mails",
    params(("slug" = String, Path), api::PreviewMailQuery),
    responses((status = 200, description = "The mail", body = api::MailPreview)),
    extensions(("x-error-codes" = json!(["form_param_value_invalid", "resource_not_found"]))),
)]
pub async fn preview_mail(
    State(app): State<App>,
    _: ApplicationServer,
    Path(slug): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let template = Template::find(&slug).ok_or_else(|| ApiError::not_found("mail template"))?;
    let templates = app.mailer().templates();
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let locale = match params.text("locale")? {
        Some(wanted) => {
            let tag = language::tag(&wanted).filter(|tag| templates.locales(template).contains(tag));
            tag.ok_or_else(|| {
                ApiError::param(ErrorCode::FormParamValueInvalid, "locale")
                    .why(format!("This mail has {}.", templates.locales(template).join(", ")))
            })?
        }
        None => templates.choose(template, &[], &settings.instance.mail.default_locale),
    };
    let content = templates.preview(template, &locale).map_err(|fault| ApiError::internal(fault.reason))?;
    let object = api::MailPreview {
        object: api::Kind::default(),
        slug,
        locale,
        subject: content.subject,
        text: content.text,
        html: content.html,
    };
    Ok(Json(object).into_response())
}

impl From<OutgoingMailError> for ApiError {
    fn from(error: OutgoingMailError) -> Self {
        use sojourn_core::outgoing_mail::RetryRefused;
        let not_retried = |why| Self::new(ErrorCode::MailCannotBeRetried).why(why);
        match error {
            OutgoingMailError::Unknown => Self::not_found("mail"),
            OutgoingMailError::NotRetried(RetryRefused::IsSent) => {
                not_retried("The mail server has taken it. Ask it, or its log, where the mail is.")
            }
            OutgoingMailError::NotRetried(RetryRefused::IsBeingSent) => {
                not_retried("It is being sent right now. Look again in a minute.")
            }
            OutgoingMailError::NotRetried(RetryRefused::IsExpired) => {
                not_retried("It is too old, as the code in it is. Ask for a new code.")
            }
            OutgoingMailError::NoServer => Self::new(ErrorCode::MailUnavailable).why(
                "No mail server is configured. Set mail.smtp.host and mail.from, and start the server again.",
            ),
            OutgoingMailError::AddressInvalid => {
                Self::param(ErrorCode::FormParamFormatInvalid, "email_address")
                    .why("It is not an e-mail address.")
            }
            OutgoingMailError::Mail(error) => error.into(),
        }
    }
}
