-- Requests for a decision: one row for each time that a gate opened.
CREATE TABLE approvals (
    id               UUID PRIMARY KEY,
    workflow_id      UUID NOT NULL REFERENCES workflows (id),
    approval_type    TEXT NOT NULL CHECK (approval_type IN ('SPEC', 'SCOPE', 'PR')),
    assignee         TEXT,
    revision         TEXT NOT NULL,
    content_url      TEXT NOT NULL,
    content_bytes    BIGINT NOT NULL,
    approvals_needed INTEGER NOT NULL CHECK (approvals_needed >= 1),
    status           TEXT NOT NULL DEFAULT 'PENDING'
                     CHECK (status IN ('PENDING', 'APPROVED', 'REVISED', 'REJECTED', 'EXPIRED', 'CANCELLED')),
    decision         TEXT CHECK (decision IN ('APPROVE', 'REVISE', 'REJECT')),
    comments         TEXT,
    requested_at     TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL,
    decided_at       TIMESTAMPTZ,
    decided_by       TEXT,
    CHECK (expires_at >= requested_at),
    CHECK ((status = 'PENDING') = (decided_at IS NULL)),
    CHECK ((decision IS NOT NULL) = (status IN ('APPROVED', 'REVISED', 'REJECTED')))
);

COMMENT ON TABLE approvals IS 'Requests for a decision: one row for each time that a gate opened.';
COMMENT ON COLUMN approvals.assignee IS 'Who shall decide; nothing means anybody who may.';
COMMENT ON COLUMN approvals.revision IS 'Exactly what is asked about.';
COMMENT ON COLUMN approvals.content_url IS 'Key in object storage of what to read before deciding.';
COMMENT ON COLUMN approvals.comments IS 'Key in object storage of the comments that closed the gate.';
COMMENT ON COLUMN approvals.expires_at IS 'When silence closes the gate.';

CREATE INDEX approvals_workflow ON approvals (workflow_id, requested_at);
CREATE INDEX approvals_pending ON approvals (expires_at) WHERE status = 'PENDING';

-- The audit log of decisions.
CREATE TABLE decisions (
    workflow_id    UUID NOT NULL REFERENCES workflows (id),
    id             UUID NOT NULL,
    approval_id    UUID REFERENCES approvals (id),
    gate           TEXT NOT NULL CHECK (gate IN ('SPEC', 'SCOPE', 'PR')),
    revision       TEXT NOT NULL,
    decision       TEXT NOT NULL CHECK (decision IN ('APPROVE', 'REVISE', 'REJECT')),
    decided_by     TEXT NOT NULL,
    comments       TEXT,
    comments_bytes BIGINT,
    proven         BOOLEAN NOT NULL,
    refused        TEXT,
    origin         TEXT NOT NULL CHECK (origin IN ('workflow', 'api')),
    decided_at     TIMESTAMPTZ NOT NULL,
    recorded_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, id),
    CHECK (origin = 'workflow' OR refused IS NOT NULL),
    CHECK ((comments IS NULL) = (comments_bytes IS NULL))
);

COMMENT ON TABLE decisions IS 'Every decision about every gate, the refused ones too, exactly once.';
COMMENT ON COLUMN decisions.id IS 'Made by the client. In the key together with the workflow: nobody can use up another ticket''s id.';
COMMENT ON COLUMN decisions.comments IS 'Key in object storage.';
COMMENT ON COLUMN decisions.proven IS 'Whether the starter vouches for who decided.';
COMMENT ON COLUMN decisions.refused IS 'Why it did not count; nothing if it counted.';
COMMENT ON COLUMN decisions.origin IS 'Who recorded it: the workflow, or the API where the workflow turned it away unseen.';

CREATE INDEX decisions_workflow ON decisions (workflow_id, decided_at);
CREATE INDEX decisions_approval ON decisions (approval_id);
