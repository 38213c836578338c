-- What is due of one instance is found however much another has that is due. Only what waits for a time is in it. Of another type
-- than the column, so that no index in order of that serves as well.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

do $$
declare
    bytes bigint = (select coalesce(sum(pg_relation_size(inhrelid)), 0)
                      from pg_inherits
                     where inhparent = 'messaging_messages'::regclass);
    -- A large table gets it one week after the other, in the background, and nobody waits.
    whereof text = case when bytes > 64 << 20 then 'only messaging_messages' else 'messaging_messages' end;
begin
    execute format(
        'create index messaging_messages_due_by_instance
             on %s (instance_id, (next_attempt_at at time zone ''UTC''), id)
          where next_attempt_at is not null', whereof);
end
$$;
