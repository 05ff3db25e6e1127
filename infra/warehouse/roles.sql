-- The roles of the database, made once by its administrator before the first load. The roles of IAM have them by their tag
-- RedshiftDbRoles: who reads has omni_reader; who loads, corrects or erases has omni_writer.
CREATE ROLE omni_reader;
CREATE ROLE omni_writer;
-- A view belongs to whoever made it first; the next version may be another workload's to make.
GRANT CREATE OR REPLACE VIEW TO ROLE omni_writer;
