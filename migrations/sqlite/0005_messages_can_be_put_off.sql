-- A message whose instance may not be called now is put off, without spending a try.

alter table messaging_messages
    add column deferrals integer not null default 0;   -- since it was accepted or replayed

alter table messaging_messages
    add column deferred_since text;                    -- the first time since its last try
