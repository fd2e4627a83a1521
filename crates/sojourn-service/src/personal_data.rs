//! Everything that is stored about one person, for those who ask what it is (GDPR, article 15).

use sojourn_core::{
    audit::AuditEntry,
    id::UserId,
    outgoing_mail::OutgoingMail,
    policy::Policy,
    session::Session,
    time::{Moment, Timestamp},
};
use sojourn_store::{AuditFilter, Engine as _, Mail, OutboxEntry, SessionFilter, StoreError};

use crate::{
    instance::Service,
    outcome::Failure,
    users::{self, ActiveUser, UserError},
};

/// Rows that are read together.
const PAGE: u32 = 500;

/// What is stored about a person.
#[derive(Clone, Debug)]
pub struct PersonalData {
    pub at: Timestamp,
    pub policy: Policy,
    pub user: ActiveUser,
    /// Newest first.
    pub sessions: Vec<Session>,
    pub outgoing_mails: Vec<OutgoingMail>,
    pub mailbox: Vec<Mail>,
    /// Oldest first.
    pub events: Vec<OutboxEntry>,
    /// Newest first.
    pub audit_log: Vec<AuditEntry>,
}

/// Collects it. Mails and events have no index by person, so this reads all of the last week.
///
/// # Errors
/// [`UserError::Unknown`], also if `id` is `None`.
pub async fn collect(
    service: &Service,
    at: Moment,
    id: Option<UserId>,
) -> Result<PersonalData, Failure<UserError>> {
    let user = users::find(service, id).await?;
    let (store, instance) = (service.store(), service.instance_id());
    let (_, policy) = store.settings(instance).await?;
    let sessions = sessions(service, user.user.id).await?;
    let addresses: Vec<String> =
        user.user.email_addresses.iter().map(|address| address.email.to_string()).collect();
    let mut mailbox = Vec::new();
    for address in &addresses {
        mailbox.extend(store.mails(instance, Some(address), sojourn_store::retention::NEWEST_MAILS).await?);
    }
    let outgoing_mails = outgoing_mails(service, &addresses).await?;
    let events = events(service, user.user.id).await?;
    let mut audit_log = audit_log(service, user.user.id.to_string()).await?;
    for session in &sessions {
        audit_log.extend(self::audit_log(service, session.id.to_string()).await?);
    }
    audit_log.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    Ok(PersonalData { at: at.now, policy, user, sessions, outgoing_mails, mailbox, events, audit_log })
}

async fn sessions(service: &Service, user: UserId) -> Result<Vec<Session>, StoreError> {
    let mut page = SessionFilter { user_id: Some(user), limit: PAGE, ..SessionFilter::default() };
    let mut found: Vec<Session> = Vec::new();
    loop {
        let sessions = service.store().session_page(service.instance_id(), page.clone()).await?;
        page.after = sessions.last().map(|last| (last.created_at, last.id));
        let is_last = sessions.len() < PAGE as usize;
        found.extend(sessions);
        if is_last {
            return Ok(found);
        }
    }
}

async fn outgoing_mails(service: &Service, addresses: &[String]) -> Result<Vec<OutgoingMail>, StoreError> {
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let (mails, _) = service.store().outgoing_mails(service.instance_id(), None, PAGE, offset).await?;
        let is_last = mails.len() < PAGE as usize;
        let theirs =
            |mail: &OutgoingMail| addresses.iter().any(|address| mail.to.eq_ignore_ascii_case(address));
        found.extend(mails.into_iter().filter(theirs));
        if is_last {
            return Ok(found);
        }
        offset += PAGE;
    }
}

async fn events(service: &Service, user: UserId) -> Result<Vec<OutboxEntry>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    let id = user.to_string();
    loop {
        let events = service.store().outbox(service.instance_id(), after, PAGE).await?;
        let Some(last) = events.last() else { return Ok(found) };
        after = Some(last.seq);
        found.extend(events.into_iter().filter(|event| event.data["user_id"] == id.as_str()));
    }
}

/// The entries about an object.
async fn audit_log(service: &Service, object_id: String) -> Result<Vec<AuditEntry>, StoreError> {
    let mut filter = AuditFilter { object_id: Some(object_id), limit: PAGE, ..AuditFilter::default() };
    let mut found = Vec::new();
    loop {
        let (entries, _) = service.store().audit_log(service.instance_id(), filter.clone()).await?;
        let is_last = entries.len() < PAGE as usize;
        found.extend(entries);
        if is_last {
            return Ok(found);
        }
        filter.offset += PAGE;
    }
}
