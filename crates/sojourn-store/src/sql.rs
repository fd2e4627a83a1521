//! Statements: text, once, at the top of one file per noun, written with `$N`
//! as PostgreSQL reads it, and translated once for SQLite. Where the dialects
//! do not agree, both texts stand side by side. Beside each text: what it is
//! given, and how its rows are read.

pub(crate) mod attempts;
pub(crate) mod change_set;
pub(crate) mod clients;
pub(crate) mod clock;
pub(crate) mod idempotency;
mod impersonation;
pub(crate) mod instances;
pub(crate) mod journal;
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

#[cfg(test)]
pub(crate) fn every_statement() -> impl Iterator<Item = &'static statement::Sql> {
    let nouns = [
        attempts::ALL,
        clients::ALL,
        clock::ALL,
        idempotency::ALL,
        instances::ALL,
        journal::ALL,
        mails::ALL,
        outgoing_mails::ALL,
        purge::ALL,
        sessions::ALL,
        tickets::ALL,
        users::ALL,
    ];
    nouns.into_iter().flatten().copied()
}
