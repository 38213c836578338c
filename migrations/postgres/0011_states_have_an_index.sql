-- What is delivered, read or cancelled is found without going through all instances; what failed is already. Messages that are
-- sent do not enter it.

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
        'create index messaging_messages_by_state
             on %s (tenant, status, id)
          where status in (''delivered'', ''read'', ''cancelled'')', whereof);
end
$$;
