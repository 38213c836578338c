-- What was set beside the state went unnoticed: it is refused, but for what a replay sets itself.
drop trigger outbox_is_updated;

create trigger outbox_is_updated instead of update on outbox
begin
    select raise(abort, 'outbox: of a record only the state can be changed, from failed or dlq to pending')
     where new.status is not 'pending'
        or old.status not in ('pending', 'failed', 'dlq');
    select raise(abort, 'outbox: of a record only status can be set, to pending, with retry_count = 0 and last_error = null; nothing was changed')
     where new.id is not old.id
        or new.message_id is not old.message_id
        or new.topic is not old.topic
        or new.key is not old.key
        or new.value is not old.value
        or new.timestamp is not old.timestamp
        or new.created_at is not old.created_at
        or new.sent_at is not old.sent_at
        or new.kafka_offset is not old.kafka_offset
        or new.kafka_partition is not old.kafka_partition
        or (new.retry_count is not old.retry_count and new.retry_count is not 0)
        or (new.last_error is not old.last_error and new.last_error is not null);
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
