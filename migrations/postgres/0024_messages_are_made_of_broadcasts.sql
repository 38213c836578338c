-- One content for many recipients: a row of its own, from which messages are made in chunks.

-- Whoever waits for a lock on these tables holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

create table messaging_broadcasts (
    id                  uuid        not null primary key,
    tenant              text        not null,
    user_id             text        not null,
    instance_id         uuid        not null,
    channel             text        not null,
    channel_instance_id text        not null,
    group_id            uuid,
    message             text,
    payload             json,        -- byte for byte as it was given
    media_url           text,
    media_type          text,
    template            json,
    is_template         boolean     not null,
    max_retries         integer     not null,
    priority            integer,
    rate_per_minute     integer,
    send_at             timestamptz,
    status              text        not null
                        check (status in ('scheduled', 'expanding', 'expanded', 'paused', 'cancelled', 'finished')),
    total               integer     not null,
    cursor              integer     not null,   -- so many recipients, in their order, have messages
    node_id             uuid,                   -- who makes them
    ids_at              timestamptz not null,   -- the time in their ids
    idempotency_key     text,
    fingerprint         bytea,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    finished_at         timestamptz,
    check (cursor between 0 and total)
) with (fillfactor = 50);

-- A key is kept once; it is cleared when it has expired and comes again.
create unique index messaging_broadcasts_by_key
    on messaging_broadcasts (tenant, idempotency_key)
    where idempotency_key is not null;

-- What is looked at again and again: few.
create index messaging_broadcasts_at_work
    on messaging_broadcasts (id)
    where status in ('scheduled', 'expanding', 'expanded');

-- Weeks are kept as long as messages may still be made in them.
create index messaging_broadcasts_unmade
    on messaging_broadcasts (ids_at)
    where status in ('scheduled', 'expanding', 'paused');

-- What has ended lately.
create index messaging_broadcasts_ended
    on messaging_broadcasts (finished_at)
    where finished_at is not null;

-- Recipients in their order, many a row: an array of addresses, each with its variables, if there are any.
create table messaging_broadcast_recipients (
    broadcast_id uuid    not null references messaging_broadcasts on delete cascade,
    first        integer not null,
    recipients   text    not null,
    primary key (broadcast_id, first)
);

-- How many messages of a broadcast are in which state.
create table messaging_broadcast_counts (
    broadcast_id uuid   not null,
    status       text   not null,
    count        bigint not null,
    primary key (broadcast_id, status)
) with (fillfactor = 50);

-- What is to be added to them. Each change has a row of its own, so that no transaction waits for another one.
create table messaging_broadcast_count_changes (
    broadcast_id uuid   not null,
    status       text   not null,
    change       bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index messaging_broadcast_count_changes_by_broadcast
    on messaging_broadcast_count_changes (broadcast_id);

alter table messaging_messages
    add column broadcast_id uuid;

-- Beside the count of all messages. What is deleted with its history stays counted: it was sent.
do $do$
declare
    home text = (select relnamespace::regnamespace::text from pg_class where oid = 'messaging_messages'::regclass);
begin
    execute format(
        $create$
        create function messaging_count_broadcasts() returns trigger
            language plpgsql
            as $body$
        begin
            if tg_op = 'INSERT' then
                insert into %1$s.messaging_broadcast_count_changes
                select broadcast_id, status, count(*)
                  from new_rows
                 where broadcast_id is not null
                 group by 1, 2;
            else
                insert into %1$s.messaging_broadcast_count_changes
                select broadcast_id, status, sum(change)
                  from (select broadcast_id, status, -1 as change
                          from old_rows
                         where broadcast_id is not null
                        union all
                        select broadcast_id, status, 1
                          from new_rows
                         where broadcast_id is not null) as changes
                 group by 1, 2
                having sum(change) <> 0;
            end if;
            return null;
        end
        $body$
        $create$,
        home);
end
$do$;

create trigger messaging_messages_of_broadcasts_are_made after insert on messaging_messages
    referencing new table as new_rows
    for each statement execute function messaging_count_broadcasts();
create trigger messaging_messages_of_broadcasts_are_changed after update on messaging_messages
    referencing old table as old_rows new table as new_rows
    for each statement execute function messaging_count_broadcasts();
