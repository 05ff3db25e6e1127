-- Takes 0005_insights back. Lost: the sentiment of calls, by whom it was read, and why not; results keep all three for 30 days.

ALTER TABLE omni_calls DROP COLUMN insights_failure;

ALTER TABLE omni_calls DROP COLUMN insights_balance;

ALTER TABLE omni_calls DROP COLUMN insights_sentiment;

ALTER TABLE omni_calls DROP COLUMN insights_by;
