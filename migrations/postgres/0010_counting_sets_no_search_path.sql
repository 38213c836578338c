-- The function that counts changes named its tables without their schema, and set a search path for that at each call: that
-- took a single message's statement a third longer. It names their schema now.

do $do$
declare
    home text = (select relnamespace::regnamespace::text from pg_class where oid = 'messaging_messages'::regclass);
begin
    execute format(
        $create$
        create or replace function messaging_count_changes() returns trigger
            language plpgsql
            as $body$
        begin
            case tg_op
                when 'INSERT' then
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, count(*)
                      from new_rows
                     group by 1, 2, 3;
                when 'DELETE' then
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, -count(*)
                      from old_rows
                     group by 1, 2, 3;
                else
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, sum(change)
                      from (select tenant, id, status, -1 as change from old_rows
                            union all
                            select tenant, id, status, 1 from new_rows) as changes
                     group by 1, 2, 3
                    having sum(change) <> 0;
            end case;
            return null;
        end
        $body$
        $create$,
        home);
end
$do$;
