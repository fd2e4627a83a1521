//! Turns events of the outbox into deliveries: one per endpoint that wants the event, in the same
//! commit in which the reader acknowledges its place. So no event is lost and none is queued twice,
//! whichever node does it and whenever it is killed.

use std::sync::Arc;

use sojourn_core::{
    id::{InstanceId, SessionId, UserId, WebhookDeliveryId},
    policy::Policy,
    session::Session,
    time::Timestamp,
    webhook::{WebhookDelivery, WebhookEndpoint},
};
use sojourn_store::{CommitError, Engine as _, OutboxEntry, StoreError, StoredWebhookDelivery, Write};

use crate::{
    instance::Service,
    users::{self, ActiveUser},
};

/// The name of the reader.
pub const READER: &str = "webhooks";
/// Events per commit.
const BATCH: u32 = 32;

/// Composes the JSON text of an event. The service does not know its form.
pub type Compose = fn(&WebhookEvent) -> String;

/// An event with what its receivers are told.
#[derive(Clone, Debug)]
pub struct WebhookEvent {
    pub instance_id: InstanceId,
    /// `session.created` and so on.
    pub name: String,
    /// When it happened, on the session clock.
    pub at: Timestamp,
    pub subject: Subject,
}

/// What an event is about. Users are in their state at this time, sessions too, except that
/// `session.created` shows a session that is open.
#[derive(Clone, Debug)]
pub enum Subject {
    User(Box<ActiveUser>),
    DeletedUser(UserId),
    Session {
        session: Box<Session>,
        policy: Arc<Policy>,
        /// `None` if the user was deleted.
        user: Option<Box<ActiveUser>>,
    },
    Test,
}

/// Queues deliveries for all events that nobody has processed.
///
/// # Errors
/// The store does not answer.
pub async fn fan_out(service: &Service, compose: Compose) -> Result<(), CommitError> {
    while batch(service, compose).await? {}
    Ok(())
}

/// Processes one batch. Returns whether there may be more.
async fn batch(service: &Service, compose: Compose) -> Result<bool, CommitError> {
    let (store, instance_id) = (service.store(), service.instance_id());
    let before = store.acknowledged_events(instance_id, READER).await?;
    let entries = store.outbox(instance_id, before, BATCH).await?;
    let Some(last) = entries.last() else { return Ok(false) };
    let endpoints = store.webhook_endpoints(instance_id).await?;
    let at = service.moment();
    let place = Write::AcknowledgeEvents { reader: READER, before, seq: last.seq };
    let mut changes = service.changes(at).write(place);
    for entry in &entries {
        let wanting: Vec<&WebhookEndpoint> =
            endpoints.iter().filter(|endpoint| endpoint.wants(&entry.name)).collect();
        if wanting.is_empty() {
            continue;
        }
        let Some(event) = event(service, entry).await? else { continue };
        let body = compose(&event);
        for endpoint in wanting {
            let id = WebhookDeliveryId::generate(at.wall, &mut service.random());
            let delivery = WebhookDelivery {
                user_id: id_in(entry, "user_id"),
                seq: entry.seq,
                ..WebhookDelivery::new(id, endpoint, &entry.name, at.wall)
            };
            changes = changes
                .write(Write::InsertWebhookDelivery(StoredWebhookDelivery { delivery, body: body.clone() }));
        }
    }
    match store.commit(changes).await {
        // On a conflict another node has processed them.
        Ok(()) | Err(CommitError::Conflict) => Ok(true),
        Err(error) => Err(error),
    }
}

fn id_in<T: std::str::FromStr>(entry: &OutboxEntry, name: &str) -> Option<T> {
    entry.data[name].as_str()?.parse().ok()
}

/// The event of an entry; `None` if there is nothing to tell any more.
async fn event(service: &Service, entry: &OutboxEntry) -> Result<Option<WebhookEvent>, StoreError> {
    let (store, instance_id) = (service.store(), service.instance_id());
    let Some(user_id) = id_in(entry, "user_id") else { return Ok(None) };
    let user = match store.user(instance_id, user_id).await? {
        Some(user) => Some(Box::new(users::active(service, user).await?)),
        None => None,
    };
    let subject = match (entry.name.as_str(), id_in::<SessionId>(entry, "session_id"), user) {
        ("user.deleted", ..) => Some(Subject::DeletedUser(user_id)),
        // A user that is gone has been deleted since, which is an event of its own.
        (_, None, user) => user.map(Subject::User),
        (name, Some(session_id), user) => match store.session(instance_id, session_id).await? {
            Some(mut session) => {
                if name == "session.created" {
                    session.closed = None;
                }
                let (_, policy) = store.settings(instance_id).await?;
                Some(Subject::Session { session: Box::new(session), policy: Arc::new(policy), user })
            }
            None => {
                let event = entry.name.as_str();
                tracing::warn!(event, %session_id, "a session was deleted before its event was delivered");
                None
            }
        },
    };
    let told = |subject| WebhookEvent { instance_id, name: entry.name.clone(), at: entry.at, subject };
    Ok(subject.map(told))
}
