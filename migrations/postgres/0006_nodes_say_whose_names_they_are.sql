-- A process that had to take a new name goes on with what waits under its old ones.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

alter table messaging_nodes
    add column process_id uuid;  -- its process's first name; null: the row of an earlier release, its process's only one
