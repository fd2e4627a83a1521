//! Sends deliveries that are due. Every node takes part: a delivery is claimed before it is sent, and
//! if its claimer does not report in time (it was killed), another node sends it again, with the same
//! id and the same bytes.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use sojourn_core::{
    audit::{Act, Action, AuditContext, SystemJob},
    email::Email,
    time::{Moment, seconds},
    webhook::{DeliveryStatus, Disabled, Outcome, Taken, WebhookAttempt, WebhookDelivery, WebhookEndpoint},
};
use sojourn_metrics::{JOB_FAILURES, WEBHOOK_ATTEMPTS};
use sojourn_store::{CommitError, Engine as _, Span, StoredWebhookDelivery, WebhookDeliveryFilter, Write};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{Compose, fan_out::fan_out, open, sender::TIMEOUT, signature};
use crate::{
    instance::Service,
    keys::SealError,
    mail::{Message, Occasion},
};

/// How often a node looks for events and deliveries of other nodes.
const TICK: Duration = seconds(1);
/// Requests under way to one endpoint, on one node. A receiver that hangs occupies these and none of
/// another endpoint.
const AT_ONCE: usize = 4;
/// How long a claim is valid: the longest request, and time to store its result.
const HOLD: Duration = seconds(TIMEOUT.as_secs() + 15);
/// How often a result is stored again if the store does not answer.
const STORE_ATTEMPTS: u32 = 5;

/// The slots of one endpoint.
pub(super) type Slots = Arc<Semaphore>;

/// Runs until the server ends.
pub async fn run(service: &Service, compose: Compose) {
    let mut timer = tokio::time::interval(TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    if let Err(error) = release_claims(service).await {
        tracing::warn!(%error, "webhooks that were under way at the last stop are sent again later");
    }
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = service.webhooks().wake.notified() => {}
        }
        if let Err(error) = fan_out(service, compose).await {
            JOB_FAILURES.inc_labelled(&["webhooks"]);
            tracing::warn!(%error, "cannot queue webhooks; trying again");
        }
        if let Err(error) = start_due(service, &mut tasks).await {
            JOB_FAILURES.inc_labelled(&["webhooks"]);
            tracing::warn!(%error, "cannot look for webhooks to send; trying again");
        }
        while tasks.try_join_next().is_some() {}
    }
}

/// Deliveries that are read at a time.
const BATCH: u32 = 100;

