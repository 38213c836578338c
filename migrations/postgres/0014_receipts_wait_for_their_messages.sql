-- What receipts need to know of a message: whether a try of it may have been delivered without an answer, and which run it is in.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

alter table messaging_messages
    add column unanswered boolean not null default false,   -- a try of it may have been delivered; nobody knows
    add column replays    integer not null default 0;       -- how often it was put back on its way after it had failed
