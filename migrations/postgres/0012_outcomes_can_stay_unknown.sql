-- A failure that may have been a delivery: whether such a message is tried again is the instance's choice; none: its channel's.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

-- Not asked of the rows that are there: looking would keep others from them, and they were asked for less before.
alter table messaging_messages
    drop constraint messaging_messages_failure_check,
    add constraint messaging_messages_failure_check
        check (failure in ('recipient', 'channel', 'unknown')) not valid;

alter table messaging_instances
    add column retry_unknown boolean;
