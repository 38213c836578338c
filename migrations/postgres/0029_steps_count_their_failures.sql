-- Failures are counted apart from tries, of which most only look whether something has ended; and a step whose processes die
-- is found.

-- Waiting for the lock on the events holds up every caller: rather fail, and be tried again.
set local lock_timeout = '1s';

alter table messaging_event_steps
    add column failures integer not null default 0,
    add column lost     integer not null default 0,        -- tries since the last that came to a result
    add column resend   boolean not null default false;    -- a person retries it: its messages that failed go along

-- Who reported an event, as its report says; `origin` is who proved it.
alter table messaging_events
    add column claimed_origin text;