/// Makes deliveries due that this node sent when it was killed. Only where no other node can be
/// sending them; elsewhere their claims end by time.
async fn release_claims(service: &Service) -> Result<(), CommitError> {
    if service.shares_its_store() {
        return Ok(());
    }
    for endpoint in service.store().webhook_endpoints(service.instance_id()).await? {
        let filter = WebhookDeliveryFilter {
            endpoint_id: endpoint.id,
            status: Some(DeliveryStatus::Queued),
            queued: Span::default(),
            limit: BATCH,
            offset: 0,
        };
        for page in 0.. {
            let filter = WebhookDeliveryFilter { offset: page * BATCH, ..filter.clone() };
            let (rows, _) = service.store().webhook_deliveries(service.instance_id(), filter).await?;
            let is_last = rows.len() < BATCH as usize;
            for mut delivery in rows {
                let at = service.moment();
                if delivery.release(at.wall) {
                    store(service, at, &mut delivery).await?;
                }
            }
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// Queues and sends everything that is due now, and returns when the results are stored.
///
/// # Errors
/// The store does not answer.
pub async fn deliver_due(service: &Service, compose: Compose) -> Result<(), CommitError> {
    fan_out(service, compose).await?;
    let mut tasks = JoinSet::new();
    loop {
        start_due(service, &mut tasks).await?;
        if tasks.is_empty() {
            return Ok(());
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// Starts to send what is due, as far as there are slots.
async fn start_due(service: &Service, tasks: &mut JoinSet<()>) -> Result<(), CommitError> {
    let (store, instance_id) = (service.store(), service.instance_id());
    let endpoints = store.webhook_endpoints(instance_id).await?;
    forget_slots(service, &endpoints);
    for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.disabled.is_none()) {
        let slots = slots_of(service, &endpoint);
        let free = slots.available_permits();
        if free == 0 {
            continue;
        }
        let wall = service.moment().wall;
        for stored in store.due_webhooks(instance_id, endpoint.id, wall, free as u32).await? {
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { break };
            if let Some(claimed) = claim(service, stored).await? {
                tasks.spawn(send(service.clone(), endpoint.clone(), claimed, slot));
            }
        }
    }
    Ok(())
}

fn slots_of(service: &Service, endpoint: &WebhookEndpoint) -> Slots {
    let mut slots = service.webhooks().slots.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(slots.entry(endpoint.id).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
}

/// Drops the slots of endpoints that were deleted.
fn forget_slots(service: &Service, endpoints: &[WebhookEndpoint]) {
    let mut slots = service.webhooks().slots.lock().unwrap_or_else(PoisonError::into_inner);
    slots.retain(|id, _| endpoints.iter().any(|endpoint| endpoint.id == *id));
}

/// Claims a delivery for this node, unless another node has it or it is given up.
async fn claim(
    service: &Service,
    stored: StoredWebhookDelivery,
) -> Result<Option<StoredWebhookDelivery>, CommitError> {
    let StoredWebhookDelivery { mut delivery, body } = stored;
    let at = service.moment();
    let Some(taken) = delivery.take(at.wall, HOLD) else { return Ok(None) };
    match store(service, at, &mut delivery).await {
        Ok(()) if taken == Taken::Send => Ok(Some(StoredWebhookDelivery { delivery, body })),
        Ok(()) => {
            log(&delivery);
            Ok(None)
        }
        Err(CommitError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn store(service: &Service, at: Moment, delivery: &mut WebhookDelivery) -> Result<(), CommitError> {
    service.commit(service.changes(at).write(Write::WebhookDelivery(delivery.clone()))).await?;
    delivery.version += 1;
    Ok(())
}

async fn send(
    service: Service,
    endpoint: WebhookEndpoint,
    stored: StoredWebhookDelivery,
    slot: OwnedSemaphorePermit,
) {
    let StoredWebhookDelivery { mut delivery, body } = stored;
    let attempt = attempt(&service, &endpoint, &delivery, body).await;
    let outcome = delivery.note(service.moment().wall, attempt, &mut service.random());
    WEBHOOK_ATTEMPTS.inc_labelled(&[match delivery.status {
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Queued => "delayed",
        DeliveryStatus::Failed => "failed",
    }]);
    log(&delivery);
    for again in 1..=STORE_ATTEMPTS {
        match store(&service, service.moment(), &mut delivery).await {
            // On a conflict the claim was over, and another node sends it.
            Ok(()) | Err(CommitError::Conflict) => break,
            Err(error) => {
                tracing::warn!(delivery_id = %delivery.id, %error, "cannot store the result of a webhook");
                tokio::time::sleep(seconds(u64::from(again))).await;
            }
        }
    }
    if let Err(error) = note_endpoint(&service, &endpoint, outcome).await {
        tracing::warn!(endpoint_id = %endpoint.id, %error, "cannot store the state of a webhook endpoint");
    }
    drop(slot);
    // The next delivery of the user may be due, or there were more than slots.
    service.webhooks().wake();
}

async fn attempt(
    service: &Service,
    endpoint: &WebhookEndpoint,
    delivery: &WebhookDelivery,
    body: String,
) -> WebhookAttempt {
    let at = service.moment().wall;
    let secrets: Result<Vec<_>, SealError> =
        endpoint.valid_secrets(at).map(|secret| Ok(open(service, endpoint.id, &secret.sealed)?.0)).collect();
    let failed = |error: String| WebhookAttempt {
        at,
        duration_ms: 0,
        http_status: None,
        answer: None,
        error: Some(error),
    };
    let secrets = match secrets {
        Ok(secrets) => secrets,
        Err(error) => return failed(error.to_string()),
    };
    let signature = signature::header(&secrets, delivery.id, at, &body);
    let (id, timestamp) = (delivery.id.to_string(), at.as_secs().to_string());
    // Compat: clerk/javascript packages/backend/src/webhooks.ts reads the names of Svix; other
    // libraries those of Standard Webhooks.
    let headers = [
        ("svix-id", id.clone()),
        ("svix-timestamp", timestamp.clone()),
        ("svix-signature", signature.clone()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signature),
    ];
    let received = service.webhooks().sender.post(&endpoint.url, &headers, body).await;
    WebhookAttempt {
        at,
        duration_ms: u64::try_from(service.moment().wall.since(at).as_millis()).unwrap_or(u64::MAX),
        http_status: received.http_status,
        answer: received.answer,
        error: received.error,
    }
}

/// Records the outcome at the endpoint, which may disable it.
async fn note_endpoint(
    service: &Service,
    endpoint: &WebhookEndpoint,
    outcome: Outcome,
) -> Result<(), CommitError> {
    if outcome == Outcome::Delivered && endpoint.failing_since.is_none() {
        return Ok(());
    }
    service
        .retry_on_conflict(|| async {
            let endpoints = service.store().webhook_endpoints(service.instance_id()).await?;
            let stored = endpoints.into_iter().find(|stored| stored.id == endpoint.id);
            let Some(mut stored) = stored else { return Ok(()) };
            let at = service.moment();
            let before = stored.disabled;
            if !stored.note(outcome, at.wall) {
                return Ok(());
            }
            let disabled = stored.disabled.filter(|_| before.is_none());
            let mut changes = service.changes(at);
            if disabled.is_some() {
                let act = Act::on(Action::WebhookEndpointDisabled, stored.id).field("enabled", true, false);
                changes = changes.act(&AuditContext::system(SystemJob::WebhookDelivery), act);
            }
            if let Some(reason) = disabled {
                changes.writes.extend(disabled_notice(service, &stored, reason, at).await?);
            }
            service.commit(changes.write(Write::WebhookEndpoint(stored))).await?;
            if let Some(reason) = disabled {
                let why = match reason {
                    Disabled::Gone => "it responded with 410 Gone",
                    Disabled::Failing | Disabled::ByRequest => "every attempt failed for days",
                };
                tracing::error!(endpoint_id = %endpoint.id, why, "a webhook endpoint was disabled");
            }
            Ok(())
        })
        .await
}

/// The mail to the address for support, if there is one: the people who can repair the receiver do not
/// read this server's log.
async fn disabled_notice(
    service: &Service,
    endpoint: &WebhookEndpoint,
    reason: Disabled,
    at: Moment,
) -> Result<Vec<Write>, CommitError> {
    let (settings, _) = service.store().settings(service.instance_id()).await?;
    let address = settings.instance.support_email.as_deref().and_then(|address| Email::parse(address).ok());
    let Some(address) = address else { return Ok(Vec::new()) };
    let occasion = Occasion { at, settings: &settings, to: &address, languages: Vec::new() };
    let mailer = service.mailer();
    let mail = mailer.is_ready().and_then(|()| {
        mailer.write(&occasion, Message::WebhookDisabled(endpoint, reason), &mut service.random())
    });
    // The endpoint is disabled all the same; the log says so.
    Ok(mail.unwrap_or_else(|error| {
        tracing::warn!(%error, endpoint_id = %endpoint.id, "nobody is told by mail that an endpoint was disabled");
        Vec::new()
    }))
}

/// Ids and results. Neither the body nor the response, which may name people (LOG-01).
fn log(delivery: &WebhookDelivery) {
    let (delivery_id, endpoint_id) = (delivery.id, delivery.endpoint_id);
    let (name, attempts) = (delivery.event.as_str(), delivery.attempts);
    let http_status = delivery.last_attempt.as_ref().and_then(|attempt| attempt.http_status);
    match delivery.status {
        DeliveryStatus::Delivered => {
            tracing::info!(event = "webhook.delivered", %delivery_id, %endpoint_id, name, attempts, "webhook delivered");
        }
        DeliveryStatus::Queued => {
            tracing::warn!(event = "webhook.delayed", %delivery_id, %endpoint_id, name, attempts, http_status, "webhook failed, trying again later");
        }
        DeliveryStatus::Failed => {
            tracing::warn!(event = "webhook.failed", %delivery_id, %endpoint_id, name, attempts, http_status, "webhook given up");
        }
    }
}
