//! How long rows stay that nobody can use any more.

use std::time::Duration;

use sojourn_core::time::days;

/// Attempts, nonces and tickets, after they are over: a late answer says why.
pub const ATTEMPTS: Duration = days(1);
/// Commit ids, so that a lost answer can be looked up.
pub const COMMIT_IDS: Duration = days(1);
/// Answers of creations, so that a repeat with the same key makes nothing twice.
pub const IDEMPOTENCY_KEYS: Duration = days(1);
/// Events, also those that a reader has not acknowledged.
pub const EVENTS: Duration = days(7);
/// Mails of the mailbox.
pub const MAILS: Duration = days(30);
/// Mails that went out or were given up: who asks what became of one, asks within this time.
pub const OUTGOING_MAILS: Duration = days(7);
/// Of the mails the newest, however young the others are.
pub const NEWEST_MAILS: u32 = 1000;
