//! Webhook endpoints and deliveries.

use sojourn_core::{
    id::{InstanceId, WebhookDeliveryId, WebhookEndpointId},
    time::Timestamp,
    webhook::{WebhookDelivery, WebhookEndpoint},
};

use super::{
    list::{Conditions, Page},
    row::{Row, Unreadable, document, number, only_document, text, time_if_any},
    statement::{Command, Query, Statement, json, statements},
    value::params,
};
use crate::{
    error::StoreError,
    records::{QueueLengths, StoredWebhookDelivery, WebhookDeliveryFilter},
};

statements! { "webhooks";
    ENDPOINTS = both "
            SELECT document
            FROM webhook_endpoints
            WHERE instance_id = $1
            ORDER BY id";
    INSERT_ENDPOINT = both "
            INSERT INTO webhook_endpoints (instance_id, id, version, document)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4)
            ON CONFLICT DO NOTHING";
    UPDATE_ENDPOINT = both "
            UPDATE webhook_endpoints
            SET version = version + 1, document = $4
            WHERE instance_id = $1 AND id = $2 AND version = $3";
    DELETE_ENDPOINT = both "DELETE FROM webhook_endpoints WHERE instance_id = $1 AND id = $2";
    DELIVERY = both "
            SELECT document, due_at, body
            FROM webhook_deliveries
            WHERE instance_id = $1 AND id = $2";
    // Without a delivery behind an earlier one of the same user that is not finished.
    DUE_DELIVERIES = both "
            SELECT document, due_at, body
            FROM webhook_deliveries AS due
            WHERE instance_id = $1 AND endpoint_id = $2 AND due_at <= $3 AND NOT EXISTS (
                SELECT 1
                FROM webhook_deliveries AS earlier
                WHERE earlier.instance_id = $1
                    AND earlier.endpoint_id = $2
                    AND earlier.user_id = due.user_id
                    AND earlier.status = 'queued'
                    AND earlier.seq < due.seq
            )
            ORDER BY due_at, seq
            LIMIT $4";
    // Not due before the earlier deliveries of the same user: a search for due deliveries need not
    // look at those that wait.
    INSERT_DELIVERY = both "
            INSERT INTO webhook_deliveries (instance_id, id, version, endpoint_id, user_id, seq, status,
                queued_at, due_at, document, body)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5, $6, $7, $8, COALESCE((
                SELECT MAX(due_at)
                FROM webhook_deliveries
                WHERE instance_id = $1 AND endpoint_id = $4 AND user_id = $5 AND status = 'queued'
            ), $9), $10, $11)
            ON CONFLICT DO NOTHING";
    UPDATE_DELIVERY = both "
            UPDATE webhook_deliveries
            SET version = version + 1, status = $4, due_at = $5, document = $6
            WHERE instance_id = $1 AND id = $2 AND version = $3";
    // The later deliveries of the same user become due with this one, or at once if it is finished.
    MOVE_LATER = both "
            UPDATE webhook_deliveries
            SET due_at = $5
            WHERE instance_id = $1 AND endpoint_id = $2 AND user_id = $3 AND status = 'queued' AND seq > $4";
    // Each count is answered by an index that has these rows only.
    QUEUE_LENGTHS = both "
            SELECT (
                SELECT COUNT(*) FROM outgoing_mails WHERE instance_id = $1 AND status = 'queued'
            ), (
                SELECT COUNT(*) FROM outgoing_mails WHERE instance_id = $1 AND status = 'failed'
            ), (
                SELECT COUNT(*) FROM webhook_deliveries WHERE instance_id = $1 AND status = 'queued'
            ), (
                SELECT COUNT(*) FROM webhook_deliveries WHERE instance_id = $1 AND status = 'failed'
            )";
    PURGE_DELIVERIES = both "
            DELETE FROM webhook_deliveries
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM webhook_deliveries
                WHERE instance_id = $1 AND queued_at <= $2
                ORDER BY queued_at
                LIMIT $3
            )";
}

/// All endpoints, oldest first: ids sort by the second of their creation.
pub(crate) fn endpoints(instance: InstanceId) -> Query<WebhookEndpoint, 1> {
    Query { sql: &ENDPOINTS, params: params![instance], read: only_document }
}

/// Writes the row if its version is the stored one.
pub(crate) fn put_endpoint(instance: InstanceId, row: &WebhookEndpoint) -> Result<Statement, StoreError> {
    let statement = if row.version == 0 { &INSERT_ENDPOINT } else { &UPDATE_ENDPOINT };
    let stored = WebhookEndpoint { version: row.version + 1, ..row.clone() };
    let document = json("webhook_endpoints", &stored)?;
    Ok(Statement::one(statement, params![instance, row.id, row.version, document]))
}

