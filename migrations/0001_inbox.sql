-- Events from outside, written down before they are acknowledged. A row is the promise that the event is never lost.
CREATE TABLE inbox (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          TEXT NOT NULL CHECK (source <> ''),
    delivery_id     TEXT NOT NULL CHECK (delivery_id <> ''),
    event           TEXT NOT NULL CHECK (event <> ''),
    ticket_id       TEXT,
    body            BYTEA NOT NULL,
    status          TEXT NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'dispatched', 'ignored', 'failed')),
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    postponements   INTEGER NOT NULL DEFAULT 0 CHECK (postponements >= 0),
    next_attempt_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    note            TEXT,
    received_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    finished_at     TIMESTAMPTZ,
    UNIQUE (source, delivery_id),
    CHECK ((status = 'pending') = (finished_at IS NULL)),
    CHECK (status NOT IN ('ignored', 'failed') OR note IS NOT NULL)
);

COMMENT ON TABLE inbox IS 'Events from outside, one row for each delivery; worked off in order per ticket.';
COMMENT ON COLUMN inbox.body IS 'The request body, byte for byte as it was signed.';
COMMENT ON COLUMN inbox.attempts IS 'Tries that failed by the event''s own fault; the third makes it failed.';
COMMENT ON COLUMN inbox.postponements IS 'Tries that failed because Temporal could not be reached; without limit.';
COMMENT ON COLUMN inbox.note IS 'Why it was ignored or failed, or what the last try ended with.';

-- What the dispatcher looks for: the oldest pending event of each ticket.
CREATE INDEX inbox_pending ON inbox (source, ticket_id, id) WHERE status = 'pending';
