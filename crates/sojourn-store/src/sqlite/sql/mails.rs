//! The mailbox.

use rusqlite::{Connection, params};
use sojourn_core::id::{InstanceId, MailId};

use super::{all, document, json, run, statements};
use crate::{engine::StoreError, records::Mail};

statements! { "mails";
    MAILS = "SELECT document FROM mails WHERE instance_id = $1 ORDER BY received_at DESC, id DESC LIMIT $2";
    MAILS_TO = "SELECT document FROM mails WHERE instance_id = $1 AND recipient = $3 ORDER BY received_at DESC, id DESC LIMIT $2";
    INSERT_MAIL = "INSERT INTO mails (instance_id, id, recipient, received_at, document) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    DELETE_MAIL = "DELETE FROM mails WHERE instance_id = $1 AND id = $2";
    CLEAR_MAILS = "DELETE FROM mails WHERE instance_id = $1";
}

/// Newest first.
pub(in crate::sqlite) fn list(
    db: &Connection,
    instance: InstanceId,
    to: Option<&str>,
    limit: u32,
) -> Result<Vec<Mail>, StoreError> {
    let instance = instance.to_string();
    match to {
        None => all(db, &MAILS, params![instance, limit], |row| document(row, 0)),
        Some(to) => all(db, &MAILS_TO, params![instance, limit, to], |row| document(row, 0)),
    }
}

pub(in crate::sqlite) fn insert(
    db: &Connection,
    instance: InstanceId,
    mail: &Mail,
) -> Result<usize, StoreError> {
    let params = params![
        instance.to_string(),
        mail.id.to_string(),
        mail.to,
        mail.received_at.as_millis(),
        json("mails", mail)?,
    ];
    run(db, &INSERT_MAIL, params)
}

pub(in crate::sqlite) fn delete(
    db: &Connection,
    instance: InstanceId,
    id: MailId,
) -> Result<usize, StoreError> {
    run(db, &DELETE_MAIL, [instance.to_string(), id.to_string()])
}

pub(in crate::sqlite) fn clear(db: &Connection, instance: InstanceId) -> Result<usize, StoreError> {
    run(db, &CLEAR_MAILS, [instance.to_string()])
}
