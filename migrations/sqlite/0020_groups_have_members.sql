-- Named lists of recipients: our clients' own, and those of the providers.

create table messaging_groups (
    id                  text not null primary key,
    tenant              text not null,
    business_profile_id text generated always as (tenant) virtual,
    user_id             text not null,
    instance_id         text not null,
    name                text not null,
    description         text,
    type                text not null check (type in ('CUSTOM', 'SYNCED_WHATSAPP', 'SYNCED_TELEGRAM', 'SYNCED_EMAIL')),
    external_group_id   text,
    metadata            text,        -- JSON, byte for byte as it was given
    is_synced           integer generated always as (type <> 'CUSTOM') virtual,
    last_sync_at        text,
    created_at          text not null,
    updated_at          text not null,
    unique (instance_id, external_group_id)
) strict;

-- A tenant's groups, oldest first.
create index messaging_groups_by_tenant
    on messaging_groups (tenant, id);

create table messaging_group_members (
    id              text    not null primary key,
    group_id        text    not null,
    identifier      text    not null,
    identifier_type text    not null check (identifier_type in ('phone', 'jid', 'lid', 'email', 'id')),
    name            text,
    metadata        text,
    is_active       integer not null default 1 check (is_active in (0, 1)),
    added_at        text    not null,
    unique (group_id, identifier)
) strict;

-- A group's members, in the order in which they were added.
create index messaging_group_members_in_order
    on messaging_group_members (group_id, id);

-- How far the last sync of each instance has come.
create table messaging_group_syncs (
    instance_id   text    not null primary key,
    tenant        text    not null,
    status        text    not null check (status in ('running', 'finished', 'failed')),
    total_groups  integer not null,
    synced_groups integer not null,
    total_members integer not null,
    error         text,
    started_at    text    not null,
    updated_at    text    not null
) strict;