pub(crate) fn delete_endpoint(instance: InstanceId, id: WebhookEndpointId) -> Statement {
    Statement::one(&DELETE_ENDPOINT, params![instance, id])
}

fn delivery(row: &dyn Row) -> Result<WebhookDelivery, Unreadable> {
    let delivery: WebhookDelivery = document(row, 0)?;
    Ok(WebhookDelivery { due_at: time_if_any(row, 1)?, ..delivery })
}

fn with_body(row: &dyn Row) -> Result<StoredWebhookDelivery, Unreadable> {
    Ok(StoredWebhookDelivery { delivery: delivery(row)?, body: text(row, 2)?.to_owned() })
}

pub(crate) fn get(instance: InstanceId, id: WebhookDeliveryId) -> Query<StoredWebhookDelivery, 2> {
    Query { sql: &DELIVERY, params: params![instance, id], read: with_body }
}

/// Deliveries of an endpoint that may be attempted at `wall`, the longest due first.
pub(crate) fn due(
    instance: InstanceId,
    endpoint: WebhookEndpointId,
    wall: Timestamp,
    limit: u32,
) -> Query<StoredWebhookDelivery, 4> {
    Query { sql: &DUE_DELIVERIES, params: params![instance, endpoint, wall, limit], read: with_body }
}

/// Deliveries of an endpoint, newest first.
pub(crate) fn list(instance: InstanceId, filter: &WebhookDeliveryFilter) -> Page<WebhookDelivery> {
    let mut conditions = Conditions::of_instance("instance_id", instance);
    conditions.and("endpoint_id = $", filter.endpoint_id);
    if let Some(status) = filter.status {
        conditions.and("status = $", status.as_str());
    }
    if let Some(from) = filter.queued.from {
        conditions.and("queued_at >= $", from);
    }
    if let Some(before) = filter.queued.before {
        conditions.and("queued_at < $", before);
    }
    Page {
        table: "webhook_deliveries",
        select: "document, due_at",
        from: "webhook_deliveries",
        conditions,
        order: "queued_at DESC, id DESC".to_owned(),
        limit: filter.limit,
        offset: filter.offset,
        read: delivery,
    }
}

/// Stores a new delivery with its body.
pub(crate) fn insert(instance: InstanceId, row: &StoredWebhookDelivery) -> Result<Statement, StoreError> {
    let StoredWebhookDelivery { delivery: row, body } = row;
    let document = document_of(row)?;
    let status = row.status.as_str();
    let params = params![
        instance,
        row.id,
        row.version,
        row.endpoint_id,
        row.user_id,
        row.seq,
        status,
        row.queued_at,
        row.due_at,
        document,
        body
    ];
    Ok(Statement::one(&INSERT_DELIVERY, params))
}

/// Stores a delivery if its version is the stored one, and moves the later ones of its user. `wall`
/// is the time of the change.
pub(crate) fn update(
    instance: InstanceId,
    row: &WebhookDelivery,
    wall: Timestamp,
) -> Result<impl Iterator<Item = Statement>, StoreError> {
    let document = document_of(row)?;
    let update = Statement::one(
        &UPDATE_DELIVERY,
        params![instance, row.id, row.version, row.status.as_str(), row.due_at, document],
    );
    let due_at = row.due_at.unwrap_or(wall);
    let later = row.user_id.map(|user_id| {
        Statement::any(&MOVE_LATER, params![instance, row.endpoint_id, user_id, row.seq, due_at])
    });
    Ok([update].into_iter().chain(later))
}

fn document_of(row: &WebhookDelivery) -> Result<String, StoreError> {
    json("webhook_deliveries", &WebhookDelivery { version: row.version + 1, ..row.clone() })
}

/// How many mails and deliveries wait, and how many were given up.
pub(crate) fn queue_lengths(instance: InstanceId) -> Query<QueueLengths, 1> {
    let read = |row: &dyn Row| {
        Ok(QueueLengths {
            queued_mails: number(row, 0)?,
            failed_mails: number(row, 1)?,
            queued_webhooks: number(row, 2)?,
            failed_webhooks: number(row, 3)?,
        })
    };
    Query { sql: &QUEUE_LENGTHS, params: params![instance], read }
}

/// Deletes up to `limit` deliveries that were queued at `before` or earlier.
pub(crate) fn purge(instance: InstanceId, before: Timestamp, limit: u32) -> Command<3> {
    Command { sql: &PURGE_DELIVERIES, params: params![instance, before, limit] }
}
