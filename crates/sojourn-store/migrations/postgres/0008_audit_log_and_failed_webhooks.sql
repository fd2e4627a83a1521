-- Administrative acts, each written in the transaction of the act. `acted_at` is on the wall clock.
-- `place` orders the acts of one millisecond: counted by SQLite's single writer, while concurrent
-- transactions of PostgreSQL may count alike.
-- `changes` has the values before and after, and is NULL once the user it is about was deleted.
CREATE TABLE audit_log (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    acted_at BIGINT NOT NULL,
    place BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    object_id TEXT COLLATE "C" NOT NULL,
    document TEXT NOT NULL,
    changes TEXT,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX audit_log_by_age ON audit_log (instance_id, acted_at, place);
CREATE INDEX audit_log_of_actor ON audit_log (instance_id, actor, acted_at, place);
CREATE INDEX audit_log_of_action ON audit_log (instance_id, action, acted_at, place);
CREATE INDEX audit_log_of_object ON audit_log (instance_id, object_id, acted_at, place);

-- How many deliveries were given up is asked for at every scrape of the metrics.
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (instance_id, endpoint_id) WHERE status = 'failed';
