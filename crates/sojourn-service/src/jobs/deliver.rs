//! Sends the mails that are due. Every node takes part: a mail is claimed before it is sent, and
//! who claimed it and does not say what became of it (it was killed) is replaced after a time. So a
//! mail is sent at least once; what is sent twice has the same Message-ID.

use std::{sync::atomic::Ordering, time::Duration};

use sojourn_core::{
    outgoing_mail::{Attempt, Due, MailStatus, OutgoingMail},
    time::{Moment, seconds},
};
use sojourn_metrics::{JOB_FAILURES, MAIL_ATTEMPTS};
use sojourn_store::{CommitError, Engine as _, StoreError, Write};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    instance::Service,
    mail::{AT_ONCE, Smtp},
};

/// How often it is looked for mails of other nodes, and for those that are tried again.
const TICK: Duration = seconds(1);
/// Beyond the time that a mail may take: to tell what came of it.
const MARGIN: Duration = seconds(5);
/// How long a stop waits for mails that are under way.
const DRAIN: Duration = seconds(10);
/// How often a result is told again where the store does not take it.
const TOLD: u32 = 5;

/// Looks for mails until the server ends.
pub(super) async fn run(service: &Service) {
    let Some(smtp) = service.mailer().smtp().cloned() else {
        return;
    };
    let mut timer = tokio::time::interval(TICK);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = service.mailer().queue().wake.notified() => {}
        }
        if let Err(error) = look(service, &smtp).await {
            JOB_FAILURES.inc_labelled(&["mail"]);
            tracing::warn!(%error, "cannot look for mails to send; trying again");
        }
    }
}

/// Sends what is due, as far as there are slots.
async fn look(service: &Service, smtp: &Smtp) -> Result<(), StoreError> {
    let queue = service.mailer().queue();
    let (id, wall) = (service.instance_id(), service.moment().wall);
    let (_, waiting) = service.store().outgoing_mails(id, Some(MailStatus::Queued), 0, 0).await?;
    queue.waiting.store(waiting, Ordering::Relaxed);
    let free = queue.slots.available_permits();
    if free == 0 {
        return Ok(());
    }
    for mail in service.store().due_mails(id, wall, free as u32).await? {
        let Ok(slot) = queue.slots.clone().try_acquire_owned() else { break };
        match claim(service, smtp, mail).await {
            Ok(Some(mail)) => drop(tokio::spawn(send(service.clone(), smtp.clone(), mail, slot))),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot claim a mail; trying again"),
        }
    }
    Ok(())
}

/// Sends all mails that are due now, and returns when it is known what became of them.
///
/// # Errors
/// The store does not answer.
pub async fn deliver_due(service: &Service) -> Result<(), StoreError> {
    if let Some(smtp) = service.mailer().smtp().cloned() {
        look(service, &smtp).await?;
        drain(service).await;
    }
    Ok(())
}

/// Waits for mails that are under way, for a while.
pub(crate) async fn drain(service: &Service) {
    let all = service.mailer().queue().slots.acquire_many(AT_ONCE as u32);
    drop(tokio::time::timeout(DRAIN, all).await);
}

/// Makes the mail this node's, unless it is another's, or is not to be sent any more.
async fn claim(
    service: &Service,
    smtp: &Smtp,
    mut mail: OutgoingMail,
) -> Result<Option<OutgoingMail>, CommitError> {
    let at = service.moment();
    let due = mail.take(at.wall, smtp.timeout() + MARGIN);
    let Some(due) = due else { return Ok(None) };
    match store(service, at, &mut mail).await {
        Ok(()) if due == Due::Send => Ok(Some(mail)),
        Ok(()) => {
            if mail.content.is_none() && mail.tries == 0 {
                log(&mail, "mail is too old");
            }
            Ok(None)
        }
        Err(CommitError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn send(service: Service, smtp: Smtp, mut mail: OutgoingMail, slot: OwnedSemaphorePermit) {
    let attempt = smtp.send(&mail).await;
    mail.note(service.moment().wall, attempt.clone(), &mut service.random());
    MAIL_ATTEMPTS.inc_labelled(&[match mail.status {
        MailStatus::Sent => "sent",
        MailStatus::Queued => "delayed",
        MailStatus::Failed => "failed",
    }]);
    match (&attempt, mail.status) {
        (Attempt::Taken(_), _) => log(&mail, "mail sent"),
        (_, MailStatus::Queued) => log(&mail, "mail not sent, trying again later"),
        _ => log(&mail, "mail given up"),
    }
    for told in 1..=TOLD {
        match store(&service, service.moment(), &mut mail).await {
            // A conflict: it took too long, and another node is at it.
            Ok(()) | Err(CommitError::Conflict) => break,
            Err(error) => {
                tracing::warn!(mail_id = %mail.id, %error, "cannot note what became of a mail");
                tokio::time::sleep(seconds(u64::from(told))).await;
            }
        }
    }
    drop(slot);
    // There may be more that are due than there were slots.
    service.mailer().queue().wake.notify_one();
}

async fn store(service: &Service, at: Moment, mail: &mut OutgoingMail) -> Result<(), CommitError> {
    service.commit(service.changes(at).write(Write::OutgoingMail(mail.clone()))).await?;
    mail.version += 1;
    Ok(())
}

/// Ids and the code of the reply. The rest of a reply may name the address (LOG-01); it is in
/// `sojourn mail list`.
fn log(mail: &OutgoingMail, what: &str) {
    let digits = |text: &String| {
        text.split(|c: char| !c.is_ascii_digit()).find(|part| part.len() == 3).map(str::to_owned)
    };
    let reply_code = mail.reply.as_ref().and_then(digits);
    let (mail_id, template, tries) = (mail.id, mail.template.as_str(), mail.tries);
    match mail.status {
        MailStatus::Sent => tracing::info!(event = "mail.sent", %mail_id, template, tries, "{what}"),
        MailStatus::Queued => {
            tracing::warn!(event = "mail.delayed", %mail_id, template, tries, reply_code, "{what}");
        }
        MailStatus::Failed => {
            tracing::warn!(event = "mail.failed", %mail_id, template, tries, reply_code, "{what}");
        }
    }
}
