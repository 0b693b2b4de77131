-- What people are to be told waits here until a channel takes it.
ALTER TABLE notifications
    ADD COLUMN approval_id UUID REFERENCES approvals (id),
    ADD COLUMN created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    ALTER COLUMN status SET DEFAULT 'PENDING',
    ALTER COLUMN sent_at DROP NOT NULL,
    ALTER COLUMN sent_at DROP DEFAULT,
    DROP CONSTRAINT notifications_status_check,
    ADD CONSTRAINT notifications_status_check CHECK (status IN ('PENDING', 'SENT', 'FAILED', 'SKIPPED')),
    ADD CONSTRAINT notifications_sent_at_check CHECK (
        CASE status WHEN 'SENT' THEN sent_at IS NOT NULL WHEN 'FAILED' THEN true ELSE sent_at IS NULL END);

COMMENT ON TABLE notifications IS 'What people are told, on which channel; once for each event, channel and person.';
COMMENT ON COLUMN notifications.approval_id IS 'The gate told of; when it closes, what still waits about it is skipped.';
COMMENT ON COLUMN notifications.channel IS 'Where it goes, or any: wherever the recipient can be reached.';
COMMENT ON COLUMN notifications.recipient IS 'An email address, or *: everybody who may decide.';
COMMENT ON COLUMN notifications.created_at IS 'When it was written down.';

CREATE INDEX notifications_waiting ON notifications (id) WHERE status = 'PENDING';
CREATE INDEX notifications_approval ON notifications (approval_id) WHERE status = 'PENDING';
