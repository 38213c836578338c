-- Every filter of a search has an index. An update writes only those whose columns it changes.
create index messaging_messages_by_recipient
    on messaging_messages (tenant, remote_jid, id);

create index messaging_messages_by_instance
    on messaging_messages (tenant, channel_instance_id, id);

create index messaging_messages_by_channel
    on messaging_messages (tenant, channel, id);

create index messaging_messages_by_status
    on messaging_messages (tenant, status, id);
