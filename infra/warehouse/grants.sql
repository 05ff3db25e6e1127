-- Each workload signs in as a user of its own, and what one makes is closed to the others. Whoever is about to make tables and
-- views says first who may use them.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ROLE omni_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO ROLE omni_writer;
