-- A template of the channel's own and what fills it: JSON, byte for byte as it was given.
alter table messaging_messages
    add column template text;

-- A provider names an instance by its address.
create index messaging_instances_by_address
    on messaging_instances (channel_phone_or_id);

-- Those of one channel, of every tenant.
create index messaging_instances_by_channel
    on messaging_instances (channel, id);
