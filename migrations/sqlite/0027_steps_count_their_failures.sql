-- Failures are counted apart from tries, of which most only look whether something has ended; and a step whose processes die
-- is found.
alter table messaging_event_steps add column failures integer not null default 0;
alter table messaging_event_steps add column lost integer not null default 0; -- tries since the last that came to a result
alter table messaging_event_steps add column resend integer not null default 0 check (resend in (0, 1)); -- a person retries it

-- Who reported an event, as its report says; `origin` is who proved it.
alter table messaging_events add column claimed_origin text;
