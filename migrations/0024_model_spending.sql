-- What the installation spends on models, by day.
CREATE TABLE model_spending (
    day            DATE PRIMARY KEY,
    cost_micro_usd BIGINT NOT NULL CHECK (cost_micro_usd >= 0)
);

COMMENT ON TABLE model_spending IS
    'What all workers together spent on models, and have set aside for requests that are not answered yet.';
COMMENT ON COLUMN model_spending.day IS 'In UTC.';
COMMENT ON COLUMN model_spending.cost_micro_usd IS 'Millionths of a US dollar.';
