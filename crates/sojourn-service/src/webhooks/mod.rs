//! Webhooks: endpoints, their secrets, and what an operator may request about deliveries. Events
//! become deliveries in [`fan_out`]; [`deliver`] sends them.

mod audit;
pub mod deliver;
pub mod fan_out;
mod guard;
mod sender;
pub mod signature;

use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};

use ipnet::IpNet;
use sojourn_core::{
    audit::{Act, Action, AuditContext},
    id::{Randomness, WebhookDeliveryId, WebhookEndpointId},
    time::{Moment, Timestamp},
    webhook::{MAX_ENDPOINTS, TEST_EVENT, WebhookDelivery, WebhookEndpoint},
};
use sojourn_store::{
    ChangeSet, CommitError, Engine as _, Span, StoreError, StoredWebhookDelivery, WebhookDeliveryFilter,
    Write,
};
use tokio::sync::Notify;

use self::{deliver::Slots, guard::Guard, sender::Sender};
pub use self::{
    fan_out::{Compose, Subject, WebhookEvent},
    guard::UrlRefusal,
};
use crate::{
    error::MaybeConflict,
    instance::Service,
    keys::SealError,
    outcome::{Failure, Reason},
};

/// What this process needs for webhooks.
#[derive(Debug)]
pub(crate) struct Webhooks {
    guard: Guard,
    sender: Sender,
    /// Slots for requests under way, per endpoint.
    slots: Mutex<BTreeMap<WebhookEndpointId, Slots>>,
    /// There may be something to do.
    wake: Notify,
}

impl Webhooks {
    /// Receivers in the public internet and in these networks can be reached.
    pub(crate) fn new(allowed_networks: Vec<IpNet>, with_loopback: bool) -> Self {
        let guard = Guard::new(allowed_networks, with_loopback);
        Self { sender: Sender::new(guard.clone()), guard, slots: Mutex::default(), wake: Notify::new() }
    }

    /// Looks for work without waiting for the next tick.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Why a request about webhooks is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookError {
    UnknownEndpoint,
    UnknownDelivery,
    Url(UrlRefusal),
    /// The instance has [`MAX_ENDPOINTS`].
    TooMany,
    /// The endpoint is disabled, so nothing would be sent.
    Disabled,
    /// An attempt of this delivery is under way.
    UnderWay,
}

impl Reason for WebhookError {}

impl Reason for SealError {}

type Refusable<T> = Result<T, Failure<WebhookError>>;

/// A change of an endpoint. `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct EndpointPatch {
    pub url: Option<String>,
    pub events: Option<Vec<String>>,
    /// An inner `None` removes it.
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
}

/// A secret as receivers configure it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(***)")
    }
}

/// All endpoints, oldest first.
///
/// # Errors
/// The store does not answer.
pub async fn endpoints(service: &Service) -> Result<Vec<WebhookEndpoint>, StoreError> {
    service.store().webhook_endpoints(service.instance_id()).await
}

/// One endpoint.
///
/// # Errors
/// [`WebhookError::UnknownEndpoint`].
pub async fn endpoint(service: &Service, id: Option<WebhookEndpointId>) -> Refusable<WebhookEndpoint> {
    let found = endpoints(service).await?.into_iter().find(|endpoint| Some(endpoint.id) == id);
    Ok(found.ok_or(WebhookError::UnknownEndpoint)?)
}

/// A new endpoint that is not stored yet. `secret` has to be unpredictable.
///
/// # Errors
/// The URL is refused, or there are too many endpoints.
pub async fn new_endpoint(
    service: &Service,
    at: Moment,
    url: &str,
    secret: &[u8],
) -> Refusable<WebhookEndpoint> {
    let url = service.webhooks().guard.checked_url(url).map_err(WebhookError::Url)?;
    if endpoints(service).await?.len() >= MAX_ENDPOINTS {
        return Err(WebhookError::TooMany.into());
    }
    let id = WebhookEndpointId::generate(at.wall, &mut service.random());
    Ok(WebhookEndpoint::new(id, url, seal(service, id, secret), at.wall))
}

/// Stores a new endpoint.
pub fn insert(
    service: &Service,
    context: &AuditContext,
    at: Moment,
    endpoint: &WebhookEndpoint,
) -> ChangeSet {
    let act = audit::creation(endpoint);
    service.act(at, context, act).write(Write::WebhookEndpoint(endpoint.clone()))
}

/// Changes an endpoint.
///
/// # Errors
/// There is no such endpoint, or the URL is refused.
pub async fn update(
    service: &Service,
    context: &AuditContext,
    id: Option<WebhookEndpointId>,
    patch: &EndpointPatch,
) -> Refusable<WebhookEndpoint> {
    change(service, context, Action::WebhookEndpointUpdated, id, |endpoint, at| {
        let EndpointPatch { url, events, description, enabled } = patch.clone();
        if let Some(url) = url {
            endpoint.url = service.webhooks().guard.checked_url(&url).map_err(WebhookError::Url)?;
        }
        if let Some(events) = events {
            endpoint.events = events;
        }
        if let Some(description) = description {
            endpoint.description = description;
        }
        if let Some(enabled) = enabled {
            endpoint.set_enabled(enabled);
        }
        endpoint.updated_at = at.wall;
        Ok(())
    })
    .await
}

