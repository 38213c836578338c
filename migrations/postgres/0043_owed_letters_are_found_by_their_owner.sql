-- The dead letters that one node owes, however many others do. Empty while the broker takes them.

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
        'create index messaging_messages_owed_by_node
             on %s (node_id, id)
          where status = ''failed''
            and dead_lettered_at is null', whereof);
end
$$;
