-- One row for each attempt at a ticket: a copy, for reading, of what the workflow says about itself.
CREATE TABLE workflows (
    id                 UUID PRIMARY KEY,
    workflow_id        TEXT NOT NULL UNIQUE,
    source             TEXT NOT NULL CHECK (source <> ''),
    ticket_id          TEXT NOT NULL CHECK (ticket_id <> ''),
    attempt            INTEGER NOT NULL CHECK (attempt >= 1),
    inbox_id           BIGINT UNIQUE REFERENCES inbox (id),

    -- The ticket
    title              TEXT,
    ticket_url         TEXT,
    reporter           TEXT,
    priority           TEXT NOT NULL DEFAULT 'normal' CHECK (priority IN ('high', 'normal', 'low')),
    repository_url     TEXT NOT NULL,

    -- Where it stands
    state              TEXT NOT NULL CHECK (state IN (
                           'PENDING', 'PLANNING', 'AWAITING_SPEC_APPROVAL', 'SPEC_APPROVED', 'SPEC_REJECTED',
                           'EXECUTING', 'AWAITING_SCOPE_APPROVAL', 'QA_RUNNING', 'QA_FAILED', 'PR_CREATED',
                           'AWAITING_PR_APPROVAL', 'PR_CLOSED', 'MERGED', 'COMPLETED', 'ERROR', 'CANCELLED')),
    sequence           BIGINT NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    since              TIMESTAMPTZ NOT NULL,
    created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    completed_at       TIMESTAMPTZ,

    -- Planning
    spec_path          TEXT,
    spec_bytes         BIGINT,
    spec_revision      TEXT,
    spec_approved_at   TIMESTAMPTZ,
    spec_approved_by   TEXT,

    -- Execution
    workspace_path     TEXT,
    branch_name        TEXT,
    head_commit        TEXT,
    diff_path          TEXT,
    diff_bytes         BIGINT,

    -- QA
    qa_report_url      TEXT,
    qa_report_bytes    BIGINT,
    qa_passed          BOOLEAN,

    -- Pull request
    pr_url             TEXT,
    pr_number          BIGINT,
    pr_base_branch     TEXT,
    pr_head_commit     TEXT,
    pr_merged_at       TIMESTAMPTZ,

    -- Trouble
    failure_kind       TEXT,
    failure_step       TEXT,
    error_message      TEXT,
    retry_count        INTEGER NOT NULL DEFAULT 0,

    -- What the models cost
    model_requests     BIGINT NOT NULL DEFAULT 0,
    input_tokens       BIGINT NOT NULL DEFAULT 0,
    output_tokens      BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens  BIGINT NOT NULL DEFAULT 0,
    cache_write_tokens BIGINT NOT NULL DEFAULT 0,
    cost_micro_usd     BIGINT NOT NULL DEFAULT 0,

    UNIQUE (source, ticket_id, attempt),
    CHECK ((spec_path IS NULL) = (spec_bytes IS NULL)),
    CHECK ((spec_path IS NULL) = (spec_revision IS NULL)),
    CHECK ((diff_path IS NULL) = (diff_bytes IS NULL)),
    CHECK ((qa_report_url IS NULL) = (qa_report_bytes IS NULL)),
    CHECK ((pr_number IS NULL) = (pr_url IS NULL)),
    CHECK ((failure_kind IS NULL) = (error_message IS NULL))
);

COMMENT ON TABLE workflows IS
    'One row for each attempt at a ticket: a copy of what its workflow says. The workflow is the truth.';
COMMENT ON COLUMN workflows.id IS 'UUID version 5 of workflow_id in Sallyport''s name space.';
COMMENT ON COLUMN workflows.workflow_id IS 'The workflow''s id in Temporal.';
COMMENT ON COLUMN workflows.inbox_id IS 'The event that asked for this attempt.';
COMMENT ON COLUMN workflows.sequence IS 'The newest transition shown here; 0 until the first is recorded.';
COMMENT ON COLUMN workflows.spec_path IS 'Key of SPEC.md in object storage.';
COMMENT ON COLUMN workflows.diff_path IS 'Key of the agent''s diff in object storage.';
COMMENT ON COLUMN workflows.qa_report_url IS 'Key of the QA report in object storage.';
COMMENT ON COLUMN workflows.workspace_path IS 'Of the original design; workspaces belong to worker hosts and are not recorded here.';
COMMENT ON COLUMN workflows.retry_count IS 'How often the ticket was taken out of ERROR or QA_FAILED again.';
COMMENT ON COLUMN workflows.cost_micro_usd IS 'In millionths of a US dollar.';

CREATE INDEX workflows_ticket ON workflows (ticket_id);
CREATE INDEX workflows_state ON workflows (state, created_at DESC);
CREATE INDEX workflows_created ON workflows (created_at DESC);

-- The audit log of states.
CREATE TABLE state_transitions (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id  UUID NOT NULL REFERENCES workflows (id),
    sequence     BIGINT NOT NULL CHECK (sequence >= 1),
    from_state   TEXT,
    to_state     TEXT NOT NULL,
    triggered_by TEXT NOT NULL,
    reason       TEXT,
    metadata     JSONB NOT NULL DEFAULT '{}',
    created_at   TIMESTAMPTZ NOT NULL,
    recorded_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (workflow_id, sequence)
);

COMMENT ON TABLE state_transitions IS 'Every transition of every workflow, exactly once, in the workflow''s order.';
COMMENT ON COLUMN state_transitions.triggered_by IS 'A person''s email address, or system.';
COMMENT ON COLUMN state_transitions.metadata IS 'What was known of the ticket then.';
COMMENT ON COLUMN state_transitions.created_at IS 'The workflow''s time.';
COMMENT ON COLUMN state_transitions.recorded_at IS 'The database''s time when it was written down.';
