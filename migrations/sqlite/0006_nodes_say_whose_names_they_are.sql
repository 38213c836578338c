-- A process that had to take a new name goes on with what waits under its old ones.
alter table messaging_nodes
    add column process_id text;  -- its process's first name; null: the row of an earlier release, its process's only one
