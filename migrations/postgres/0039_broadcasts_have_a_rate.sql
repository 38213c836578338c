-- Whoever waits for the lock on the broadcasts holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

-- The next slot that no message has, of a broadcast with a rate; it moves with the cursor.
alter table messaging_broadcasts
    add column paced_at timestamptz;
