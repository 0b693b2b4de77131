-- What the planner's model answered, so that the same request is not paid twice.
CREATE TABLE planner_responses (
    workflow_id    UUID NOT NULL,
    request_hash   BYTEA NOT NULL CHECK (length(request_hash) = 32),
    step           BIGINT NOT NULL CHECK (step >= 1),
    response_url   TEXT NOT NULL,
    response_bytes BIGINT NOT NULL CHECK (response_bytes >= 0),
    stored_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workflow_id, request_hash)
);

COMMENT ON TABLE planner_responses IS 'The planner''s answers to a ticket''s requests, until it is archived.';
COMMENT ON COLUMN planner_responses.request_hash IS 'SHA-256 of the whole request: model, limits, schema, conversation.';
COMMENT ON COLUMN planner_responses.step IS 'The step that asked, and that its cost is counted in.';
COMMENT ON COLUMN planner_responses.response_url IS 'Key in object storage: JSON.';
