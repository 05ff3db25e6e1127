-- What was read out of a call's words: by whom, the customer's sentiment, or why nobody could. No key phrase: those are words of
-- the call. Calls that are older than these columns have NULL.

ALTER TABLE omni_calls ADD COLUMN insights_by VARCHAR(64) ENCODE BYTEDICT;

ALTER TABLE omni_calls ADD COLUMN insights_sentiment VARCHAR(16) ENCODE BYTEDICT;

ALTER TABLE omni_calls ADD COLUMN insights_balance DOUBLE PRECISION ENCODE ZSTD;

ALTER TABLE omni_calls ADD COLUMN insights_failure VARCHAR(16) ENCODE BYTEDICT;
