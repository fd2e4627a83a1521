//! Webhook endpoints and deliveries.

use std::cmp::Reverse;

use sojourn_core::{
    id::WebhookEndpointId,
    outgoing_mail::MailStatus,
    time::Timestamp,
    webhook::{DeliveryStatus, WebhookDelivery, WebhookEndpoint},
};
use sojourn_store::{QueueLengths, StoredWebhookDelivery, WebhookDeliveryFilter};

use super::tenant::Tenant;

impl Tenant {
    pub(super) fn webhook_endpoints(&self) -> Vec<WebhookEndpoint> {
        self.webhook_endpoints.values().cloned().collect()
    }

    /// Queued deliveries to the endpoint and of the user of `row`.
    fn queued_beside<'a>(
        &'a self,
        row: &'a WebhookDelivery,
    ) -> impl Iterator<Item = &'a StoredWebhookDelivery> {
        self.webhook_deliveries.values().filter(move |stored| {
            let other = &stored.delivery;
            other.status == DeliveryStatus::Queued
                && other.endpoint_id == row.endpoint_id
                && other.user_id == row.user_id
                && row.user_id.is_some()
        })
    }

    pub(super) fn due_webhooks(
        &self,
        endpoint: WebhookEndpointId,
        wall: Timestamp,
        limit: usize,
    ) -> Vec<StoredWebhookDelivery> {
        let is_due = |stored: &&StoredWebhookDelivery| {
            let row = &stored.delivery;
            row.endpoint_id == endpoint
                && row.due_at.is_some_and(|due_at| due_at <= wall)
                && !self.queued_beside(row).any(|earlier| earlier.delivery.seq < row.seq)
        };
        let mut due: Vec<_> = self.webhook_deliveries.values().filter(is_due).cloned().collect();
        due.sort_by_key(|stored| (stored.delivery.due_at, stored.delivery.seq));
        due.truncate(limit);
        due
    }

    pub(super) fn webhook_deliveries(&self, filter: &WebhookDeliveryFilter) -> (Vec<WebhookDelivery>, u64) {
        let matches = |row: &&WebhookDelivery| {
            row.endpoint_id == filter.endpoint_id
                && filter.status.is_none_or(|status| row.status == status)
                && filter.queued.from.is_none_or(|from| row.queued_at >= from)
                && filter.queued.before.is_none_or(|before| row.queued_at < before)
        };
        let rows = self.webhook_deliveries.values().map(|stored| &stored.delivery);
        let mut rows: Vec<_> = rows.filter(matches).cloned().collect();
        rows.sort_by_key(|row| Reverse((row.queued_at, row.id)));
        let total = rows.len() as u64;
        (rows.into_iter().skip(filter.offset as usize).take(filter.limit as usize).collect(), total)
    }

    pub(super) fn queue_lengths(&self) -> QueueLengths {
        let mails = |status| self.outgoing_mails.values().filter(|mail| mail.status == status).count() as u64;
        let webhooks = |status| {
            self.webhook_deliveries.values().filter(|row| row.delivery.status == status).count() as u64
        };
        QueueLengths {
            queued_mails: mails(MailStatus::Queued),
            failed_mails: mails(MailStatus::Failed),
            queued_webhooks: webhooks(DeliveryStatus::Queued),
            failed_webhooks: webhooks(DeliveryStatus::Failed),
        }
    }

    /// The row to insert: not due before the earlier deliveries of its user.
    pub(super) fn new_delivery(&self, row: &StoredWebhookDelivery) -> StoredWebhookDelivery {
        let mut row = row.clone();
        let earlier = self.queued_beside(&row.delivery).filter_map(|other| other.delivery.due_at).max();
        row.delivery.due_at = earlier.or(row.delivery.due_at);
        row.delivery.version += 1;
        row
    }

    /// The rows that an update writes; `None` if the version is not the stored one.
    pub(super) fn changed_deliveries(
        &self,
        row: &WebhookDelivery,
        wall: Timestamp,
    ) -> Option<Vec<StoredWebhookDelivery>> {
        let stored = self.webhook_deliveries.get(&row.id)?;
        if stored.delivery.version != row.version {
            return None;
        }
        let mut rows: Vec<_> =
            self.queued_beside(row).filter(|later| later.delivery.seq > row.seq).cloned().collect();
        for later in &mut rows {
            later.delivery.due_at = Some(row.due_at.unwrap_or(wall));
        }
        let delivery = WebhookDelivery { version: row.version + 1, ..row.clone() };
        rows.push(StoredWebhookDelivery { delivery, ..stored.clone() });
        Some(rows)
    }
}
