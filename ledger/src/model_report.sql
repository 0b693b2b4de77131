SELECT
    t.planner AS "planner!",
    count(*) AS "tickets!",
    count(*) FILTER (WHERE g.first_reading IN ('APPROVED', 'REVISED', 'REJECTED')) AS "read!",
    count(*) FILTER (WHERE g.first_reading = 'APPROVED') AS "approved_at_first_reading!",
    coalesce(sum(g.revisions), 0)::bigint AS "revisions!",
    count(*) FILTER (WHERE g.rejected > 0) AS "rejected!",
    count(*) FILTER (WHERE s.first_qa IS NOT NULL) AS "checked!",
    count(*) FILTER (WHERE s.first_qa = 'PR_CREATED') AS "passed_at_first_check!",
    count(*) FILTER (WHERE s.qa_passed > 0) AS "passed!",
    count(*) FILTER (WHERE t.completed_at IS NOT NULL) AS "ended!",
    count(*) FILTER (WHERE t.pr_merged_at IS NOT NULL) AS "merged!",
    coalesce(sum(c.cost), 0)::bigint AS "planning_cost_micro_usd!",
    coalesce(sum(t.cost_micro_usd), 0)::bigint AS "cost_micro_usd!"
FROM workflows t
CROSS JOIN LATERAL (
    -- A gate that asks again only because the base branch moved says nothing about the SPEC.
    SELECT (array_agg(status ORDER BY requested_at) FILTER (WHERE base_from IS NULL))[1] AS first_reading,
           count(*) FILTER (WHERE status = 'REVISED') AS revisions,
           count(*) FILTER (WHERE status = 'REJECTED') AS rejected
    FROM approvals WHERE workflow_id = t.id AND approval_type = 'SPEC'
) g
CROSS JOIN LATERAL (
    SELECT (array_agg(to_state ORDER BY sequence))[1] AS first_qa,
           count(*) FILTER (WHERE to_state = 'PR_CREATED') AS qa_passed
    FROM state_transitions
    WHERE workflow_id = t.id AND from_state = 'QA_RUNNING' AND to_state IN ('PR_CREATED', 'EXECUTING', 'QA_FAILED')
) s
CROSS JOIN LATERAL (
    SELECT sum(cost_micro_usd) AS cost FROM planner_calls WHERE workflow_id = t.id
) c
WHERE t.planner IS NOT NULL AND t.created_at >= $1
GROUP BY t.planner
ORDER BY t.planner
