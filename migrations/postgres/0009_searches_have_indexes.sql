-- Every filter of a search has an index, in which a message is entered once it is at an end.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

do $$
declare
    bytes bigint = (select coalesce(sum(pg_relation_size(inhrelid)), 0)
                      from pg_inherits
                     where inhparent = 'messaging_messages'::regclass);
    -- A large table gets them one week after the other, in the background, and nobody waits.
    whereof text = case when bytes > 64 << 20 then 'only messaging_messages' else 'messaging_messages' end;
    week regclass;
begin
    -- A recipient's messages, newest first.
    execute format(
        'create index messaging_messages_by_recipient
             on %s (tenant, remote_jid, id)
          where status in (''sent'', ''delivered'', ''read'', ''failed'', ''cancelled'')', whereof);
    -- An instance's messages, by state; those of a channel, and those in a state, are found instance by instance.
    execute format(
        'create index messaging_messages_by_instance
             on %s (tenant, channel, channel_instance_id, status, id)
          where status in (''sent'', ''delivered'', ''read'', ''failed'', ''cancelled'')', whereof);

    -- A message is written three times. With room for that on its page, what did not change is not written to the WAL.
    for week in select inhrelid::regclass from pg_inherits where inhparent = 'messaging_messages'::regclass loop
        execute format('alter table %s set (fillfactor = 60)', week);
    end loop;
end
$$;
