-- Events have a priority, may be replayed under another name, and are dealt with by operators.
ALTER TABLE inbox
    ADD COLUMN priority     SMALLINT NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 5),
    ADD COLUMN content_hash BYTEA CHECK (length(content_hash) = 32),
    ADD COLUMN workflow_id  TEXT,
    DROP CONSTRAINT inbox_status_check,
    ADD CONSTRAINT inbox_status_check CHECK (status IN ('pending', 'dispatched', 'ignored', 'failed', 'dropped')),
    DROP CONSTRAINT inbox_check1,
    ADD CONSTRAINT inbox_note_check CHECK (status NOT IN ('ignored', 'failed', 'dropped') OR note IS NOT NULL);

COMMENT ON COLUMN inbox.priority IS 'As Temporal counts: 1 is the most urgent, 3 the usual, 5 the least.';
COMMENT ON COLUMN inbox.content_hash IS
    'SHA-256 of the body, where the source does not sign the delivery''s id: the same body again is the same event.';
COMMENT ON COLUMN inbox.workflow_id IS 'The workflow that was started or told, once it was.';
COMMENT ON COLUMN inbox.note IS 'Why it was ignored, failed or dropped, or what the last try ended with.';

CREATE UNIQUE INDEX inbox_content ON inbox (source, content_hash) WHERE content_hash IS NOT NULL;
-- In the order in which dispatchers look.
CREATE INDEX inbox_order ON inbox (priority, id) WHERE status = 'pending';
CREATE INDEX inbox_unsettled ON inbox (id DESC) WHERE status IN ('pending', 'failed');
