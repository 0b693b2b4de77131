-- What was taken out of the ledger, and where in object storage it is.
CREATE TABLE agent_log_archives (
    workflow_id UUID NOT NULL REFERENCES workflows (id),
    first_id    BIGINT NOT NULL,
    last_id     BIGINT NOT NULL,
    lines       BIGINT NOT NULL CHECK (lines >= 1),
    log_url     TEXT NOT NULL,
    log_bytes   BIGINT NOT NULL CHECK (log_bytes >= 0),
    archived_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workflow_id, first_id),
    CHECK (last_id >= first_id)
);

COMMENT ON TABLE agent_log_archives IS 'Parts of agents'' logs that left the table agent_logs, in order.';
COMMENT ON COLUMN agent_log_archives.first_id IS 'The id that its first line had.';
COMMENT ON COLUMN agent_log_archives.log_url IS 'Key in object storage: one JSON document a line.';

CREATE TABLE ticket_archives (
    workflow_id   UUID PRIMARY KEY REFERENCES workflows (id),
    archive_url   TEXT NOT NULL,
    archive_bytes BIGINT NOT NULL CHECK (archive_bytes >= 0),
    archived_at   TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE ticket_archives IS 'Tickets that ended long ago: all that the ledger knew of each, as one document.';
COMMENT ON COLUMN ticket_archives.archive_url IS 'Key in object storage: JSON.';

-- What retention looks for.
CREATE INDEX workflows_completed ON workflows (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX inbox_finished ON inbox (finished_at) WHERE status IN ('dispatched', 'ignored');
