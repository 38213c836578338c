-- What is due of one instance is found however much another has that is due. Only what waits for a time is in it.
create index messaging_messages_due_by_instance
    on messaging_messages (instance_id, next_attempt_at, id)
    where next_attempt_at is not null;
