-- Calls a minute, and calls at once after a pause; none: not bounded.
alter table messaging_instances
    add column rate_limit_per_minute integer;
alter table messaging_instances
    add column burst integer;

-- From which the slots are reserved in which an instance is called that has a pace. In nanoseconds since 1970. A row stays when
-- its instance is deleted: it is small.
create table messaging_paces (
    instance_id   text primary key,
    next_slot     integer not null default 0,    -- that nobody has
    next_return   integer not null default 0,    -- when the next message comes back that is put off
    slot_interval integer not null default 0     -- of the pace that it was last written with
) without rowid;
