-- The schema of migrations/sqlite/0001_initial.sql in the words of PostgreSQL. Every key begins
-- with the instance (AUZ-02), then the natural id, so that an engine that shards can spread
-- them; no sequences, triggers, arrays or foreign keys. Ids sort by their bytes, whatever
-- the database's collation. Times are milliseconds since 1970. `document` is JSON that is
-- never searched for, and text, because JSONB cannot hold every string that JSON can.

CREATE TABLE clock (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    high_water BIGINT NOT NULL
);

CREATE TABLE instances (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    environment TEXT NOT NULL CHECK (environment IN ('development', 'production')),
    host TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    instance_id TEXT COLLATE "C" NOT NULL,
    kid TEXT COLLATE "C" NOT NULL,
    sealed_private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, kid)
);
-- A kid is unique over all instances: an application that knows two issuers never mixes up their keys.
CREATE UNIQUE INDEX signing_keys_by_kid ON signing_keys (kid);

CREATE TABLE secret_keys (
    instance_id TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, hash)
);

CREATE TABLE settings (
    instance_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, version)
);

CREATE TABLE clients (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    signed_in_set_changed_at BIGINT NOT NULL,
    secret BYTEA NOT NULL,
    predecessor_secret BYTEA,
    predecessor_rotated_at BIGINT,
    predecessor_good_until BIGINT,
    last_active_session_id TEXT COLLATE "C",
    last_authentication_strategy TEXT,
    sign_in_id TEXT COLLATE "C",
    sign_up_id TEXT COLLATE "C",
    last_origin TEXT,
    PRIMARY KEY (instance_id, id)
);

CREATE TABLE sessions (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    first_factor_verified_at BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    ip_address TEXT NOT NULL,
    closed_at BIGINT,
    closed_status TEXT,
    closed_reason TEXT,
    closed_settings_version BIGINT,
    PRIMARY KEY (instance_id, id),
    CHECK ((closed_at IS NULL) = (closed_status IS NULL)),
    CHECK ((closed_at IS NULL) = (closed_reason IS NULL)),
    CHECK ((closed_at IS NULL) = (closed_settings_version IS NULL))
);
CREATE INDEX sessions_by_user ON sessions (instance_id, user_id, created_at);
-- With closed_at, so that a browser's load skips what it has left behind.
CREATE INDEX sessions_by_client ON sessions (instance_id, client_id, closed_at);
CREATE INDEX sessions_open ON sessions (instance_id, created_at) WHERE closed_at IS NULL;

-- Narrow and without a second index, with room left on each page: an update stays on it.
-- `closed` says here, too, that the session is over, so that late activity meets it in the
-- row that it writes, whatever it has been waiting for.
CREATE TABLE activity (
    instance_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    last_active_at BIGINT NOT NULL,
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (instance_id, session_id)
) WITH (fillfactor = 80);

CREATE TABLE users (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_sign_in_at BIGINT,
    banned BOOLEAN NOT NULL,
    search TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX users_by_creation ON users (instance_id, created_at);

-- What names exactly one user: e-mail addresses and external ids.
CREATE TABLE identifiers (
    instance_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('email_address', 'external_id')),
    value TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (instance_id, kind, value)
);
CREATE INDEX identifiers_by_user ON identifiers (instance_id, user_id);

CREATE TABLE sign_ins (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    over_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX sign_ins_by_end ON sign_ins (over_at);

CREATE TABLE sign_ups (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    over_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX sign_ups_by_end ON sign_ups (over_at);

CREATE TABLE handshakes (
    instance_id TEXT COLLATE "C" NOT NULL,
    nonce BYTEA NOT NULL,
    over_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, nonce)
);
CREATE INDEX handshakes_by_end ON handshakes (over_at);

CREATE TABLE sign_in_tokens (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'revoked')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    over_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE UNIQUE INDEX sign_in_tokens_by_hash ON sign_in_tokens (instance_id, hash);
CREATE INDEX sign_in_tokens_by_end ON sign_in_tokens (over_at);

CREATE TABLE mails (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    recipient TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX mails_by_time ON mails (instance_id, received_at);

-- Written in any order by several writers; numbered by readers, once it is committed
-- (docs/decisions/0006). `written_at` is the database's clock in microseconds: an order, not a time.
CREATE TABLE outbox (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    seq BIGINT,
    PRIMARY KEY (instance_id, id)
);
CREATE UNIQUE INDEX outbox_by_number ON outbox (instance_id, seq);
CREATE INDEX outbox_unnumbered ON outbox (instance_id, written_at, id) WHERE seq IS NULL;

-- Settles a lost answer to COMMIT. Purged by id, which sorts by time: no index to keep.
CREATE TABLE commits (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (instance_id, id)
);
