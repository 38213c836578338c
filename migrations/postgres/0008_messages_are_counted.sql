-- How many messages are in which state is counted as they change, in the transaction that changes them, so that nobody has
-- to read a history to know it.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

create table messaging_message_counts (
    tenant text   not null,
    week   bigint not null,  -- of those since Monday, 29 December 1969, UTC; by the time in the id
    status text   not null,
    count  bigint not null,
    primary key (tenant, week, status)
);

-- Counting a week anew.
create index messaging_message_counts_by_week
    on messaging_message_counts (week);

-- What is open, of all tenants. A count that has come to nothing is deleted, so these are few.
create index messaging_message_counts_open
    on messaging_message_counts (status)
    where status in ('pending', 'queued', 'processing');

-- What is to be added to the counts. Each change has a row of its own, so that no transaction waits for another one.
create table messaging_message_count_changes (
    tenant text   not null,
    week   bigint not null,
    status text   not null,
    change bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Weeks whose counts are wrong, or were never made: until they are counted anew, their messages are counted one by one.
create table messaging_uncounted_weeks (
    week bigint not null primary key
);

create function messaging_week_of(id uuid) returns bigint
    language sql immutable strict parallel safe
    as $$ select (('x' || left(id::text, 8) || substr(id::text, 10, 4))::bit(48)::bigint + 259200000) / 604800000 $$;

-- The least id of a week. One that ids cannot reach any more begins with the greatest of all.
create function messaging_first_id_of(week bigint) returns uuid
    language sql immutable strict parallel safe
    as $$ select case when week * 604800000 - 259200000 >= 1::bigint << 48 then 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
                      else (lpad(to_hex(greatest(week * 604800000 - 259200000, 0)), 12, '0') || repeat('0', 20))::uuid
                  end $$;

-- Fired by a statement that names messaging_messages, not by one that names a partition: rows that are only moved stay
-- counted.
create function messaging_count_changes() returns trigger
    language plpgsql
    set search_path from current
    as $$
begin
    case tg_op
        when 'INSERT' then
            insert into messaging_message_count_changes
            select tenant, messaging_week_of(id), status, count(*)
              from new_rows
             group by 1, 2, 3;
        when 'DELETE' then
            insert into messaging_message_count_changes
            select tenant, messaging_week_of(id), status, -count(*)
              from old_rows
             group by 1, 2, 3;
        else
            insert into messaging_message_count_changes
            select tenant, messaging_week_of(id), status, sum(change)
              from (select tenant, id, status, -1 as change from old_rows
                    union all
                    select tenant, id, status, 1 from new_rows) as changes
             group by 1, 2, 3
            having sum(change) <> 0;
    end case;
    return null;
end
$$;

create trigger messaging_messages_are_accepted after insert on messaging_messages
    referencing new table as new_rows
    for each statement execute function messaging_count_changes();
create trigger messaging_messages_are_changed after update on messaging_messages
    referencing old table as old_rows new table as new_rows
    for each statement execute function messaging_count_changes();
create trigger messaging_messages_are_deleted after delete on messaging_messages
    referencing old table as old_rows
    for each statement execute function messaging_count_changes();

-- What is there already is counted later, one week at a time, beside everything else.
insert into messaging_uncounted_weeks
with recursive weeks (week) as (
    (select messaging_week_of(id)
       from messaging_messages
      order by id
      limit 1)
    union all
    select (select messaging_week_of(messages.id)
              from messaging_messages as messages
             where messages.id >= messaging_first_id_of(weeks.week + 1)
               and messaging_week_of(messages.id) > weeks.week
             order by messages.id
             limit 1)
      from weeks
     where weeks.week is not null
)
select week
  from weeks
 where week is not null;
