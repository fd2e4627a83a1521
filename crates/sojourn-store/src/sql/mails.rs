//! The mailbox.

use sojourn_core::id::{InstanceId, MailId};

use super::{Load, Step, json, params, row::document, statements};
use crate::{error::StoreError, records::Mail};

statements! { "mails";
    MAILS = "SELECT document FROM mails WHERE instance_id = $1 ORDER BY received_at DESC, id DESC LIMIT $2";
    MAILS_TO = "SELECT document FROM mails WHERE instance_id = $1 AND recipient = $3 ORDER BY received_at DESC, id DESC LIMIT $2";
    INSERT_MAIL = "INSERT INTO mails (instance_id, id, recipient, received_at, document) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    DELETE_MAIL = "DELETE FROM mails WHERE instance_id = $1 AND id = $2";
    CLEAR_MAILS = "DELETE FROM mails WHERE instance_id = $1";
}

/// Newest first.
pub(crate) fn all(instance: InstanceId, limit: u32) -> Load<Mail, 2> {
    Load { sql: &MAILS, params: params![instance, limit], read: |row| document(row, 0) }
}

/// Those to one address, newest first.
pub(crate) fn to(instance: InstanceId, recipient: &str, limit: u32) -> Load<Mail, 3> {
    let params = params![instance, limit, recipient.to_owned()];
    Load { sql: &MAILS_TO, params, read: |row| document(row, 0) }
}

pub(crate) fn insert(instance: InstanceId, mail: &Mail) -> Result<Step, StoreError> {
    let document = json("mails", mail)?;
    Ok(Step::one(&INSERT_MAIL, params![instance, mail.id, &mail.to, mail.received_at, document]))
}

pub(crate) fn delete(instance: InstanceId, id: MailId) -> Step {
    Step::any(&DELETE_MAIL, params![instance, id])
}

pub(crate) fn clear(instance: InstanceId) -> Step {
    Step::any(&CLEAR_MAILS, params![instance])
}
