//! Webhooks: which events an endpoint gets, when a delivery is attempted again, and when an endpoint
//! is disabled. All times are on the wall clock, because receivers live outside the test clock.

mod address;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::address::is_public;
use crate::{
    id::{Randomness, UserId, WebhookDeliveryId, WebhookEndpointId},
    time::{Timestamp, days, minutes, seconds},
};

/// Events of the vendor. An endpoint that names no events gets these.
/// `session.pending` is accepted although no session here is ever pending.
/// Source: spec webhooks/2025-04-15.yml
pub const VENDOR_EVENTS: [&str; 8] = [
    "session.created",
    "session.ended",
    "session.pending",
    "session.removed",
    "session.revoked",
    "user.created",
    "user.deleted",
    "user.updated",
];
/// Events of ours. An endpoint gets them only if it names them, so that a handler that was written
/// for the vendor meets no unknown type.
pub const OWN_EVENTS: [&str; 3] = ["session.abandoned", "session.expired", "session.replaced"];
/// The type of a delivery that somebody requested to try an endpoint.
pub const TEST_EVENT: &str = "sojourn.test";

/// Endpoints of one instance. With the concurrency per endpoint it bounds the requests under way.
pub const MAX_ENDPOINTS: usize = 16;
/// Waits after the first, second, … failed attempt. The last attempt is about 38 hours after the first.
const WAITS: [Duration; 8] = [
    seconds(5),
    minutes(5),
    minutes(30),
    minutes(2 * 60),
    minutes(5 * 60),
    minutes(10 * 60),
    minutes(10 * 60),
    minutes(10 * 60),
];
/// A delivery that could not be attempted for this long, because its endpoint was disabled or an
/// earlier delivery of the same user was in the way, is given up.
pub const DELIVERY_LIFETIME: Duration = days(3);
/// An endpoint that fails for this long without one success is disabled.
pub const FAILING_LIMIT: Duration = days(5);
/// Characters kept of a response.
pub const ANSWER_CHARS: usize = 200;

/// Whether an endpoint may ask for this event.
pub fn is_event(name: &str) -> bool {
    VENDOR_EVENTS.contains(&name) || OWN_EVENTS.contains(&name)
}

/// A receiver of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    pub id: WebhookEndpointId,
    pub version: u64,
    pub url: String,
    pub description: Option<String>,
    /// Sorted; empty means [`VENDOR_EVENTS`].
    pub events: Vec<String>,
    /// Set if no deliveries are sent.
    pub disabled: Option<Disabled>,
    /// Newest first. At most two are valid at the same time.
    pub secrets: Vec<WebhookSecret>,
    /// The first failure after the last success.
    pub failing_since: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A signing secret, encrypted with the master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    pub sealed: Vec<u8>,
    /// Set by a rotation: signs until then.
    pub expires_at: Option<Timestamp>,
}

/// Why an endpoint gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disabled {
    /// Somebody disabled it.
    ByRequest,
    /// It failed for [`FAILING_LIMIT`].
    Failing,
    /// It responded with 410 Gone (Standard Webhooks, "Delivery").
    Gone,
}

