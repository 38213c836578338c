-- Records of topics, as the operators of the Node bridge know them: its columns and its units.

-- Beside each, its state: no part of `outbox`, which tells four states apart.
create view messaging_records as
select status as message_status,
       dead_lettered_at,
       rowid as id,
       id as message_id,
       remote_jid as topic,
       case when json_valid(record) then record ->> '$.key' end as key,
       coalesce(payload, message, case when json_valid(record) then record ->> '$.value.base64' end) as value,
       unixepoch(created_at) * 1000 + cast(substr(created_at, 21, 3) as integer) as timestamp,
       -- Tries that failed: not the one that is under way, nor the one that succeeded.
       case when status in ('queued', 'failed', 'cancelled') then retries else max(retries - 1, 0) end as retry_count,
       error as last_error,
       unixepoch(created_at) as created_at,
       unixepoch(sent_at) * 1000 + cast(substr(sent_at, 21, 3) as integer) as sent_at,
       case
           when channel_message_id like '%_:_%' then substr(channel_message_id, instr(channel_message_id, ':') + 1)
       end as kafka_offset,
       case
           when channel_message_id like '%_:_%' then cast(channel_message_id as integer)
       end as kafka_partition
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
create trigger outbox_is_updated instead of update on outbox
begin
    select raise(abort, 'outbox: of a record only the state can be changed, from failed or dlq to pending')
     where new.status <> 'pending'
        or old.status not in ('pending', 'failed', 'dlq');
    update messaging_messages
       set status = 'queued',
           retries = 0,
           replays = min(max(replays, 0), 2147483646) + 1,
           channel_message_id = case when unanswered then channel_message_id end,
           error = null,
           failure = null,
           dead_lettered_at = null,
           deferrals = 0,
           deferred_since = null,
           next_attempt_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
           updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
     where id = old.message_id
       and channel = 'kafka_topic'
       and status = 'failed';
end;
