-- What live streams show: each change of a ticket's state, and each gate that opens or closes, written by the transaction
-- that makes it. Triggers write it, so that no writer can forget to.
--
-- A transaction that began earlier may commit later, so an id alone could be skipped by readers. They go by the number of
-- the transaction first, and read only what is older than every transaction that still runs: nothing can come before that
-- any more.
CREATE TABLE feed (
    transaction XID8 NOT NULL DEFAULT pg_current_xact_id(),
    id          BIGINT GENERATED ALWAYS AS IDENTITY,
    kind        TEXT NOT NULL CHECK (kind IN ('state', 'approval')),
    body        JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (transaction, id)
);

COMMENT ON TABLE feed IS 'What live streams show; kept for 7 days.';

CREATE INDEX feed_created ON feed (created_at);

-- Up to where the feed was pruned: who asks for what came before has missed something.
CREATE TABLE feed_horizon (
    only_one    BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_one),
    transaction XID8 NOT NULL,
    id          BIGINT NOT NULL
);

INSERT INTO feed_horizon (transaction, id) VALUES ('0', 0);

CREATE FUNCTION feed_transition() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feed (kind, body)
    SELECT 'state', jsonb_build_object(
        'workflow', id, 'workflow_id', workflow_id, 'ticket_id', ticket_id, 'sequence', NEW.sequence,
        'from', NEW.from_state, 'to', NEW.to_state, 'at', NEW.created_at, 'triggered_by', NEW.triggered_by)
    FROM workflows WHERE id = NEW.workflow_id;
    PERFORM pg_notify('sallyport_feed', '');
    RETURN NULL;
END $$;

CREATE TRIGGER feed_transition AFTER INSERT ON state_transitions
    FOR EACH ROW EXECUTE FUNCTION feed_transition();

CREATE FUNCTION feed_approval() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feed (kind, body)
    SELECT 'approval', jsonb_build_object(
        'id', NEW.id, 'workflow', id, 'workflow_id', workflow_id, 'ticket_id', ticket_id, 'gate', NEW.approval_type,
        'status', NEW.status, 'revision', NEW.revision, 'approvers', NEW.approvers, 'expires_at', NEW.expires_at,
        'at', coalesce(NEW.decided_at, NEW.requested_at), 'decided_by', NEW.decided_by)
    FROM workflows WHERE id = NEW.workflow_id;
    PERFORM pg_notify('sallyport_feed', '');
    RETURN NULL;
END $$;

CREATE TRIGGER feed_approval_opened AFTER INSERT ON approvals
    FOR EACH ROW EXECUTE FUNCTION feed_approval();
CREATE TRIGGER feed_approval_closed AFTER UPDATE OF status ON approvals
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION feed_approval();