impl WebhookEndpoint {
    /// An enabled endpoint with one secret.
    pub fn new(id: WebhookEndpointId, url: String, sealed: Vec<u8>, wall: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            url,
            description: None,
            events: Vec::new(),
            disabled: None,
            secrets: vec![WebhookSecret { sealed, expires_at: None }],
            failing_since: None,
            created_at: wall,
            updated_at: wall,
        }
    }

    /// Whether the endpoint gets an event of this name.
    pub fn wants(&self, event: &str) -> bool {
        if self.disabled.is_some() {
            return false;
        }
        match self.events.is_empty() {
            true => VENDOR_EVENTS.contains(&event),
            false => self.events.iter().any(|wanted| wanted == event),
        }
    }

    /// The secrets that sign at `wall`, newest first.
    pub fn valid_secrets(&self, wall: Timestamp) -> impl Iterator<Item = &WebhookSecret> {
        self.secrets.iter().filter(move |secret| secret.expires_at.is_none_or(|end| wall < end)).take(2)
    }

    /// Adds a secret. The newest one so far stays valid for `overlap`; older ones end at once.
    pub fn rotate_secret(&mut self, sealed: Vec<u8>, overlap: Duration, wall: Timestamp) {
        self.secrets.truncate(1);
        if overlap.is_zero() {
            self.secrets.clear();
        }
        for secret in &mut self.secrets {
            secret.expires_at = Some(wall + overlap);
        }
        self.secrets.insert(0, WebhookSecret { sealed, expires_at: None });
        self.updated_at = wall;
    }

    /// Enables or disables the endpoint on request. Enabling forgets earlier failures.
    pub fn set_enabled(&mut self, enabled: bool) {
        match (enabled, self.disabled) {
            (true, _) => {
                self.disabled = None;
                self.failing_since = None;
            }
            (false, None) => self.disabled = Some(Disabled::ByRequest),
            (false, Some(_)) => {}
        }
    }

    /// Records the outcome of an attempt. Returns whether the endpoint changed.
    pub fn note(&mut self, outcome: Outcome, wall: Timestamp) -> bool {
        let before = (self.disabled, self.failing_since);
        match outcome {
            Outcome::Delivered => self.failing_since = None,
            Outcome::Gone => self.disabled = self.disabled.or(Some(Disabled::Gone)),
            Outcome::Failed => {
                let since = *self.failing_since.get_or_insert(wall);
                if wall >= since + FAILING_LIMIT {
                    self.disabled = self.disabled.or(Some(Disabled::Failing));
                }
            }
        }
        before != (self.disabled, self.failing_since)
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// The same for every attempt, so that a receiver can recognise a repetition.
    pub id: WebhookDeliveryId,
    pub version: u64,
    pub endpoint_id: WebhookEndpointId,
    /// `session.created` and so on.
    pub event: String,
    /// The user whose deliveries are kept in order.
    pub user_id: Option<UserId>,
    /// The sequence number of the event, which orders the deliveries of a user.
    pub seq: u64,
    pub status: DeliveryStatus,
    /// Attempts that were started, since the last request for another one.
    pub attempts: u32,
    pub queued_at: Timestamp,
    /// Not attempted from then on.
    pub expires_at: Timestamp,
    /// The next attempt, if the status is queued. The store moves it while an earlier delivery of
    /// the same user is waiting.
    pub due_at: Option<Timestamp>,
    /// Whether an attempt is under way, until `due_at` at the latest.
    pub is_claimed: bool,
    pub finished_at: Option<Timestamp>,
    pub last_attempt: Option<WebhookAttempt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waits for an attempt, or one is under way.
    Queued,
    /// The endpoint accepted it.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    pub const ALL: [Self; 3] = [Self::Queued, Self::Delivered, Self::Failed];

    /// The word in the database, on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What happened in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAttempt {
    pub at: Timestamp,
    pub duration_ms: u64,
    /// The HTTP status, if there was a response.
    pub http_status: Option<u16>,
    /// The first [`ANSWER_CHARS`] characters of the response, in one line.
    pub answer: Option<String>,
    /// Why there was no usable response.
    pub error: Option<String>,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A 2xx response.
    Delivered,
    /// 410 Gone: the receiver wants nothing more.
    Gone,
    Failed,
}

impl WebhookAttempt {
    pub const fn outcome(&self) -> Outcome {
        match (self.http_status, &self.error) {
            (Some(200..=299), None) => Outcome::Delivered,
            (Some(410), _) => Outcome::Gone,
            _ => Outcome::Failed,
        }
    }
}

/// What the caller of [`WebhookDelivery::take`] must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Store the claim, then send.
    Send,
    /// Store the delivery; it was given up.
    Store,
}

/// Why a delivery is not attempted again now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsUnderWay;

