//! The audit log.

use sojourn_core::{audit::AuditEntry, time::Timestamp};
use sojourn_store::AuditFilter;

use super::tenant::{Tenant, is_within, page, remove};

impl Tenant {
    pub(super) fn audit_log(&self, filter: &AuditFilter) -> (Vec<AuditEntry>, u64) {
        let matches = |entry: &&AuditEntry| {
            filter.actor.as_ref().is_none_or(|actor| entry.context.actor.key() == *actor)
                && filter.object_id.as_ref().is_none_or(|id| entry.object_id == *id)
                && (filter.actions.is_empty() || filter.actions.contains(&entry.action))
                && is_within(filter.acted, Some(entry.at))
        };
        let found = self.audit_log.values().rev().filter(matches).collect();
        page(found, filter.offset, filter.limit)
    }

    pub(super) fn append_to_audit_log(&mut self, entry: &AuditEntry) {
        let place = self.audit_log.range((entry.at, 0)..=(entry.at, u64::MAX)).count() as u64;
        self.audit_log.insert((entry.at, place), entry.clone());
    }

    /// Deletes up to `limit` entries from `before` or earlier.
    pub(super) fn purge_audit_log(&mut self, before: Timestamp, limit: usize) -> u64 {
        remove(&mut self.audit_log, limit, |entry| entry.at <= before)
    }
}
