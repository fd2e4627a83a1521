-- Every key begins with the instance (AUZ-02). Ids are TEXT as on the wire:
-- they sort by the second they were made in, and a backup can be read without
-- tools of ours. Times are milliseconds since 1970. `document` is the JSON of
-- what is never searched for.

CREATE TABLE clock (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    high_water INTEGER NOT NULL
) STRICT;

CREATE TABLE instances (
    id          TEXT    NOT NULL PRIMARY KEY,
    environment TEXT    NOT NULL CHECK (environment IN ('development', 'production')),
    host        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    instance_id        TEXT    NOT NULL,
    kid                TEXT    NOT NULL,
    sealed_private_key BLOB    NOT NULL,
    created_at         INTEGER NOT NULL,
    PRIMARY KEY (instance_id, kid)
) STRICT;
-- A kid is unique over all instances: an application that knows two issuers never mixes up their keys.
CREATE UNIQUE INDEX signing_keys_by_kid ON signing_keys (kid);

CREATE TABLE secret_keys (
    instance_id TEXT    NOT NULL,
    hash        BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (instance_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    instance_id TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, version)
) STRICT;

CREATE TABLE clients (
    instance_id                  TEXT    NOT NULL,
    id                           TEXT    NOT NULL,
    version                      INTEGER NOT NULL,
    created_at                   INTEGER NOT NULL,
    updated_at                   INTEGER NOT NULL,
    signed_in_set_changed_at     INTEGER NOT NULL,
    secret                       BLOB    NOT NULL,
    predecessor_secret           BLOB,
    predecessor_rotated_at       INTEGER,
    predecessor_good_until       INTEGER,
    last_active_session_id       TEXT,
    last_authentication_strategy TEXT,
    sign_in_id                   TEXT,
    sign_up_id                   TEXT,
    last_origin                  TEXT,
    PRIMARY KEY (instance_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    instance_id              TEXT    NOT NULL,
    id                       TEXT    NOT NULL,
    client_id                TEXT    NOT NULL,
    user_id                  TEXT    NOT NULL,
    created_at               INTEGER NOT NULL,
    updated_at               INTEGER NOT NULL,
    first_factor_verified_at INTEGER NOT NULL,
    user_agent               TEXT    NOT NULL,
    ip_address               TEXT    NOT NULL,
    closed_at                INTEGER,
    closed_status            TEXT,
    closed_reason            TEXT,
    closed_settings_version  INTEGER,
    PRIMARY KEY (instance_id, id),
    CHECK ((closed_at IS NULL) = (closed_status IS NULL)),
    CHECK ((closed_at IS NULL) = (closed_reason IS NULL)),
    CHECK ((closed_at IS NULL) = (closed_settings_version IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (instance_id, user_id, created_at);
-- With closed_at, so that a browser's load skips what it has left behind.
CREATE INDEX sessions_by_client ON sessions (instance_id, client_id, closed_at);
CREATE INDEX sessions_open ON sessions (instance_id, created_at) WHERE closed_at IS NULL;

-- Narrow and without an index: a group of updates touches few pages.
CREATE TABLE activity (
    instance_id    TEXT    NOT NULL,
    session_id     TEXT    NOT NULL,
    last_active_at INTEGER NOT NULL,
    PRIMARY KEY (instance_id, session_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    instance_id     TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_sign_in_at INTEGER,
    banned          INTEGER NOT NULL,
    search          TEXT    NOT NULL,
    document        TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX users_by_creation ON users (instance_id, created_at);

-- What names exactly one user: e-mail addresses and external ids.
CREATE TABLE identifiers (
    instance_id TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('email_address', 'external_id')),
    value       TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    PRIMARY KEY (instance_id, kind, value),
    FOREIGN KEY (instance_id, user_id) REFERENCES users (instance_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifiers_by_user ON identifiers (instance_id, user_id);

CREATE TABLE sign_ins (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    over_at     INTEGER NOT NULL,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX sign_ins_by_end ON sign_ins (over_at);

CREATE TABLE sign_ups (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    over_at     INTEGER NOT NULL,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX sign_ups_by_end ON sign_ups (over_at);

CREATE TABLE handshakes (
    instance_id TEXT    NOT NULL,
    nonce       BLOB    NOT NULL,
    over_at     INTEGER NOT NULL,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX handshakes_by_end ON handshakes (over_at);

CREATE TABLE sign_in_tokens (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    hash        BLOB    NOT NULL,
    user_id     TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('pending', 'accepted', 'revoked')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    over_at     INTEGER NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sign_in_tokens_by_hash ON sign_in_tokens (instance_id, hash);
CREATE INDEX sign_in_tokens_by_end ON sign_in_tokens (over_at);

CREATE TABLE mails (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    recipient   TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX mails_by_time ON mails (instance_id, received_at);

CREATE TABLE outbox (
    instance_id TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    id          TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    data        TEXT    NOT NULL,
    PRIMARY KEY (instance_id, seq)
) STRICT;
CREATE UNIQUE INDEX outbox_by_id ON outbox (instance_id, id);

-- Settles a lost answer to COMMIT. Purged by id, which sorts by time: no index to keep.
CREATE TABLE commits (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT, WITHOUT ROWID;

-- What a grown database looks like, written down instead of measured: without
-- it SQLite takes an instance for ten rows and walks all of its sessions, and
-- with measurements a plan could change from one day to the next.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('sessions', 'sessions', '1000000 100000 1'),
    ('sessions', 'sessions_by_user', '1000000 100000 10 1'),
    ('sessions', 'sessions_by_client', '1000000 100000 4 2'),
    ('sessions', 'sessions_open', '200000 20000 1'),
    ('activity', 'activity', '1000000 100000 1'),
    ('clients', 'clients', '500000 50000 1'),
    ('users', 'sqlite_autoindex_users_1', '100000 10000 1'),
    ('users', 'users_by_creation', '100000 10000 1'),
    ('identifiers', 'identifiers', '200000 20000 10000 1'),
    ('identifiers', 'identifiers_by_user', '200000 20000 2'),
    ('sign_ins', 'sqlite_autoindex_sign_ins_1', '10000 1000 1'),
    ('sign_ins', 'sign_ins_by_end', '10000 1'),
    ('sign_ups', 'sqlite_autoindex_sign_ups_1', '10000 1000 1'),
    ('sign_ups', 'sign_ups_by_end', '10000 1'),
    ('handshakes', 'handshakes', '10000 1000 1'),
    ('handshakes', 'handshakes_by_end', '10000 1'),
    ('sign_in_tokens', 'sign_in_tokens', '10000 1000 1'),
    ('sign_in_tokens', 'sign_in_tokens_by_hash', '10000 1000 1'),
    ('sign_in_tokens', 'sign_in_tokens_by_end', '10000 1'),
    ('mails', 'sqlite_autoindex_mails_1', '10000 1000 1'),
    ('mails', 'mails_by_time', '10000 1000 1'),
    ('outbox', 'sqlite_autoindex_outbox_1', '1000000 100000 1'),
    ('outbox', 'outbox_by_id', '1000000 100000 1'),
    ('commits', 'commits', '1000000 100000 1');
