-- Whoever waits for the lock on the instances holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

-- As the provider has told; none: it has not.
alter table messaging_instances
    add column one_call_at_a_time boolean;

-- Whose turn it is to call an instance that takes one call at a time. A row stays when its instance is deleted: it is small.
create table messaging_call_turns (
    instance_id uuid primary key,
    taken_by    uuid,    -- the message that is being sent
    node_id     uuid,    -- who sends it; gone: the turn is free
    wanted_by   uuid     -- the message that is next
) with (fillfactor = 50);
