-- The answers of creations that were asked for with an Idempotency-Key. On the wall clock.
CREATE TABLE idempotency_keys (
    instance_id TEXT COLLATE "C" NOT NULL,
    key_hash BYTEA NOT NULL,
    request_hash BYTEA NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, key_hash)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (instance_id, created_at);

-- How far each reader of the outbox has come.
CREATE TABLE outbox_readers (
    instance_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (instance_id, name)
);
