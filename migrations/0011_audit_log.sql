-- The audit log: every transition, decision, command and gate of every workflow, exactly once, in order. Each entry holds
-- the hash of the one before, so that a changed, missing or inserted entry shows.
CREATE TABLE audit_log (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id   UUID NOT NULL REFERENCES workflows (id),
    position      BIGINT NOT NULL CHECK (position >= 1),
    kind          TEXT NOT NULL CHECK (kind IN (
                      'transition', 'gate_opened', 'gate_closed', 'decision', 'decision_refused', 'command',
                      'command_refused')),
    entry_key     TEXT NOT NULL CHECK (entry_key <> ''),
    content       TEXT NOT NULL,
    recorded_at   TIMESTAMPTZ NOT NULL,
    previous_hash BYTEA NOT NULL CHECK (length(previous_hash) = 32),
    hash          BYTEA NOT NULL CHECK (length(hash) = 32),
    UNIQUE (workflow_id, position),
    UNIQUE (workflow_id, kind, entry_key)
);

COMMENT ON TABLE audit_log IS 'What happened, one chain of entries for each workflow. Only ever added to.';
COMMENT ON COLUMN audit_log.position IS 'The entry''s place in its workflow''s chain, from 1.';
COMMENT ON COLUMN audit_log.entry_key IS 'The idempotency key of what was recorded: a sequence or an id.';
COMMENT ON COLUMN audit_log.content IS 'What was recorded, as JSON, byte for byte as it was hashed.';
COMMENT ON COLUMN audit_log.previous_hash IS 'The hash of the entry before; 32 zero bytes for the first.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over workflow, position, kind, key, content, time and the hash before.';

-- Where each chain ends: found by one look, and the lock that makes its writers wait for each other.
CREATE TABLE audit_heads (
    workflow_id     UUID PRIMARY KEY REFERENCES workflows (id),
    position        BIGINT NOT NULL DEFAULT 0 CHECK (position >= 0),
    hash            BYTEA NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (length(hash) = 32),
    sealed_position BIGINT NOT NULL DEFAULT 0 CHECK (sealed_position BETWEEN 0 AND position),
    changed_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);

COMMENT ON TABLE audit_heads IS 'A copy, for speed: the verification does not believe it.';
COMMENT ON COLUMN audit_heads.sealed_position IS 'The last entry that a seal covers.';

CREATE INDEX audit_heads_unsealed ON audit_heads (changed_at) WHERE sealed_position < position;

-- One chain for the whole installation: each seal signs the ends of the chains that grew since the one before.
CREATE TABLE audit_seals (
    number     BIGINT PRIMARY KEY CHECK (number >= 1),
    content    TEXT NOT NULL,
    hash       BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    signature  BYTEA NOT NULL CHECK (length(signature) = 64),
    public_key BYTEA NOT NULL CHECK (length(public_key) = 32),
    sealed_at  TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE audit_seals IS 'Signed ends of the audit log''s chains. Only ever added to; each is copied to object storage.';
COMMENT ON COLUMN audit_seals.content IS 'The document, JSON, byte for byte as it was hashed and signed.';
COMMENT ON COLUMN audit_seals.signature IS 'Ed25519 over the hash.';

CREATE TABLE audit_seal_copies (
    number    BIGINT PRIMARY KEY REFERENCES audit_seals (number),
    copied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

COMMENT ON TABLE audit_seal_copies IS 'Which seals are in object storage too.';

REVOKE UPDATE, DELETE ON audit_log, audit_seals, audit_seal_copies FROM sallyport_app;

-- The owner may still do anything; this is against a slip of the hand.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to; % is refused', TG_TABLE_NAME, TG_OP;
END $$;

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seals_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
