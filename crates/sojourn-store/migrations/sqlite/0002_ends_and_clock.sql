-- Who ended a session, and when it would have been over anyway; who acts as the
-- account, and for how long. Empty in rows of the version before, which both
-- versions read and write (MIG-01): what is missing is derived from the reason.
ALTER TABLE sessions ADD COLUMN actor TEXT;
ALTER TABLE sessions ADD COLUMN own_maximum INTEGER;
ALTER TABLE sessions ADD COLUMN closed_by TEXT;
ALTER TABLE sessions ADD COLUMN closed_deadline_at INTEGER;

-- A ticket by which somebody acts as the account says so, too.
ALTER TABLE sign_in_tokens ADD COLUMN actor TEXT;
ALTER TABLE sign_in_tokens ADD COLUMN own_maximum INTEGER;

-- Ended sessions leave by their age.
CREATE INDEX sessions_closed ON sessions (instance_id, closed_at) WHERE closed_at IS NOT NULL;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('sessions', 'sessions_closed', '800000 80000 1');

-- Beside the document, where the test clock's reset can move it.
ALTER TABLE settings ADD COLUMN in_force_from INTEGER;
UPDATE settings SET in_force_from = json_extract(document, '$.in_force_from');

-- How far the session clock of a development instance is from the wall.
CREATE TABLE test_clocks (
    instance_id TEXT    NOT NULL PRIMARY KEY,
    version     INTEGER NOT NULL,
    offset_ms   INTEGER NOT NULL,
    frozen_at   INTEGER,
    resets      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Work that one node does at a time. On the wall clock.
CREATE TABLE leases (
    instance_id TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    holder      TEXT    NOT NULL,
    until       INTEGER NOT NULL,
    PRIMARY KEY (instance_id, name)
) STRICT, WITHOUT ROWID;
