-- Whether the node publishes: where no live node does, nobody will ever write the records that failed rows owe.
alter table messaging_nodes
    add column publishes boolean not null default false;

-- The dead letters that are still owed, lowest ids first. Empty while the broker takes them.
create index messaging_messages_owed
    on messaging_messages (id)
    where status = 'failed'
      and dead_lettered_at is null;

-- Replaying: a tenant's failed messages, lowest ids first, however many others it has.
create index messaging_messages_failed
    on messaging_messages (tenant, id)
    where status = 'failed';
