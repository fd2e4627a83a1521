-- Who ended a session, and when it would have been over anyway; who acts as the
-- account, and for how long. Empty in rows of the version before, which both
-- versions read and write (MIG-01): what is missing is derived from the reason.
ALTER TABLE sessions ADD COLUMN actor TEXT;
ALTER TABLE sessions ADD COLUMN own_maximum BIGINT;
ALTER TABLE sessions ADD COLUMN closed_by TEXT;
ALTER TABLE sessions ADD COLUMN closed_deadline_at BIGINT;

-- A ticket by which somebody acts as the account says so, too.
ALTER TABLE sign_in_tokens ADD COLUMN actor TEXT;
ALTER TABLE sign_in_tokens ADD COLUMN own_maximum BIGINT;

-- Ended sessions leave by their age.
CREATE INDEX sessions_closed ON sessions (instance_id, closed_at) WHERE closed_at IS NOT NULL;
-- Those that are open are walked through in this order, group by group.
CREATE INDEX sessions_open_in_order ON sessions (instance_id, created_at, id) WHERE closed_at IS NULL;
DROP INDEX sessions_open;

-- Beside the document, where the test clock's reset can move it.
ALTER TABLE settings ADD COLUMN in_force_from BIGINT;
UPDATE settings SET in_force_from = CAST(CAST(document AS JSONB) ->> 'in_force_from' AS BIGINT);

-- How far the session clock of a development instance is from the wall.
CREATE TABLE test_clocks (
    instance_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    offset_ms BIGINT NOT NULL,
    frozen_at BIGINT,
    resets BIGINT NOT NULL
);

-- Work that one node does at a time. On the wall clock.
CREATE TABLE leases (
    instance_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (instance_id, name)
);
