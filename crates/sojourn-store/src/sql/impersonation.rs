//! Who acts as an account, and for how long: the two columns that sessions and
//! tickets have alike.

use std::time::Duration;

use sojourn_core::impersonation::Impersonation;

use super::{
    Row, Unreadable, Value, json,
    row::{document, number},
};
use crate::error::StoreError;

/// Reads `actor` at `column` and `own_maximum` behind it; none where nobody acts.
pub(crate) fn read(row: &dyn Row, column: usize) -> Result<Option<Impersonation>, Unreadable> {
    let own = |_| {
        let maximum = Duration::from_millis(number(row, column + 1)?);
        Ok(Impersonation { actor: document(row, column)?, maximum })
    };
    row.text(column)?.map(own).transpose()
}

/// What goes into the two columns of a row of `table`.
pub(crate) fn values(table: &'static str, own: Option<&Impersonation>) -> Result<[Value; 2], StoreError> {
    let actor = own.map(|own| json(table, &own.actor)).transpose()?;
    Ok([actor.into(), own.map(|own| own.maximum.as_millis() as u64).into()])
}
