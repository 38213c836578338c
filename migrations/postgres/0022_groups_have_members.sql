-- Named lists of recipients: our clients' own, and those of the providers.

create table messaging_groups (
    id                  uuid        not null primary key,
    tenant              text        not null,
    business_profile_id text        not null generated always as (tenant) stored,
    user_id             text        not null,
    instance_id         uuid        not null,
    name                text        not null,
    description         text,
    type                text        not null check (type in ('CUSTOM', 'SYNCED_WHATSAPP', 'SYNCED_TELEGRAM', 'SYNCED_EMAIL')),
    external_group_id   text,
    metadata            json,        -- byte for byte as it was given
    is_synced           boolean     not null generated always as (type <> 'CUSTOM') stored,
    last_sync_at        timestamptz,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    unique (instance_id, external_group_id)
);

-- A tenant's groups, oldest first.
create index messaging_groups_by_tenant
    on messaging_groups (tenant, id);

create table messaging_group_members (
    id              uuid        not null primary key,
    group_id        uuid        not null references messaging_groups on delete cascade,
    identifier      text        not null,
    identifier_type text        not null check (identifier_type in ('phone', 'jid', 'lid', 'email', 'id')),
    name            text,
    metadata        json,
    is_active       boolean     not null default true,
    added_at        timestamptz not null,
    unique (group_id, identifier)
);

-- A group's members, in the order in which they were added.
create index messaging_group_members_in_order
    on messaging_group_members (group_id, id);

-- How far the last sync of each instance has come.
create table messaging_group_syncs (
    instance_id   uuid        not null primary key,
    tenant        text        not null,
    status        text        not null check (status in ('running', 'finished', 'failed')),
    total_groups  integer     not null,
    synced_groups integer     not null,
    total_members integer     not null,
    error         text,
    started_at    timestamptz not null,
    updated_at    timestamptz not null
) with (fillfactor = 50);
