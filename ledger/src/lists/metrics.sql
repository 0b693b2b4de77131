SELECT
    (SELECT count(*) FROM workflows WHERE completed_at IS NULL) AS "active!",
    (SELECT count(*) FROM approvals WHERE status = 'PENDING') AS "pending!",
    (SELECT count(*) FROM workflows WHERE completed_at >= $1 AND state = 'COMPLETED') AS "today!",
    count(*) FILTER (WHERE state = 'COMPLETED') AS "completed!",
    count(*) AS "ended!"
FROM workflows
WHERE completed_at >= $2
