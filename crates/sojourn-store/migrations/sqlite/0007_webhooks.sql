-- Receivers of events. On the wall clock, as all times here.
CREATE TABLE webhook_endpoints (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;

-- Events on their way to one endpoint, and for a while what became of them. `body` is composed once,
-- so that every attempt sends the same bytes. `user_id` and `seq` give the order that is kept.
CREATE TABLE webhook_deliveries (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    endpoint_id TEXT    NOT NULL,
    user_id     TEXT,
    seq         INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    queued_at   INTEGER NOT NULL,
    due_at      INTEGER,
    document    TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (instance_id, endpoint_id, due_at, seq)
    WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (instance_id, endpoint_id, user_id, seq)
    WHERE status = 'queued';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (instance_id, queued_at);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (instance_id, endpoint_id, queued_at, id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('webhook_endpoints', 'sqlite_autoindex_webhook_endpoints_1', '20 4 1'),
    ('webhook_deliveries', 'sqlite_autoindex_webhook_deliveries_1', '1000000 100000 1'),
    ('webhook_deliveries', 'webhook_deliveries_due', '10000 1000 300 2 1'),
    ('webhook_deliveries', 'webhook_deliveries_in_order', '10000 1000 300 3 1'),
    ('webhook_deliveries', 'webhook_deliveries_by_age', '1000000 100000 2'),
    ('webhook_deliveries', 'webhook_deliveries_of_endpoint', '1000000 100000 30000 2 1');
