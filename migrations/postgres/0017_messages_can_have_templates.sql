-- Whoever waits for a lock on these tables holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

-- A template of the channel's own and what fills it. Not jsonb: byte for byte as it was given.
alter table messaging_messages
    add column template json;

-- A provider names an instance by its address. Hashed: an address can be longer than what a tree takes.
create index messaging_instances_by_address
    on messaging_instances using hash (channel_phone_or_id);

-- Those of one channel, of every tenant.
create index messaging_instances_by_channel
    on messaging_instances (channel, id);
