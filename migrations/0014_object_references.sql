-- What each ticket refers to in object storage, beside what stands in other columns.
CREATE TABLE object_references (
    workflow_id UUID NOT NULL,
    object_key  TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, object_key)
);

COMMENT ON TABLE object_references IS
    'Every object that was stored for a ticket: also what only its workflow, or another object, names.';
COMMENT ON COLUMN object_references.workflow_id IS
    'The ledger''s UUID; the workflow''s row may come later, so it is no foreign key.';
COMMENT ON COLUMN object_references.object_key IS 'Key in object storage.';
