-- As before, but for three columns: U+0000 in a header's name makes a record of which PostgreSQL shows no member (it is refused now,
-- and rows that have it are shown without their key), and moments are rounded down, as SQLite and the Node bridge do.
create or replace view messaging_records as
select id as message_uuid,
       status as message_status,
       dead_lettered_at,
       ('x' || left(replace(id::text, '-', ''), 16))::bit(64)::bigint as id,
       id::text as message_id,
       remote_jid as topic,
       case when is_readable then record ->> 'key' end as key,
       coalesce(payload::text, message, case when is_readable then record -> 'value' ->> 'base64' end) as value,
       floor(extract(epoch from created_at) * 1000)::bigint as timestamp,
       -- Tries that failed: not the one that is under way, nor the one that succeeded.
       case when status in ('queued', 'failed', 'cancelled') then retries else greatest(retries - 1, 0) end as retry_count,
       error as last_error,
       floor(extract(epoch from created_at))::bigint as created_at,
       floor(extract(epoch from sent_at) * 1000)::bigint as sent_at,
       case when channel_message_id ~ '^[0-9]{1,9}:[0-9]+$' then split_part(channel_message_id, ':', 2) end as kafka_offset,
       case when channel_message_id ~ '^[0-9]{1,9}:[0-9]+$' then split_part(channel_message_id, ':', 1)::integer end
           as kafka_partition
  from messaging_messages
       -- A backslash that is escaped begins no escape.
       cross join lateral (select strpos(replace(record::text, '\\', ''), '\u0000') = 0 as is_readable) as its
 where channel = 'kafka_topic'
   and direction = 'sent';

-- What was set beside the state went unnoticed: it is refused, but for what a replay sets itself.
create or replace function messaging_update_outbox() returns trigger
    language plpgsql
    set search_path from current
    as $$
begin
    if new.status <> 'pending' or old.status not in ('pending', 'failed', 'dlq') then
        raise exception 'outbox: of a record only the state can be changed, from failed or dlq to pending';
    end if;
    if (new.id, new.message_id, new.topic, new.key, new.value, new.timestamp, new.created_at, new.sent_at, new.kafka_offset,
        new.kafka_partition)
       is distinct from
       (old.id, old.message_id, old.topic, old.key, old.value, old.timestamp, old.created_at, old.sent_at, old.kafka_offset,
        old.kafka_partition)
       or (new.retry_count is distinct from old.retry_count and new.retry_count is distinct from 0)
       or (new.last_error is distinct from old.last_error and new.last_error is not null) then
        raise exception 'outbox: of a record only status can be set, to pending, with retry_count = 0 and last_error = null; nothing was changed';
    end if;
    update messaging_messages
       set status = 'queued',
           retries = 0,
           replays = least(greatest(replays, 0), 2147483646) + 1,
           channel_message_id = case when unanswered then channel_message_id end,
           error = null,
           failure = null,
           dead_lettered_at = null,
           deferrals = 0,
           deferred_since = null,
           next_attempt_at = date_trunc('milliseconds', clock_timestamp()),
           updated_at = date_trunc('milliseconds', clock_timestamp())
     where id = old.message_id::uuid
       and channel = 'kafka_topic'
       and status = 'failed';
    return new;
end
$$;
