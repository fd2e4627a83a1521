-- The answers of creations that were asked for with an Idempotency-Key. On the wall clock.
CREATE TABLE idempotency_keys (
    instance_id  TEXT    NOT NULL,
    key_hash     BLOB    NOT NULL,
    request_hash BLOB    NOT NULL,
    answer       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (instance_id, key_hash)
) STRICT;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (instance_id, created_at);

-- How far each reader of the outbox has come.
CREATE TABLE outbox_readers (
    instance_id TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (instance_id, name)
) STRICT, WITHOUT ROWID;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('idempotency_keys', 'sqlite_autoindex_idempotency_keys_1', '10000 1000 1'),
    ('idempotency_keys', 'idempotency_keys_by_age', '10000 1000 1'),
    ('outbox_readers', 'outbox_readers', '10 5 1');
