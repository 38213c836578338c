-- Messages that channels bring, each once.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

-- What was received lately, so that it is not stored again when it is reported again. Beside the messages, which are partitioned:
-- nothing is unique in all of their weeks but the id.
create table messaging_received_messages (
    instance_id        uuid not null,
    channel_message_id text not null,
    chat               text not null,
    sender             text not null,
    message_id         uuid not null,
    primary key (instance_id, channel_message_id, chat, sender)
);

-- Forgetting what is old.
create index messaging_received_messages_by_message
    on messaging_received_messages (message_id);

-- What was written on an instance's phone, unless we have sent it: that is known only once no try can be under way any more.
create table messaging_undecided_messages (
    id                  uuid        not null,
    tenant              text        not null,
    user_id             text        not null,
    instance_id         uuid        not null,
    channel             text        not null,
    channel_instance_id text        not null,
    remote_jid          text        not null,
    message             text,
    payload             json,
    media_url           text,
    media_type          text,
    channel_message_id  text        not null,
    sent_at             timestamptz not null,
    received_at         timestamptz not null,
    primary key (instance_id, channel_message_id)
);

create index messaging_undecided_messages_by_arrival
    on messaging_undecided_messages (received_at, instance_id, channel_message_id);

-- Counts are of what was sent: the states of what was received say nothing.
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
                     where direction = 'sent'
                     group by 1, 2, 3;
                when 'DELETE' then
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, -count(*)
                      from old_rows
                     where direction = 'sent'
                     group by 1, 2, 3;
                else
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, sum(change)
                      from (select tenant, id, status, -1 as change
                              from old_rows
                             where direction = 'sent'
                            union all
                            select tenant, id, status, 1
                              from new_rows
                             where direction = 'sent') as changes
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

create or replace view messaging_status_counts as
select tenant, status, count(*) as count
  from messaging_messages
 where direction = 'sent'
 group by tenant, status;

-- A tenant's received messages, newest first. What is sent is not in it, and pays nothing for it.
do $$
declare
    bytes bigint = (select coalesce(sum(pg_relation_size(inhrelid)), 0)
                      from pg_inherits
                     where inhparent = 'messaging_messages'::regclass);
    -- A large table gets it one week after the other, in the background, and nobody waits.
    whereof text = case when bytes > 64 << 20 then 'only messaging_messages' else 'messaging_messages' end;
begin
    execute format(
        'create index messaging_messages_received
             on %s (tenant, id)
          where direction = ''received''', whereof);
end
$$;
