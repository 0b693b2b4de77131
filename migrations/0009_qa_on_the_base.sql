-- QA also runs on the base commit, and its report is kept for each run, for people and for programs.
ALTER TABLE qa_results
    ADD COLUMN base_passed  BOOLEAN,
    ADD COLUMN excused      BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN output_url   TEXT,
    ADD COLUMN output_bytes BIGINT CHECK (output_bytes >= 0),
    ADD CHECK ((output_url IS NULL) = (output_bytes IS NULL));

COMMENT ON COLUMN qa_results.passed IS 'On the commit that was checked.';
COMMENT ON COLUMN qa_results.base_passed IS 'On the base commit; nothing where it did not run there.';
COMMENT ON COLUMN qa_results.excused IS 'Whether its failure does not count: it is the same on the base commit, and the policy lets that pass.';
COMMENT ON COLUMN qa_results.output_url IS 'Key of all captured output in object storage.';

CREATE TABLE qa_reports (
    id                BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow_id       UUID NOT NULL REFERENCES workflows (id),
    step              BIGINT NOT NULL CHECK (step >= 1),
    head_commit       TEXT NOT NULL,
    base_commit       TEXT NOT NULL,
    passed            BOOLEAN NOT NULL,
    reason            TEXT NOT NULL,
    flagged_tests     BIGINT NOT NULL CHECK (flagged_tests >= 0),
    report_url        TEXT NOT NULL,
    report_bytes      BIGINT NOT NULL CHECK (report_bytes >= 0),
    report_json_url   TEXT NOT NULL,
    report_json_bytes BIGINT NOT NULL CHECK (report_json_bytes >= 0),
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (workflow_id, step)
);

COMMENT ON TABLE qa_reports IS 'What each run of QA came to, once for each step that ran QA.';
COMMENT ON COLUMN qa_reports.reason IS 'Why it passed or failed, in sentences.';
COMMENT ON COLUMN qa_reports.flagged_tests IS 'How many new test files pass without the change too, and so prove nothing.';
COMMENT ON COLUMN qa_reports.report_url IS 'Key of the report in object storage, Markdown.';
COMMENT ON COLUMN qa_reports.report_json_url IS 'Key of the report in object storage, JSON as docs/qa-report.schema.json describes it.';
