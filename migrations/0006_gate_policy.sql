-- What a request says beside its question: who is asked, when they are reminded, and why it is asked again.
ALTER TABLE approvals
    ADD COLUMN approvers        TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN may_not_approve  TEXT,
    ADD COLUMN reminders        TIMESTAMPTZ[] NOT NULL DEFAULT '{}',
    ADD COLUMN base_from        TEXT,
    ADD COLUMN base_to          TEXT,
    ADD COLUMN base_files       INTEGER CHECK (base_files >= 0),
    ADD COLUMN base_first       TEXT,
    ADD COLUMN base_diff_url    TEXT,
    ADD COLUMN base_diff_bytes  BIGINT,
    ADD CHECK (num_nulls(base_from, base_to, base_files, base_first, base_diff_url, base_diff_bytes) IN (0, 6));

COMMENT ON COLUMN approvals.assignee IS 'Of the original design: the approvers, separated by commas; nothing means anybody who may.';
COMMENT ON COLUMN approvals.approvers IS 'Who may decide, by email address; empty means anybody who may.';
COMMENT ON COLUMN approvals.may_not_approve IS 'The ticket''s reporter, where the policy does not let this person approve.';
COMMENT ON COLUMN approvals.reminders IS 'When people are reminded, ascending.';
COMMENT ON COLUMN approvals.base_from IS 'The commit that the SPEC was written against, where a later one is why the gate asks again.';
COMMENT ON COLUMN approvals.base_to IS 'The base branch''s head that it would be carried out on now.';
COMMENT ON COLUMN approvals.base_files IS 'How many files in scope changed between the two.';
COMMENT ON COLUMN approvals.base_first IS 'The first of them, shortened.';
COMMENT ON COLUMN approvals.base_diff_url IS 'Key in object storage of the diff of these files.';
