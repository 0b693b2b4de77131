-- Which planner worked on a ticket, and each request to its model: what `report models` compares.
ALTER TABLE workflows ADD COLUMN planner TEXT;

COMMENT ON COLUMN workflows.planner IS
    'The planner that writes the ticket''s SPECs, by its name in the configuration; nothing until it was chosen.';

CREATE INDEX workflows_planner ON workflows (created_at) WHERE planner IS NOT NULL;

CREATE TABLE planner_calls (
    workflow_id        UUID NOT NULL,
    step               BIGINT NOT NULL CHECK (step >= 1),
    asked_at           TIMESTAMPTZ NOT NULL,
    planner            TEXT NOT NULL,
    vendor             TEXT NOT NULL,
    model              TEXT NOT NULL,
    outcome            TEXT NOT NULL
                       CHECK (outcome IN ('answered', 'cut', 'declined', 'refused', 'busy', 'unreachable')),
    latency_ms         BIGINT NOT NULL CHECK (latency_ms >= 0),
    requests           BIGINT NOT NULL CHECK (requests >= 0),
    input_tokens       BIGINT NOT NULL CHECK (input_tokens >= 0),
    output_tokens      BIGINT NOT NULL CHECK (output_tokens >= 0),
    cache_read_tokens  BIGINT NOT NULL CHECK (cache_read_tokens >= 0),
    cache_write_tokens BIGINT NOT NULL CHECK (cache_write_tokens >= 0),
    cost_micro_usd     BIGINT NOT NULL CHECK (cost_micro_usd >= 0),
    PRIMARY KEY (workflow_id, step, asked_at)
);

COMMENT ON TABLE planner_calls IS 'Each request of a planner to a model, also where no answer came.';
COMMENT ON COLUMN planner_calls.planner IS 'The planner by its name in the configuration; a fall-back''s model is another than its own.';
COMMENT ON COLUMN planner_calls.latency_ms IS 'From the request to the end of the answer.';

REVOKE UPDATE, DELETE ON planner_calls FROM sallyport_app;

-- What the planner was shown when it wrote a SPEC.
ALTER TABLE spec_revisions
    ADD COLUMN context_url TEXT,
    ADD COLUMN context_bytes BIGINT CHECK (context_bytes >= 0),
    ADD CHECK ((context_url IS NULL) = (context_bytes IS NULL));

COMMENT ON COLUMN spec_revisions.context_url IS
    'Key in object storage, Markdown: what the planner was shown of the repository and why, and what was left out.';

-- Ended tickets of a repository, among which the planner looks for those that are like a new one.
CREATE INDEX workflows_ended_of_repository ON workflows (repository_url, completed_at DESC)
    WHERE completed_at IS NOT NULL;
