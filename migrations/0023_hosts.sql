-- The hosts that agents run on, which of them holds which ticket's workspace, and what another host needs to go on there.
CREATE TABLE hosts (
    host_id     TEXT PRIMARY KEY,
    task_queue  TEXT NOT NULL,
    slots       INTEGER NOT NULL CHECK (slots >= 1),
    lease_until TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE hosts IS 'Workers with a disk for workspaces.';
COMMENT ON COLUMN hosts.lease_until IS
    'Until then the host is taken for alive. It renews this all the time, and stops its agents by itself when it could not.';

CREATE TABLE workspaces (
    workflow_id UUID PRIMARY KEY,
    host_id     TEXT NOT NULL REFERENCES hosts (host_id),
    generation  BIGINT NOT NULL CHECK (generation >= 1),
    claimed_at  TIMESTAMPTZ NOT NULL
);

CREATE INDEX workspaces_by_host ON workspaces (host_id);

COMMENT ON TABLE workspaces IS 'Where the workspace of a ticket is that has not ended.';
COMMENT ON COLUMN workspaces.workflow_id IS
    'The ledger''s UUID; the workflow''s row may come later, so it is no foreign key.';
COMMENT ON COLUMN workspaces.generation IS
    'Counts the hosts that held it. What a host has of an earlier one is out of date.';

CREATE TABLE agent_runs (
    workflow_id UUID NOT NULL,
    step        BIGINT NOT NULL CHECK (step >= 1),
    record      TEXT NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workflow_id, step)
);

COMMENT ON TABLE agent_runs IS
    'How far each run of an agent came and what it spent: what a try after a killed worker goes on from.';
COMMENT ON COLUMN agent_runs.record IS 'JSON; as text, since the agent''s words may hold what JSONB does not.';

CREATE TABLE checkpoints (
    workflow_id  UUID PRIMARY KEY,
    step         BIGINT NOT NULL CHECK (step >= 0),
    ended        BOOLEAN NOT NULL,
    bundle_url   TEXT NOT NULL,
    bundle_bytes BIGINT NOT NULL CHECK (bundle_bytes >= 0),
    taken_at     TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE checkpoints IS 'The latest copy of each ticket''s workspace and of its agent''s session.';
COMMENT ON COLUMN checkpoints.step IS 'The agent''s run that it was taken in; 0 for a workspace that was only laid out.';
COMMENT ON COLUMN checkpoints.ended IS 'Whether the agent had ended its turn by then.';
COMMENT ON COLUMN checkpoints.bundle_url IS 'Key in object storage: a git bundle.';
