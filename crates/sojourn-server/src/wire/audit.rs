//! Entries of the audit log on the wire.

use sojourn_api as api;
use sojourn_core::audit::{Actor, AuditEntry, FieldChange};

use super::millis;

/// An entry as the API shows it.
pub fn entry(entry: &AuditEntry) -> api::AuditEntry {
    let change = |change: &FieldChange| {
        let FieldChange { field, before, after } = change.clone();
        api::AuditChange { field, before, after }
    };
    let context = &entry.context;
    api::AuditEntry {
        object: api::Kind::default(),
        id: entry.id.to_string(),
        at: millis(entry.at),
        action: entry.action.as_str().to_owned(),
        actor: actor(&context.actor),
        object_type: entry.action.object_type().to_owned(),
        object_id: entry.object_id.clone(),
        changes: entry.changes.as_ref().map(|changes| changes.iter().map(change).collect()),
        fields: entry.fields.clone(),
        ip_address: context.ip_address.clone(),
        user_agent: context.user_agent.clone(),
        request_id: context.request_id.clone(),
    }
}

fn actor(actor: &Actor) -> api::AuditActor {
    let nobody = |kind| api::AuditActor { kind, id: None, name: None, role: None, label: None, job: None };
    match actor.clone() {
        Actor::SecretKey { id, name, role, label } => api::AuditActor {
            id: Some(id.to_string()),
            name,
            role: Some(role),
            label,
            ..nobody(api::AuditActorType::SecretKey)
        },
        Actor::CommandLine { label } => api::AuditActor { label, ..nobody(api::AuditActorType::CommandLine) },
        Actor::System { job } => {
            api::AuditActor { job: Some(job.as_str().to_owned()), ..nobody(api::AuditActorType::System) }
        }
    }
}