/// Gives an endpoint a new secret. The one so far also signs for `overlap`.
///
/// # Errors
/// [`WebhookError::UnknownEndpoint`].
pub async fn rotate_secret(
    service: &Service,
    context: &AuditContext,
    id: Option<WebhookEndpointId>,
    overlap: Duration,
) -> Refusable<(WebhookEndpoint, SecretText)> {
    let secret: [u8; signature::SECRET_BYTES] = service.random().array();
    let action = Action::WebhookEndpointSecretRotated;
    let endpoint = change(service, context, action, id, |endpoint, at| {
        let sealed = seal(service, endpoint.id, &secret);
        endpoint.rotate_secret(sealed, overlap, at.wall);
        Ok(())
    })
    .await?;
    tracing::info!(endpoint_id = %endpoint.id, "the secret of a webhook endpoint was rotated");
    Ok((endpoint, signature::text_of(&secret)))
}

async fn change(
    service: &Service,
    context: &AuditContext,
    action: Action,
    id: Option<WebhookEndpointId>,
    change: impl Fn(&mut WebhookEndpoint, Moment) -> Result<(), WebhookError>,
) -> Refusable<WebhookEndpoint> {
    let changed = service.retry_on_conflict(|| async {
        let before = endpoint(service, id).await?;
        let mut endpoint = before.clone();
        let at = service.moment();
        change(&mut endpoint, at)?;
        let act = audit::change(action, &before, &endpoint);
        let changes = service.act(at, context, act).write(Write::WebhookEndpoint(endpoint.clone()));
        service.commit(changes).await?;
        Ok::<_, Failure<WebhookError>>(endpoint)
    });
    let endpoint = changed.await?;
    service.webhooks().wake();
    Ok(endpoint)
}

/// Deletes an endpoint. Deliveries that wait are not sent.
///
/// # Errors
/// [`WebhookError::UnknownEndpoint`].
pub async fn delete(
    service: &Service,
    context: &AuditContext,
    id: Option<WebhookEndpointId>,
) -> Refusable<WebhookEndpointId> {
    let endpoint = endpoint(service, id).await?;
    let (id, act) = (endpoint.id, audit::deletion(&endpoint));
    let changes = service.act(service.moment(), context, act).write(Write::DeleteWebhookEndpoint(id));
    match service.commit(changes).await {
        Ok(()) => {}
        Err(error) if error.is_conflict() => return Err(WebhookError::UnknownEndpoint.into()),
        Err(error) => return Err(error.into()),
    }
    tracing::info!(endpoint_id = %id, "a webhook endpoint was deleted");
    Ok(id)
}

/// Queues a delivery that tries the endpoint.
///
/// # Errors
/// There is no such endpoint, or it is disabled.
pub async fn send_test(
    service: &Service,
    context: &AuditContext,
    id: Option<WebhookEndpointId>,
    compose: Compose,
) -> Refusable<WebhookDelivery> {
    let endpoint = endpoint(service, id).await?;
    if endpoint.disabled.is_some() {
        return Err(WebhookError::Disabled.into());
    }
    let at = service.moment();
    let event = WebhookEvent {
        instance_id: service.instance_id(),
        name: TEST_EVENT.to_owned(),
        at: at.wall,
        subject: Subject::Test,
    };
    let id = WebhookDeliveryId::generate(at.wall, &mut service.random());
    let delivery = WebhookDelivery::new(id, &endpoint, TEST_EVENT, at.wall);
    let row = StoredWebhookDelivery { delivery: delivery.clone(), body: compose(&event) };
    let act = Act::on(Action::WebhookEndpointTested, endpoint.id);
    service.commit(service.act(at, context, act).write(Write::InsertWebhookDelivery(row))).await?;
    service.webhooks().wake();
    Ok(delivery)
}

/// The deliveries of an endpoint, newest first, and their number on all pages.
///
/// # Errors
/// The store does not answer.
pub async fn deliveries(
    service: &Service,
    filter: WebhookDeliveryFilter,
) -> Result<(Vec<WebhookDelivery>, u64), StoreError> {
    service.store().webhook_deliveries(service.instance_id(), filter).await
}

/// One delivery with its body.
///
/// # Errors
/// [`WebhookError::UnknownDelivery`].
pub async fn delivery(service: &Service, id: Option<WebhookDeliveryId>) -> Refusable<StoredWebhookDelivery> {
    let found = match id {
        Some(id) => service.store().webhook_delivery(service.instance_id(), id).await?,
        None => None,
    };
    Ok(found.ok_or(WebhookError::UnknownDelivery)?)
}

