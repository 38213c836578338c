-- A message that waits for a time that does not come (`infinity`, or a year that no calendar here knows) waits for ever.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

-- Not asked of the rows that are there: looking would keep others from them.
alter table messaging_messages
    add constraint messaging_messages_wait_for_a_time
        check (next_attempt_at < '10000-01-01T00:00:00Z') not valid;

update messaging_messages
   set next_attempt_at = '1970-01-01T00:00:00Z'
 where next_attempt_at >= '10000-01-01T00:00:00Z';
