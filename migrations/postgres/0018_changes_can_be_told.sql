-- Changes of messages' states are told to those who subscribed to them, as messages of their own (`purpose = 'status'`).

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

-- Null: what a client sent, or a channel brought. `status`: it tells of another message's state.
alter table messaging_messages
    add column purpose text;

-- Null: a client made it. `status`: it stands behind a subscription, and clients do not see it.
alter table messaging_instances
    add column purpose text;

-- Who is told. The instance behind it has its id; what that needs is here too, should an older release delete it.
create table messaging_status_subscriptions (
    id                  uuid        not null primary key,
    tenant              text        not null,
    user_id             text        not null,
    url                 text        not null,
    credentials         bytea       not null,   -- sealed
    states              text,                   -- with commas; null: every one that is told
    channel_instance_id text,                   -- of that instance only
    version             bigint      not null,   -- of two changes at once, one is made anew
    created_at          timestamptz not null,
    updated_at          timestamptz not null
);

create index messaging_status_subscriptions_by_tenant
    on messaging_status_subscriptions (tenant);

-- What is to be told: written by the triggers below, in the transaction that changes a message, and so that none can be forgotten.
-- Of one message in the order in which they were made: a second one waits for the first one's transaction.
create table messaging_status_changes (
    seq                     bigint generated always as identity primary key,
    message_id              uuid        not null,
    told_to                 uuid,               -- the last subscription that was told, if not all were yet
    then_status             text        not null,
    then_channel_message_id text,
    then_error              text,
    then_retries            integer     not null,
    then_updated_at         timestamptz not null,
    then_sent_at            timestamptz,
    then_delivered_at       timestamptz,
    then_read_at            timestamptz
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What is being told of one message to one subscription (`told_as`), and what waits until that has ended.
create table messaging_status_tellings (
    subscription_id         uuid        not null,
    message_id              uuid        not null,
    seq                     bigint      not null,
    told_as                 uuid,               -- the message that tells it; null: it waits
    is_next                 boolean     not null default false,  -- it waits no longer
    then_status             text,
    then_channel_message_id text,
    then_error              text,
    then_retries            integer,
    then_updated_at         timestamptz,
    then_sent_at            timestamptz,
    then_delivered_at       timestamptz,
    then_read_at            timestamptz,
    primary key (message_id, subscription_id, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index messaging_status_tellings_by_message
    on messaging_status_tellings (told_as)
    where told_as is not null;

create index messaging_status_tellings_next
    on messaging_status_tellings (seq)
    where is_next;

-- Messages that told something and have ended: the next of the same message and subscription may be told.
create table messaging_status_endings (
    told_as uuid not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Besides counting: where anybody subscribed, what is to be told.
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
                       and purpose is null
                     group by 1, 2, 3;
                    if exists (select from %1$s.messaging_status_subscriptions) then
                        insert into %1$s.messaging_status_changes
                               (message_id, then_status, then_channel_message_id, then_error, then_retries, then_updated_at,
                                then_sent_at, then_delivered_at, then_read_at)
                        select id, status, channel_message_id, error, retries, updated_at, sent_at, delivered_at, read_at
                          from new_rows
                         where status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
                           and direction = 'sent'
                           and purpose is null
                           and tenant in (select tenant from %1$s.messaging_status_subscriptions)
                         order by id;
                    end if;
                when 'DELETE' then
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, -count(*)
                      from old_rows
                     where direction = 'sent'
                       and purpose is null
                     group by 1, 2, 3;
                    if exists (select from %1$s.messaging_status_subscriptions) then
                        insert into %1$s.messaging_status_endings
                        select id
                          from old_rows
                         where purpose = 'status'
                           and status in ('pending', 'queued', 'processing');
                    end if;
                else
                    insert into %1$s.messaging_message_count_changes
                    select tenant, %1$s.messaging_week_of(id), status, sum(change)
                      from (select tenant, id, status, -1 as change
                              from old_rows
                             where direction = 'sent'
                               and purpose is null
                            union all
                            select tenant, id, status, 1
                              from new_rows
                             where direction = 'sent'
                               and purpose is null) as changes
                     group by 1, 2, 3
                    having sum(change) <> 0;
                    if exists (select from %1$s.messaging_status_subscriptions) then
                        insert into %1$s.messaging_status_changes
                               (message_id, then_status, then_channel_message_id, then_error, then_retries, then_updated_at,
                                then_sent_at, then_delivered_at, then_read_at)
                        select now.id, now.status, now.channel_message_id, now.error, now.retries, now.updated_at,
                               now.sent_at, now.delivered_at, now.read_at
                          from new_rows as now
                          join old_rows as before
                            on before.id = now.id
                         where now.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
                           and now.status <> before.status
                           and now.direction = 'sent'
                           and now.purpose is null
                           and now.tenant in (select tenant from %1$s.messaging_status_subscriptions)
                         order by now.id;
                        insert into %1$s.messaging_status_endings
                        select id
                          from new_rows
                         where purpose = 'status'
                           and status in ('sent', 'delivered', 'read', 'failed', 'cancelled');
                    end if;
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
   and purpose is null
 group by tenant, status;

do $$
declare
    bytes bigint = (select coalesce(sum(pg_relation_size(inhrelid)), 0)
                      from pg_inherits
                     where inhparent = 'messaging_messages'::regclass);
    -- A large table gets them one week after the other, in the background, and nobody waits.
    whereof text = case when bytes > 64 << 20 then 'only messaging_messages' else 'messaging_messages' end;
begin
    -- What tells of other messages, newest first, and counted by state. No other message is in it.
    execute format(
        'create index messaging_messages_telling
             on %s (tenant, id) include (status)
          where purpose = ''status''', whereof);
    -- A tenant's own failed messages, however many failed to tell of them.
    execute format(
        'create index messaging_messages_failed_own
             on %s (tenant, id)
          where status = ''failed''
            and purpose is null', whereof);
end
$$;
