//! The columns for the actor and the maximum lifetime of an impersonation, which sessions and
//! tickets share.

use std::time::Duration;

use sojourn_core::impersonation::Impersonation;

use super::{
    row::{Row, Unreadable, document, number},
    statement::json,
    value::Value,
};
use crate::error::StoreError;

/// Reads both columns; `None` without an actor.
pub(crate) fn read(
    row: &dyn Row,
    actor: usize,
    own_maximum: usize,
) -> Result<Option<Impersonation>, Unreadable> {
    let own = |_| {
        let maximum = Duration::from_millis(number(row, own_maximum)?);
        Ok(Impersonation { actor: document(row, actor)?, maximum })
    };
    row.text(actor)?.map(own).transpose()
}

/// The values of the two columns for a row of `table`.
pub(crate) fn values(table: &'static str, own: Option<&Impersonation>) -> Result<[Value; 2], StoreError> {
    let actor = own.map(|own| json(table, &own.actor)).transpose()?;
    Ok([actor.into(), own.map(|own| own.maximum.as_millis() as u64).into()])
}
