-- Whoever waits for the lock on the instances holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

-- Calls a minute, and calls at once after a pause; none: not bounded.
alter table messaging_instances
    add column rate_limit_per_minute integer,
    add column burst integer;

-- From which all processes reserve the slots in which they call an instance that has a pace. In nanoseconds since 1970, by the
-- clock of this server. A row stays when its instance is deleted: it is small.
create table messaging_paces (
    instance_id   uuid primary key,
    next_slot     bigint not null default 0,    -- that nobody has
    next_return   bigint not null default 0,    -- when the next message comes back that is put off
    slot_interval bigint not null default 0     -- of the pace that it was last written with
) with (fillfactor = 50);