impl WebhookDelivery {
    /// A delivery that is due at once.
    pub fn new(id: WebhookDeliveryId, endpoint: &WebhookEndpoint, event: &str, wall: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            endpoint_id: endpoint.id,
            event: event.to_owned(),
            user_id: None,
            seq: 0,
            status: DeliveryStatus::Queued,
            attempts: 0,
            queued_at: wall,
            expires_at: wall + DELIVERY_LIFETIME,
            due_at: Some(wall),
            is_claimed: false,
            finished_at: None,
            last_attempt: None,
        }
    }

    /// Claims a delivery that is due for `hold`: if the claimer does not report by then, another
    /// node may claim it. Returns `None` if it is not due.
    pub fn take(&mut self, wall: Timestamp, hold: Duration) -> Option<Taken> {
        if self.status != DeliveryStatus::Queued || self.due_at.is_none_or(|due_at| wall < due_at) {
            return None;
        }
        if wall >= self.expires_at {
            self.finish(DeliveryStatus::Failed, wall);
            let error = Some("it was too old before it could be attempted".to_owned());
            self.last_attempt.get_or_insert(WebhookAttempt {
                at: wall,
                duration_ms: 0,
                http_status: None,
                answer: None,
                error,
            });
            return Some(Taken::Store);
        }
        self.attempts = self.attempts.saturating_add(1);
        self.is_claimed = true;
        self.due_at = Some(wall + hold);
        Some(Taken::Send)
    }

    /// Ends the claim of a process that is known to be gone. Returns whether there was one.
    pub fn release(&mut self, wall: Timestamp) -> bool {
        let was_claimed = self.is_claimed;
        if was_claimed {
            self.is_claimed = false;
            self.due_at = Some(wall);
        }
        was_claimed
    }

    /// Records an attempt: delivered, to be repeated later, or given up.
    pub fn note(&mut self, wall: Timestamp, attempt: WebhookAttempt, random: &mut dyn Randomness) -> Outcome {
        let outcome = attempt.outcome();
        self.last_attempt = Some(attempt);
        match (outcome, wait_after(self.attempts, random)) {
            (Outcome::Delivered, _) => self.finish(DeliveryStatus::Delivered, wall),
            (Outcome::Failed, Some(wait)) => {
                self.is_claimed = false;
                self.due_at = Some(wall + wait);
            }
            (Outcome::Gone, _) | (Outcome::Failed, None) => self.finish(DeliveryStatus::Failed, wall),
        }
        outcome
    }

    fn finish(&mut self, status: DeliveryStatus, wall: Timestamp) {
        self.status = status;
        self.is_claimed = false;
        self.due_at = None;
        self.finished_at = Some(wall);
    }

    /// Queues the delivery again, whatever its status, with all attempts before it.
    ///
    /// # Errors
    /// [`IsUnderWay`].
    pub fn queue_again(&mut self, wall: Timestamp) -> Result<(), IsUnderWay> {
        if self.is_claimed && self.due_at.is_some_and(|due_at| wall < due_at) {
            return Err(IsUnderWay);
        }
        self.status = DeliveryStatus::Queued;
        self.attempts = 0;
        self.is_claimed = false;
        self.finished_at = None;
        self.expires_at = wall + DELIVERY_LIFETIME;
        self.due_at = Some(wall);
        Ok(())
    }
}

/// The wait after this many attempts, 90 to 110 % of the schedule, so that deliveries that failed
/// together are not repeated together. `None` after the last attempt.
fn wait_after(attempts: u32, random: &mut dyn Randomness) -> Option<Duration> {
    let wait = *WAITS.get(attempts.checked_sub(1)? as usize)?;
    let mut bytes = [0; 2];
    random.fill(&mut bytes);
    let (whole, share) = (wait.as_millis() as u64, u64::from(u16::from_le_bytes(bytes)));
    Some(Duration::from_millis(whole * 9 / 10 + whole / 5 * share / u64::from(u16::MAX)))
}

/// One line of at most [`ANSWER_CHARS`] characters without control characters.
pub fn excerpt(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(ANSWER_CHARS).collect()
}

#[cfg(test)]
mod tests;
