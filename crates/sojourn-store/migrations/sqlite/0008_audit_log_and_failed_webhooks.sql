-- Administrative acts, each written in the transaction of the act. `acted_at` is on the wall clock.
-- `place` orders the acts of one millisecond: counted by SQLite's single writer, while concurrent
-- transactions of PostgreSQL may count alike.
-- `changes` has the values before and after, and is NULL once the user it is about was deleted.
CREATE TABLE audit_log (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    acted_at    INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    object_id   TEXT    NOT NULL,
    document    TEXT    NOT NULL,
    changes     TEXT,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX audit_log_by_age ON audit_log (instance_id, acted_at, place);
CREATE INDEX audit_log_of_actor ON audit_log (instance_id, actor, acted_at, place);
CREATE INDEX audit_log_of_action ON audit_log (instance_id, action, acted_at, place);
CREATE INDEX audit_log_of_object ON audit_log (instance_id, object_id, acted_at, place);

-- How many deliveries were given up is asked for at every scrape of the metrics.
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (instance_id, endpoint_id) WHERE status = 'failed';

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit_log', 'sqlite_autoindex_audit_log_1', '1000000 100000 1'),
    ('audit_log', 'audit_log_by_age', '1000000 100000 2 1'),
    ('audit_log', 'audit_log_of_actor', '1000000 100000 30000 2 1'),
    ('audit_log', 'audit_log_of_action', '1000000 100000 10000 2 1'),
    ('audit_log', 'audit_log_of_object', '1000000 100000 5 2 1'),
    ('webhook_deliveries', 'webhook_deliveries_failed', '10000 1000 300');
