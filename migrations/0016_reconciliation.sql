-- How far each source's list of events was compared with the inbox.
CREATE TABLE reconciliations (
    source     TEXT PRIMARY KEY,
    cursor     TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

COMMENT ON TABLE reconciliations IS 'One row a source: all its events up to there are in the inbox, or were left out on purpose.';
COMMENT ON COLUMN reconciliations.cursor IS 'The source''s own word for a place in its list; it means nothing to us.';
