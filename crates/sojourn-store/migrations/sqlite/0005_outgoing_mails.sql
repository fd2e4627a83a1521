-- Mails on their way out, and for a while what became of them. On the wall clock. `due_at` is when
-- something is to be done about one: a try, or the removal of its content.
CREATE TABLE outgoing_mails (
    instance_id TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    queued_at   INTEGER NOT NULL,
    due_at      INTEGER,
    document    TEXT    NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT;
CREATE INDEX outgoing_mails_due ON outgoing_mails (instance_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outgoing_mails_by_age ON outgoing_mails (instance_id, queued_at, id);
CREATE INDEX outgoing_mails_by_status ON outgoing_mails (instance_id, status, queued_at, id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('outgoing_mails', 'sqlite_autoindex_outgoing_mails_1', '100000 10000 1'),
    ('outgoing_mails', 'outgoing_mails_due', '1000 100 1'),
    ('outgoing_mails', 'outgoing_mails_by_age', '100000 10000 1 1'),
    ('outgoing_mails', 'outgoing_mails_by_status', '100000 10000 3000 1 1');