/// Sends a delivery again, with the same id and the same bytes, whatever became of it.
///
/// # Errors
/// There is no such delivery, or an attempt is under way.
pub async fn retry(
    service: &Service,
    context: &AuditContext,
    id: Option<WebhookDeliveryId>,
) -> Refusable<WebhookDelivery> {
    let queued = service.retry_on_conflict(|| async {
        let mut row = delivery(service, id).await?.delivery;
        let at = service.moment();
        row.queue_again(at.wall).map_err(|_| WebhookError::UnderWay)?;
        let act = Act::on(Action::WebhookDeliveryRetried, row.id);
        service.commit(service.act(at, context, act).write(Write::WebhookDelivery(row.clone()))).await?;
        Ok::<_, Failure<WebhookError>>(row)
    });
    let row = queued.await?;
    service.webhooks().wake();
    Ok(row)
}

/// Deliveries that a replay reads and writes at a time.
const REPLAY_BATCH: u32 = 100;

/// Sends all deliveries of an endpoint again that were queued within `queued`, except those that
/// wait or are under way. Returns their number.
///
/// # Errors
/// There is no such endpoint, or it is disabled.
pub async fn replay(
    service: &Service,
    context: &AuditContext,
    id: Option<WebhookEndpointId>,
    queued: Span,
) -> Refusable<u64> {
    let endpoint = endpoint(service, id).await?;
    if endpoint.disabled.is_some() {
        return Err(WebhookError::Disabled.into());
    }
    // Many commits follow, and all of them are one act.
    let act = Act::on(Action::WebhookEndpointReplayed, endpoint.id)
        .field("since", (), queued.from.map(Timestamp::as_millis))
        .field("until", (), queued.before.map(Timestamp::as_millis));
    service.commit(service.act(service.moment(), context, act)).await?;
    let (mut count, mut offset) = (0, 0);
    loop {
        let filter = WebhookDeliveryFilter {
            endpoint_id: endpoint.id,
            status: None,
            queued,
            limit: REPLAY_BATCH,
            offset,
        };
        let (rows, _) = deliveries(service, filter).await?;
        for row in &rows {
            count += u64::from(queue_again(service, row).await?);
        }
        if rows.len() < REPLAY_BATCH as usize {
            break;
        }
        offset += REPLAY_BATCH;
    }
    service.webhooks().wake();
    tracing::info!(endpoint_id = %endpoint.id, count, "webhook deliveries are sent again");
    Ok(count)
}

/// Whether the delivery was finished, and is queued now.
async fn queue_again(service: &Service, row: &WebhookDelivery) -> Result<bool, CommitError> {
    let at = service.moment();
    let mut row = row.clone();
    if row.finished_at.is_none() || row.queue_again(at.wall).is_err() {
        return Ok(false);
    }
    match service.commit(service.changes(at).write(Write::WebhookDelivery(row))).await {
        Ok(()) => Ok(true),
        // Somebody else has queued it.
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

fn label(id: WebhookEndpointId) -> String {
    format!("webhook secret of {id}")
}

fn seal(service: &Service, id: WebhookEndpointId, secret: &[u8]) -> Vec<u8> {
    service.keyring().master_keys().current.seal(&label(id), secret, &mut service.random())
}

/// The secret, and whether the previous master key encrypted it.
fn open(service: &Service, id: WebhookEndpointId, sealed: &[u8]) -> Result<(Vec<u8>, bool), SealError> {
    let keys = service.keyring().master_keys();
    match (keys.current.open(&label(id), sealed), &keys.previous) {
        (Err(SealError), Some(previous)) => Ok((previous.open(&label(id), sealed)?, true)),
        (opened, _) => Ok((opened?, false)),
    }
}

/// Encrypts all secrets with the current master key that the previous one encrypted.
///
/// # Errors
/// The store does not answer, or neither master key opens a secret.
pub(crate) async fn reseal(service: &Service) -> Result<(), Failure<SealError>> {
    for known in endpoints(service).await? {
        let resealed = service.retry_on_conflict(|| async {
            let found = endpoints(service).await?.into_iter().find(|endpoint| endpoint.id == known.id);
            let Some(mut endpoint) = found else { return Ok(()) };
            let mut changed = false;
            for secret in &mut endpoint.secrets {
                let (text, by_previous) = open(service, endpoint.id, &secret.sealed)?;
                if by_previous {
                    secret.sealed = seal(service, endpoint.id, &text);
                    changed = true;
                }
            }
            if changed {
                let changes = service.changes(service.moment()).write(Write::WebhookEndpoint(endpoint));
                service.commit(changes).await?;
            }
            Ok::<_, Failure<SealError>>(())
        });
        resealed.await?;
    }
    Ok(())
}
