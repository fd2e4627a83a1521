-- Mails on their way out, and for a while what became of them. On the wall clock. `due_at` is when
-- something is to be done about one: a try, or the removal of its content.
CREATE TABLE outgoing_mails (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    due_at BIGINT,
    document TEXT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
CREATE INDEX outgoing_mails_due ON outgoing_mails (instance_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outgoing_mails_by_age ON outgoing_mails (instance_id, queued_at, id);
CREATE INDEX outgoing_mails_by_status ON outgoing_mails (instance_id, status, queued_at, id);
