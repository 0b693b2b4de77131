-- What was said between the agent and its model.
CREATE TABLE transcripts (
    workflow_id      UUID NOT NULL,
    session          BIGINT NOT NULL CHECK (session >= 1),
    step             BIGINT NOT NULL CHECK (step >= 1),
    transcript_url   TEXT NOT NULL,
    transcript_bytes BIGINT NOT NULL CHECK (transcript_bytes >= 0),
    stored_at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workflow_id, session)
);

COMMENT ON TABLE transcripts IS 'The agent''s conversations, one for each session, as they were after its latest run; without secrets.';
COMMENT ON COLUMN transcripts.session IS 'The step that began it.';
COMMENT ON COLUMN transcripts.step IS 'The latest run in it.';
COMMENT ON COLUMN transcripts.transcript_url IS 'Key in object storage: JSON Lines, as Pi writes them.';
