//! Mails in the development mailbox.

use sojourn_core::id::{InstanceId, MailId};

use super::{
    row::only_document,
    statement::{Query, Statement, json, statements},
    value::params,
};
use crate::{error::StoreError, records::Mail};

statements! { "mails";
    MAILS = both "
            SELECT document
            FROM mails
            WHERE instance_id = $1
            ORDER BY received_at DESC, id DESC
            LIMIT $2";
    MAILS_TO = both "
            SELECT document
            FROM mails
            WHERE instance_id = $1 AND recipient = $3
            ORDER BY received_at DESC, id DESC
            LIMIT $2";
    INSERT_MAIL = both "
            INSERT INTO mails (instance_id, id, recipient, received_at, document)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING";
    DELETE_MAIL = both "DELETE FROM mails WHERE instance_id = $1 AND id = $2";
    CLEAR_MAILS = both "DELETE FROM mails WHERE instance_id = $1";
}

/// Newest first.
pub(crate) fn all(instance: InstanceId, limit: u32) -> Query<Mail, 2> {
    Query { sql: &MAILS, params: params![instance, limit], read: only_document }
}

/// Mails to one recipient, newest first.
pub(crate) fn to(instance: InstanceId, recipient: &str, limit: u32) -> Query<Mail, 3> {
    let params = params![instance, limit, recipient.to_owned()];
    Query { sql: &MAILS_TO, params, read: only_document }
}

pub(crate) fn insert(instance: InstanceId, mail: &Mail) -> Result<Statement, StoreError> {
    let document = json("mails", mail)?;
    Ok(Statement::one(&INSERT_MAIL, params![instance, mail.id, &mail.to, mail.received_at, document]))
}

pub(crate) fn delete(instance: InstanceId, id: MailId) -> Statement {
    Statement::any(&DELETE_MAIL, params![instance, id])
}

pub(crate) fn clear(instance: InstanceId) -> Statement {
    Statement::any(&CLEAR_MAILS, params![instance])
}
