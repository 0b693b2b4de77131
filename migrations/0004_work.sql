-- What the agent did, line by line.
CREATE TABLE agent_logs (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id UUID NOT NULL REFERENCES workflows (id),
    step        BIGINT NOT NULL CHECK (step >= 1),
    line        BIGINT NOT NULL CHECK (line >= 1),
    log_level   TEXT NOT NULL CHECK (log_level IN ('DEBUG', 'INFO', 'WARN', 'ERROR')),
    message     TEXT NOT NULL,
    tool_used   TEXT,
    file_path   TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    UNIQUE (workflow_id, step, line)
);

COMMENT ON TABLE agent_logs IS 'What the agent did, line by line. Written by untrusted code: shown, never acted on.';
COMMENT ON COLUMN agent_logs.step IS 'The step of the workflow that ran the agent.';
COMMENT ON COLUMN agent_logs.line IS 'The line''s number in that step, from 1.';

CREATE INDEX agent_logs_page ON agent_logs (workflow_id, id);

-- What QA found.
CREATE TABLE qa_results (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id UUID NOT NULL REFERENCES workflows (id),
    step        BIGINT NOT NULL CHECK (step >= 1),
    head_commit TEXT NOT NULL,
    gate_name   TEXT NOT NULL,
    command     TEXT NOT NULL,
    required    BOOLEAN NOT NULL,
    passed      BOOLEAN NOT NULL,
    exit_code   INTEGER,
    output      TEXT NOT NULL,
    duration_ms BIGINT NOT NULL CHECK (duration_ms >= 0),
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (workflow_id, step, gate_name)
);

COMMENT ON TABLE qa_results IS 'The result of each of a repository''s gates, once for each step that ran QA.';
COMMENT ON COLUMN qa_results.head_commit IS 'The commit that was checked.';
COMMENT ON COLUMN qa_results.exit_code IS 'Nothing where the command was killed, such as by its time limit.';
COMMENT ON COLUMN qa_results.output IS 'The end of what the command printed. Written by untrusted code.';

-- What people were told.
CREATE TABLE notifications (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id      UUID NOT NULL REFERENCES workflows (id),
    notification_key TEXT NOT NULL,
    channel          TEXT NOT NULL,
    recipient        TEXT NOT NULL,
    subject          TEXT,
    body             TEXT,
    status           TEXT NOT NULL CHECK (status IN ('SENT', 'FAILED')),
    sent_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (workflow_id, notification_key, channel, recipient)
);

COMMENT ON TABLE notifications IS 'What people were told, on which channel; once for each event, channel and person.';
COMMENT ON COLUMN notifications.notification_key IS 'Names the event told of.';
