-- Who may use the API, beside the tokens in the configuration.
CREATE TABLE api_tokens (
    id           UUID PRIMARY KEY,
    hash         BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    person       TEXT NOT NULL CHECK (person <> ''),
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'approver', 'admin')),
    name         TEXT,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by   TEXT NOT NULL,
    expires_at   TIMESTAMPTZ CHECK (expires_at > created_at),
    last_used_at TIMESTAMPTZ,
    revoked_at   TIMESTAMPTZ
);

COMMENT ON TABLE api_tokens IS 'Who may use the API, beside the tokens in the configuration.';
COMMENT ON COLUMN api_tokens.hash IS
    'SHA-256 of the token. It has 32 random bytes, so that neither guessing nor a table of hashes finds it: no salt is needed, and a token is found by its hash.';
COMMENT ON COLUMN api_tokens.created_by IS 'Who made it, as the operating system names this person.';
COMMENT ON COLUMN api_tokens.last_used_at IS 'Written at most once a minute.';
