-- One more end of a message: `cancelled`, from `queued` alone.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

-- Not asked of the rows that are there: looking would keep others from them, and they were asked for less before.
alter table messaging_messages
    drop constraint messaging_messages_status_check,
    add constraint messaging_messages_status_check
        check (status in ('pending', 'queued', 'processing', 'sent', 'delivered', 'read', 'failed', 'cancelled')) not valid;
