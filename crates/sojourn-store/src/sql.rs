//! SQL statements: each noun has one file with its statements at the top. A statement is written
//! once, with `$N` parameters as in PostgreSQL, and translated for SQLite. If the dialects differ,
//! both texts are given. The functions below the statements bind parameters and read rows.

pub(crate) mod attempts;
pub(crate) mod audit_log;
pub(crate) mod change_set;
pub(crate) mod clients;
pub(crate) mod clock;
pub(crate) mod idempotency;
mod impersonation;
pub(crate) mod instances;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod mails;
pub(crate) mod outgoing_mails;
pub(crate) mod purge;
pub(crate) mod row;
pub(crate) mod sessions;
pub(crate) mod statement;
pub(crate) mod tickets;
pub(crate) mod users;
pub(crate) mod value;
pub(crate) mod webhooks;

#[cfg(test)]
pub(crate) fn every_statement() -> impl Iterator<Item = &'static statement::Sql> {
    let nouns = [
        attempts::ALL,
        audit_log::ALL,
        clients::ALL,
        clock::ALL,
        idempotency::ALL,
        instances::ALL,
        journal::ALL,
        keys::ALL,
        mails::ALL,
        outgoing_mails::ALL,
        purge::ALL,
        sessions::ALL,
        tickets::ALL,
        users::ALL,
        webhooks::ALL,
    ];
    nouns.into_iter().flatten().copied()
}
