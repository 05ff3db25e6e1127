-- Takes 0006_customer_events back. Lost: every customer's events; their systems' files, read again, bring them back.

DROP TABLE IF EXISTS omni_customer_events;
