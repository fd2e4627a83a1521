//! Retention of rows that are no longer valid.

use std::time::Duration;

use sojourn_core::time::days;

/// Attempts, nonces and tickets after their end, so that a late request gets the exact reason.
pub const ATTEMPTS: Duration = days(1);
/// Commit ids, for clients that lost the response of a commit.
pub const COMMIT_IDS: Duration = days(1);
/// Responses to creations: a repeated request with the same key creates nothing.
pub const IDEMPOTENCY_KEYS: Duration = days(1);
/// Events, even if a reader has not acknowledged them.
pub const EVENTS: Duration = days(7);
/// Mails in the mailbox.
pub const MAILS: Duration = days(30);
/// Outgoing mails after their delivery or failure, so that an operator can look up the outcome.
pub const OUTGOING_MAILS: Duration = days(7);
/// Webhook deliveries, whatever their status: for looking up what happened, and for a replay.
pub const WEBHOOK_DELIVERIES: Duration = days(7);
/// The maximum number of mails in the mailbox; older ones are deleted.
pub const NEWEST_MAILS: u32 = 1000;
