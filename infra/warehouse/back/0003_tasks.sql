-- Takes 0003_tasks back. Lost: the details of answers, and the task and reason of feedback, which then reads as on summaries.

DROP TABLE IF EXISTS omni_answer_details;

ALTER TABLE omni_feedback DROP COLUMN reason;

ALTER TABLE omni_feedback DROP COLUMN task;
