//! What operators do with mails: look at them, have them tried again, and send one to see
//! whether the delivery works.

use sojourn_core::{
    audit::{Act, Action, AuditContext},
    email::Email,
    id::MailId,
    outgoing_mail::{MailStatus, OutgoingMail, RetryRefused},
};
use sojourn_store::{ChangeSet, Engine as _, StoreError, Write};

use super::{MailError, Message, Occasion};
use crate::{
    instance::Service,
    outcome::{Failure, Reason},
};

/// Mails that are looked at together.
const GROUP: u32 = 100;

/// Why nothing is done with a mail.
#[derive(Debug)]
pub enum OutgoingMailError {
    /// There is no such mail.
    Unknown,
    /// It is not tried again.
    NotRetried(RetryRefused),
    /// No mail server is configured.
    NoServer,
    /// It is no address.
    AddressInvalid,
    /// It could not be written.
    Mail(MailError),
}

impl Reason for OutgoingMailError {}

/// Mails, newest first, of one status or all, and how many there are.
///
/// # Errors
/// The store does not answer.
pub async fn list(
    service: &Service,
    status: Option<MailStatus>,
    limit: u32,
    offset: u32,
) -> Result<(Vec<OutgoingMail>, u64), StoreError> {
    service.store().outgoing_mails(service.instance_id(), status, limit, offset).await
}

/// Has a mail tried again, now.
///
/// # Errors
/// [`OutgoingMailError`].
pub async fn retry(
    service: &Service,
    context: &AuditContext,
    id: Option<MailId>,
) -> Result<OutgoingMail, Failure<OutgoingMailError>> {
    let id = id.ok_or(OutgoingMailError::Unknown)?;
    try_again(service, id, |changes| changes.act(context, Act::on(Action::MailRetried, id))).await
}

async fn try_again(
    service: &Service,
    id: MailId,
    act: impl Fn(ChangeSet) -> ChangeSet,
) -> Result<OutgoingMail, Failure<OutgoingMailError>> {
    service
        .retry_on_conflict(|| async {
            let mail = service.store().outgoing_mail(service.instance_id(), id).await?;
            let mut mail = mail.ok_or(OutgoingMailError::Unknown)?;
            let at = service.moment();
            mail.retry(at.wall).map_err(OutgoingMailError::NotRetried)?;
            service.commit(act(service.changes(at)).write(Write::OutgoingMail(mail.clone()))).await?;
            tracing::info!(mail_id = %id, "a mail is tried again on request");
            Ok(mail)
        })
        .await
}

/// Has all failed mails tried again that still can be; how many.
///
/// # Errors
/// The store does not answer.
pub async fn retry_failed(
    service: &Service,
    context: &AuditContext,
) -> Result<u64, Failure<OutgoingMailError>> {
    // Each mail is a commit of its own, and all of them are one act.
    let act = Act::on(Action::MailsRetried, service.instance_id());
    service.commit(service.act(service.moment(), context, act)).await?;
    let (mut ids, mut offset) = (Vec::new(), 0);
    loop {
        let (mails, _) = list(service, Some(MailStatus::Failed), GROUP, offset).await?;
        ids.extend(mails.iter().filter(|mail| mail.content.is_some()).map(|mail| mail.id));
        if mails.len() < GROUP as usize {
            break;
        }
        offset += GROUP;
    }
    let mut retried = 0;
    for id in ids {
        match try_again(service, id, |changes| changes).await {
            Ok(_) => retried += 1,
            // Somebody else was faster, or it is over since.
            Err(Failure::Refused(..)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(retried)
}

/// Queues a mail that says that it is a test. Its Message-ID and what became of it are those of
/// any mail.
///
/// # Errors
/// [`OutgoingMailError`].
pub async fn send_test(
    service: &Service,
    context: &AuditContext,
    address: &str,
    locale: Option<&str>,
) -> Result<OutgoingMail, Failure<OutgoingMailError>> {
    let to = Email::parse(address).map_err(|_| OutgoingMailError::AddressInvalid)?;
    if service.mailer().smtp().is_none() {
        return Err(OutgoingMailError::NoServer.into());
    }
    let at = service.moment();
    let (settings, _) = service.store().settings(service.instance_id()).await?;
    let languages = locale.and_then(sojourn_core::language::tag).into_iter().collect();
    let occasion = Occasion { at, settings: &settings, to: &to, languages };
    let writes = service.mailer().write(&occasion, Message::Test, &mut service.random());
    let writes = writes.map_err(OutgoingMailError::Mail)?;
    let queued = writes.iter().find_map(|write| match write {
        Write::OutgoingMail(mail) => Some(mail.clone()),
        _ => None,
    });
    let queued = queued.ok_or(OutgoingMailError::NoServer)?;
    // Not the address: it is personal data, and the mail has it for as long as it is kept.
    let mut changes = service.act(at, context, Act::on(Action::MailTestSent, queued.id));
    changes.writes.extend(writes);
    service.commit(changes).await?;
    Ok(queued)
}
