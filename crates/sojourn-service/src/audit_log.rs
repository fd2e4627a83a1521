//! Reads the audit log. The use cases of administrators write it, each with an
//! [`sojourn_core::audit::AuditContext`].

use sojourn_core::audit::AuditEntry;
use sojourn_store::{AuditFilter, Engine as _, StoreError};

use crate::instance::Service;

/// The entries of a filter, newest first, and their number on all pages.
///
/// # Errors
/// The store does not answer.
pub async fn list(service: &Service, filter: AuditFilter) -> Result<(Vec<AuditEntry>, u64), StoreError> {
    service.store().audit_log(service.instance_id(), filter).await
}
