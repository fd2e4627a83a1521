-- Receivers of events. On the wall clock, as all times here.
CREATE TABLE webhook_endpoints (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);

-- Events on their way to one endpoint, and for a while what became of them. `body` is composed once,
-- so that every attempt sends the same bytes. `user_id` and `seq` give the order that is kept.
CREATE TABLE webhook_deliveries (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    seq BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    due_at BIGINT,
    document TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (instance_id, endpoint_id, due_at, seq)
    WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (instance_id, endpoint_id, user_id, seq)
    WHERE status = 'queued';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (instance_id, queued_at);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (instance_id, endpoint_id, queued_at, id);
