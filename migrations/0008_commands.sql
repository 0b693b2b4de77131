-- The audit log of what people do to tickets beside deciding at gates.
CREATE TABLE commands (
    workflow_id    UUID NOT NULL REFERENCES workflows (id),
    id             UUID NOT NULL,
    action         TEXT NOT NULL CHECK (action IN ('retry', 'abandon', 'cancel', 'extend', 'reopen')),
    retry_from     TEXT,
    raise          JSONB,
    extend_seconds BIGINT CHECK (extend_seconds >= 0),
    approval_id    UUID REFERENCES approvals (id),
    extended_until TIMESTAMPTZ,
    commanded_by   TEXT NOT NULL,
    reason         TEXT,
    state          TEXT,
    proven         BOOLEAN NOT NULL,
    refused        TEXT,
    origin         TEXT NOT NULL CHECK (origin IN ('workflow', 'api')),
    commanded_at   TIMESTAMPTZ NOT NULL,
    recorded_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, id),
    CHECK (origin = 'workflow' OR refused IS NOT NULL),
    CHECK (origin = 'api' OR state IS NOT NULL),
    CHECK ((approval_id IS NULL) = (extended_until IS NULL))
);

COMMENT ON TABLE commands IS 'Every retry, abandon, cancel, extend and reopen, the refused ones too, exactly once.';
COMMENT ON COLUMN commands.id IS 'Made by the client. In the key together with the workflow: nobody can use up another ticket''s id.';
COMMENT ON COLUMN commands.retry_from IS 'RETRY: from which state on; nothing means the step that failed.';
COMMENT ON COLUMN commands.raise IS 'RETRY: what was added to the budget.';
COMMENT ON COLUMN commands.extend_seconds IS 'EXTEND: by how many seconds.';
COMMENT ON COLUMN commands.approval_id IS 'EXTEND: the gate that got more time.';
COMMENT ON COLUMN commands.extended_until IS 'EXTEND: until when that gate waits now.';
COMMENT ON COLUMN commands.state IS 'The ticket''s state when the command came; nothing where the API refused it unseen.';
COMMENT ON COLUMN commands.proven IS 'Whether the starter vouches for who commanded.';
COMMENT ON COLUMN commands.refused IS 'Why it was refused; nothing if it was accepted.';
COMMENT ON COLUMN commands.origin IS 'Who recorded it: the workflow, or the API where the workflow turned it away unseen.';

CREATE INDEX commands_workflow ON commands (workflow_id, commanded_at);

ALTER TABLE workflows ADD COLUMN unapproved BOOLEAN NOT NULL DEFAULT false;

COMMENT ON COLUMN workflows.unapproved IS 'Merged on the forge without the approval that the policy asks for.';
