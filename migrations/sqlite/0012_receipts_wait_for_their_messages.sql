-- What receipts need to know of a message: whether a try of it may have been delivered without an answer, and which run it is in.

alter table messaging_messages
    add column unanswered integer not null default 0 check (unanswered in (0, 1));   -- a try of it may have been delivered; nobody knows

alter table messaging_messages
    add column replays integer not null default 0;   -- how often it was put back on its way after it had failed
