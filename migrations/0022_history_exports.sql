-- Histories of workflows' runs, copied before Temporal forgets them.
CREATE TABLE history_exports (
    workflow_id   UUID NOT NULL REFERENCES workflows (id),
    run_id        TEXT NOT NULL,
    events        BIGINT NOT NULL CHECK (events >= 1),
    closed_at     TIMESTAMPTZ NOT NULL,
    content_url   TEXT NOT NULL,
    content_bytes BIGINT NOT NULL CHECK (content_bytes >= 0),
    exported_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, run_id)
);

COMMENT ON TABLE history_exports IS 'Histories of runs that have closed, each once: what the audit log is compared with when Temporal has forgotten them.';
COMMENT ON COLUMN history_exports.content_url IS 'Key in object storage: the history as Temporal''s JSON.';

REVOKE UPDATE, DELETE ON history_exports FROM sallyport_app;

CREATE TRIGGER history_exports_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history_exports
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
