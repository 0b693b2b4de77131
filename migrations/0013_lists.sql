-- What lists are read by. Each list is one ordered walk through one of these, however many rows there are.
DROP INDEX workflows_state, workflows_created, approvals_pending;

CREATE INDEX workflows_list ON workflows (created_at DESC, id DESC);
CREATE INDEX workflows_list_state ON workflows (state, created_at DESC, id DESC);
CREATE INDEX workflows_list_repository ON workflows (repository_url, created_at DESC, id DESC);
CREATE INDEX workflows_list_repository_state ON workflows (repository_url, state, created_at DESC, id DESC);
CREATE INDEX workflows_list_source ON workflows (source, created_at DESC, id DESC);
CREATE INDEX workflows_list_source_state ON workflows (source, state, created_at DESC, id DESC);

-- What a text is looked for in. The cost tells the planner to look at cheaper conditions first.
CREATE FUNCTION searched(ticket_id TEXT, title TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(ticket_id || E'\n' || left(coalesce(title, ''), 500));

-- The parts of three characters of a text. `pg_trgm` would do the same, but it is an extension that not every Postgres
-- has, and it knows no letters but those of the database's locale.
CREATE FUNCTION trigrams(content TEXT) RETURNS TEXT[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5000
RETURN (SELECT coalesce(array_agg(DISTINCT substr(content, place, 3)), '{}')
        FROM generate_series(1, length(content) - 2) AS place);

CREATE INDEX workflows_list_text ON workflows USING gin (trigrams(searched(ticket_id, title)));

-- Who may decide, in one array that an index takes: `*` stands for everybody.
CREATE FUNCTION deciders(approvers TEXT[]) RETURNS TEXT[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100
RETURN CASE WHEN approvers = '{}' THEN '{*}'::text[]
            ELSE (SELECT array_agg(lower(approver)) FROM unnest(approvers) AS approver) END;

CREATE INDEX approvals_pending ON approvals (expires_at, id) WHERE status = 'PENDING';
CREATE INDEX approvals_pending_workflow ON approvals (workflow_id) WHERE status = 'PENDING';
CREATE INDEX approvals_pending_deciders ON approvals USING gin (deciders(approvers)) WHERE status = 'PENDING';

-- What the metrics count.
CREATE INDEX workflows_active ON workflows (id) WHERE completed_at IS NULL;
CREATE INDEX workflows_ended ON workflows (completed_at DESC, state) WHERE completed_at IS NOT NULL;
