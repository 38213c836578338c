-- Records of topics, as the operators of the Node bridge know them: its columns and its units.

-- Beside each, its state: no part of `outbox`, which tells four states apart.
create view messaging_records as
select id as message_uuid,
       status as message_status,
       dead_lettered_at,
       ('x' || left(replace(id::text, '-', ''), 16))::bit(64)::bigint as id,
       id::text as message_id,
       remote_jid as topic,
       record ->> 'key' as key,
       coalesce(payload::text, message, record -> 'value' ->> 'base64') as value,
       (extract(epoch from created_at) * 1000)::bigint as timestamp,
       -- Tries that failed: not the one that is under way, nor the one that succeeded.
       case when status in ('queued', 'failed', 'cancelled') then retries else greatest(retries - 1, 0) end as retry_count,
       error as last_error,
       extract(epoch from created_at)::bigint as created_at,
       (extract(epoch from sent_at) * 1000)::bigint as sent_at,
       case when channel_message_id ~ '^[0-9]{1,9}:[0-9]+$' then split_part(channel_message_id, ':', 2) end as kafka_offset,
       case when channel_message_id ~ '^[0-9]{1,9}:[0-9]+$' then split_part(channel_message_id, ':', 1)::integer end
           as kafka_partition
  from messaging_messages
 where channel = 'kafka_topic'
   and direction = 'sent';

-- A part for each state: who asks for one state does not read the others.
create view outbox as
select id, message_id, topic, key, value, timestamp, 'pending' as status, retry_count, last_error, created_at, sent_at,
       kafka_offset, kafka_partition
  from messaging_records
 where message_status in ('pending', 'queued', 'processing')
union all
select id, message_id, topic, key, value, timestamp, 'sent', retry_count, last_error, created_at, sent_at, kafka_offset,
       kafka_partition
  from messaging_records
 where message_status in ('sent', 'delivered', 'read')
union all
-- Its record on the topic of dead letters is owed.
select id, message_id, topic, key, value, timestamp, 'failed', retry_count, last_error, created_at, sent_at, kafka_offset,
       kafka_partition
  from messaging_records
 where message_status = 'failed'
   and dead_lettered_at is null
union all
select id, message_id, topic, key, value, timestamp, 'dlq', retry_count, last_error, created_at, sent_at, kafka_offset,
       kafka_partition
  from messaging_records
 where message_status = 'failed'
   and dead_lettered_at is not null
union all
select id, message_id, topic, key, value, timestamp, 'cancelled', retry_count, last_error, created_at, sent_at, kafka_offset,
       kafka_partition
  from messaging_records
 where message_status = 'cancelled';

-- `update outbox set status = 'pending', retry_count = 0 where status = 'dlq'` replays, as `correio replay` does.
create function messaging_update_outbox() returns trigger
    language plpgsql
    set search_path from current
    as $$
begin
    if new.status <> 'pending' or old.status not in ('pending', 'failed', 'dlq') then
        raise exception 'outbox: of a record only the state can be changed, from failed or dlq to pending';
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

create trigger outbox_is_updated instead of update on outbox
    for each row execute function messaging_update_outbox();
