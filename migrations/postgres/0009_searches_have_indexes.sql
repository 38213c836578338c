-- Every filter of a list has an index, in which a message is entered once it is at an end.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

do $$
declare
    bytes bigint = (select coalesce(sum(pg_relation_size(inhrelid)), 0)
                      from pg_inherits
                     where inhparent = 'messaging_messages'::regclass);
    -- A large table gets them one week after the other, in the background, and nobody waits.
    whereof text = case when bytes > 64 << 20 then 'only messaging_messages' else 'messaging_messages' end;
begin
    -- A recipient's messages, newest first. What does not fit into an entry must end all the same:
    -- a long address, or a name that somebody wrote into the row.
    execute format(
        'create index messaging_messages_by_recipient
             on %s (tenant, remote_jid, id)
          where status in (''sent'', ''delivered'', ''read'', ''failed'', ''cancelled'')
            and octet_length(remote_jid) <= 1024', whereof);
    -- An instance's messages, by state; those of a channel, and those in a state, are found instance by instance.
    execute format(
        'create index messaging_messages_by_instance
             on %s (tenant, channel, channel_instance_id, status, id)
          where status in (''sent'', ''delivered'', ''read'', ''failed'', ''cancelled'')
            and octet_length(channel) <= 255
            and octet_length(channel_instance_id) <= 1024', whereof);
end
$$;
