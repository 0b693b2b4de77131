-- The pull requests of the local forge: a bare git repository has none of its own.
CREATE TABLE pull_requests (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id    UUID NOT NULL UNIQUE REFERENCES workflows (id),
    repository_url TEXT NOT NULL,
    number         BIGINT NOT NULL CHECK (number >= 1),
    title          TEXT NOT NULL,
    body           TEXT NOT NULL,
    branch         TEXT NOT NULL,
    base_branch    TEXT NOT NULL,
    head_commit    TEXT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'merged', 'closed')),
    opened_at      TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    merged_at      TIMESTAMPTZ,
    merged_by      TEXT,
    merge_commit   TEXT,
    closed_at      TIMESTAMPTZ,
    closed_by      TEXT,
    reopened_at    TIMESTAMPTZ,
    reopened_by    TEXT,
    UNIQUE (repository_url, number),
    CHECK ((state = 'merged') = (merged_at IS NOT NULL)),
    CHECK ((state = 'merged') = (merge_commit IS NOT NULL)),
    CHECK (state <> 'closed' OR closed_at IS NOT NULL)
);

COMMENT ON TABLE pull_requests IS 'The pull requests of the local forge, at most one for each workflow.';
COMMENT ON COLUMN pull_requests.number IS 'Counted from 1 in each repository.';
COMMENT ON COLUMN pull_requests.merge_commit IS 'The base branch''s commit that holds the change.';
