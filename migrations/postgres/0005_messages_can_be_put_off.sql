-- A message whose instance may not be called now is put off, without spending a try.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

alter table messaging_messages
    add column deferrals      integer     not null default 0,  -- since it was accepted or replayed
    add column deferred_since timestamptz;                     -- the first time since its last try
