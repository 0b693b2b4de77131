-- What Sallyport may do at run time is less than what the owner of the schema may: every connection of the application
-- takes this role on. It belongs to the whole cluster, so it may be there already, or be made at this very moment.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sallyport_app') THEN
        BEGIN
            CREATE ROLE sallyport_app NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role sallyport_app is missing, and % may not make it; as a superuser: CREATE ROLE '
                    'sallyport_app NOLOGIN; GRANT sallyport_app TO %', current_user, quote_ident(current_user);
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'sallyport_app', 'MEMBER') THEN
        EXECUTE format('GRANT sallyport_app TO %I', current_user);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO sallyport_app', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO sallyport_app', current_schema());
    -- What later migrations make. A table that is only ever added to takes the rest away again.
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sallyport_app',
                   current_schema());
    IF to_regclass('_sqlx_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM sallyport_app;
    END IF;
END $$;

-- A refusal that the API wrote stays on record beside the workflow's word about the same decision or command, so that
-- nothing in these tables is ever changed.
ALTER TABLE decisions DROP CONSTRAINT decisions_pkey, ADD PRIMARY KEY (workflow_id, id, origin);
ALTER TABLE commands DROP CONSTRAINT commands_pkey, ADD PRIMARY KEY (workflow_id, id, origin);

COMMENT ON COLUMN decisions.origin IS
    'Who recorded it: the workflow, or the API where the workflow turned it away unseen. The workflow''s word counts.';
COMMENT ON COLUMN commands.origin IS
    'Who recorded it: the workflow, or the API where the workflow turned it away unseen. The workflow''s word counts.';

REVOKE UPDATE, DELETE ON state_transitions, decisions, commands FROM sallyport_app;
