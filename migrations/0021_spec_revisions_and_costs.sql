-- Every SPEC that was ever planned for a ticket, and what each step cost.
CREATE TABLE spec_revisions (
    workflow_id        UUID NOT NULL REFERENCES workflows (id),
    sequence           BIGINT NOT NULL CHECK (sequence >= 1),
    revision           TEXT NOT NULL,
    base_commit        TEXT NOT NULL,
    spec_url           TEXT NOT NULL,
    spec_bytes         BIGINT NOT NULL CHECK (spec_bytes >= 0),
    document_url       TEXT NOT NULL,
    document_bytes     BIGINT NOT NULL CHECK (document_bytes >= 0),
    files              INTEGER NOT NULL CHECK (files >= 0),
    confidence_percent SMALLINT NOT NULL CHECK (confidence_percent BETWEEN 0 AND 100),
    planned_at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workflow_id, revision)
);

COMMENT ON TABLE spec_revisions IS 'Each SPEC of a ticket, once, however often it was asked about.';
COMMENT ON COLUMN spec_revisions.sequence IS 'The transition that it came with.';
COMMENT ON COLUMN spec_revisions.revision IS 'What a decision about it names: a SHA-256.';
COMMENT ON COLUMN spec_revisions.spec_url IS 'Key in object storage: SPEC.md.';
COMMENT ON COLUMN spec_revisions.document_url IS 'Key in object storage: the same as JSON.';

REVOKE UPDATE, DELETE ON spec_revisions FROM sallyport_app;

-- Each transition holds what the ticket had spent by then; the step before it spent the difference. So there is one record
-- of it, which the audit log holds as well, and the sum is the ticket's usage whatever the order in which rows came.
CREATE VIEW costs AS
SELECT * FROM (
    SELECT workflow_id, sequence, from_state AS step, created_at AS spent_at,
           requests - lag(requests, 1, 0::bigint) OVER earlier AS requests,
           input_tokens - lag(input_tokens, 1, 0::bigint) OVER earlier AS input_tokens,
           output_tokens - lag(output_tokens, 1, 0::bigint) OVER earlier AS output_tokens,
           cache_read_tokens - lag(cache_read_tokens, 1, 0::bigint) OVER earlier AS cache_read_tokens,
           cache_write_tokens - lag(cache_write_tokens, 1, 0::bigint) OVER earlier AS cache_write_tokens,
           cost_micro_usd - lag(cost_micro_usd, 1, 0::bigint) OVER earlier AS cost_micro_usd
    FROM (
        SELECT workflow_id, sequence, from_state, created_at,
               coalesce((metadata -> 'usage' ->> 'requests')::bigint, 0) AS requests,
               coalesce((metadata -> 'usage' ->> 'input_tokens')::bigint, 0) AS input_tokens,
               coalesce((metadata -> 'usage' ->> 'output_tokens')::bigint, 0) AS output_tokens,
               coalesce((metadata -> 'usage' ->> 'cache_read_tokens')::bigint, 0) AS cache_read_tokens,
               coalesce((metadata -> 'usage' ->> 'cache_write_tokens')::bigint, 0) AS cache_write_tokens,
               coalesce((metadata -> 'usage' ->> 'cost_micro_usd')::bigint, 0) AS cost_micro_usd
        FROM state_transitions
    ) AS totals
    WINDOW earlier AS (PARTITION BY workflow_id ORDER BY sequence)
) AS steps
WHERE requests <> 0 OR cost_micro_usd <> 0;

COMMENT ON VIEW costs IS 'What each step of each ticket spent on models: the step that the transition ended.';
