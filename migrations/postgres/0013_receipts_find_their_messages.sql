-- Whoever waits for the lock on the instances holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

-- What channels say of messages later: kept until it has been applied.
create table messaging_receipts (
    instance_id        uuid        not null,
    channel_message_id text        not null,
    status             text        not null check (status in ('sent', 'delivered', 'read', 'failed')),
    occurred_at        timestamptz not null,    -- as the channel says
    reason             text,                    -- of a failure
    received_at        timestamptz not null,
    primary key (instance_id, channel_message_id, status)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- The sweep, oldest first.
create index messaging_receipts_by_arrival
    on messaging_receipts (received_at, instance_id, channel_message_id);

-- Which message a name at a channel stands for. Written with the outcome that gives the message its name.
create table messaging_channel_messages (
    instance_id        uuid not null,
    channel_message_id text not null,
    message_id         uuid not null,
    primary key (instance_id, channel_message_id)
);

-- Deleting those of messages that are gone.
create index messaging_channel_messages_by_message
    on messaging_channel_messages (message_id);

-- What an instance's provider brings with each of its events, sealed.
alter table messaging_instances
    add column event_secret bytea;

-- A provider names an instance as its client does, and no tenant.
create index messaging_instances_by_name
    on messaging_instances (channel_instance_id);
