//! Mails to users: those on their way out, and how they look.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Kind, UnixMillis, named};

/// One mail on its way out, or what became of it. Its content is not shown: it holds codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutgoingMail {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    /// Whom it is for.
    pub to: String,
    /// The template that it was made of.
    pub template: String,
    pub status: MailStatus,
    /// Tries begun so far.
    pub tries: u32,
    /// What the mail server said last, or why it could not be asked.
    pub reply: Option<String>,
    pub queued_at: UnixMillis,
    /// Not sent any more from then on.
    pub expires_at: UnixMillis,
    /// When it is tried again.
    pub next_try_at: Option<UnixMillis>,
    /// When it was sent or given up.
    pub finished_at: Option<UnixMillis>,
}

/// How far a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// It is to be sent.
    Queued,
    /// The mail server has taken it.
    Sent,
    /// It was given up: refused for good, tried too often, or too old.
    Failed,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListOutgoingMailsQuery {
    /// `queued`, `sent` or `failed`; all without it.
    pub status: Option<String>,
    /// 1 to 500, 10 by default.
    pub limit: Option<u32>,
    pub offset: Option<u32>,
}

/// Where a mail goes that shows that the delivery works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendTestMail {
    pub email_address: String,
    /// Such as `de`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// How many mails are tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedMails {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub retried: u64,
}

/// One kind of mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailTemplate {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    /// Its name, also of its files.
    pub slug: String,
    /// What it is for.
    pub name: String,
    /// The languages that it has.
    pub locales: Vec<String>,
    /// What its texts may use.
    pub available_variables: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PreviewMailQuery {
    /// Such as `de`; the instance's default without it.
    pub locale: Option<String>,
}

/// A mail with sample values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailPreview {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub slug: String,
    pub locale: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

named! {
    OutgoingMail = "outgoing_mail"
    RetriedMails = "retried_mails"
    MailTemplate = "mail_template"
    MailPreview = "mail_preview"
}
