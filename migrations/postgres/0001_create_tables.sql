create table tenants (
    name       text        not null primary key,
    created_at timestamptz not null
);

create table api_keys (
    id         uuid        not null primary key,
    tenant     text        not null,
    name       text        not null,
    prefix     text        not null,
    hash       bytea       not null unique,     -- SHA-256
    scopes     text        not null,            -- separated by single spaces
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
);

create table messaging_instances (
    id                  uuid        not null primary key,
    tenant              text        not null,
    user_id             text        not null,
    name                text,
    channel             text        not null,
    channel_instance_id text        not null,
    channel_phone_or_id text        not null,
    status              text        not null check (status in ('connected', 'disconnected', 'connecting', 'error', 'pending')),
    credentials         bytea       not null,   -- sealed
    max_retries         integer,
    metadata            json,                   -- not jsonb: byte for byte as it was given
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    unique (tenant, channel, channel_instance_id)
);

-- Partitioned on the UUIDv7, whose upper 48 bits are the Unix time in milliseconds: a lookup by id touches one
-- partition, and a week is dropped, not deleted. `Storage::maintain` makes the weeks ahead.
create table messaging_messages (
    id                  uuid        not null primary key,
    tenant              text        not null,
    user_id             text        not null,
    instance_id         uuid        not null,
    channel             text        not null,
    channel_instance_id text        not null,
    remote_jid          text        not null,
    group_id            uuid,
    message             text,
    payload             json,                   -- not jsonb: byte for byte as it was given
    media_url           text,
    media_type          text        check (media_type in ('image', 'audio', 'document', 'video')),
    direction           text        not null check (direction in ('sent', 'received')),
    status              text        not null check (status in ('pending', 'queued', 'processing', 'sent', 'delivered', 'read', 'failed')),
    channel_message_id  text,
    error               text,
    failure             text        check (failure in ('recipient', 'channel')),
    retries             integer     not null,   -- tries begun since it was accepted or replayed; for people
    max_retries         integer     not null,
    priority            smallint,
    try                 integer     not null,   -- tries begun ever; guards writes, never goes back
    attempt_started_at  timestamptz,
    attempt_http_status integer,
    node_id             uuid,                   -- who has taken it upon itself
    next_attempt_at     timestamptz,            -- not before; null: now, by its owner
    send_at             timestamptz,
    dead_lettered_at    timestamptz,
    sent_at             timestamptz,
    delivered_at        timestamptz,
    read_at             timestamptz,
    created_at          timestamptz not null,
    updated_at          timestamptz not null
) partition by range (id);

-- What a clock that jumped puts outside the weeks that are there.
create table messaging_messages_default partition of messaging_messages default;

-- A tenant's messages, newest first.
create index messaging_messages_by_tenant
    on messaging_messages (tenant, id);

-- The relay: what is due by time. Only retries and schedules are in it.
create index messaging_messages_due
    on messaging_messages (next_attempt_at, id)
    where next_attempt_at is not null;

-- The relay: what a node has taken upon itself, by state, so that one state's rows are found in order of their ids
-- however long the backlog of another is.
create index messaging_messages_owned
    on messaging_messages (node_id, status, id)
    where next_attempt_at is null
      and status in ('pending', 'queued', 'processing');

-- Whether a node is still named by a message that waits for its time. As few rows as `messaging_messages_due`.
create index messaging_messages_timed_by_node
    on messaging_messages (node_id)
    where next_attempt_at is not null;

create table messaging_message_attempts (
    message_id  uuid    not null,               -- no foreign key: either table's weeks are dropped without the other's
    number      integer not null,
    started_at  timestamptz,
    finished_at timestamptz,
    outcome     text    check (outcome in ('sent', 'transient', 'permanent', 'unknown')),
    error       text,
    http_status integer,
    primary key (message_id, number)
) partition by range (message_id);

create table messaging_message_attempts_default partition of messaging_message_attempts default;

create table messaging_idempotency_keys (
    tenant      text        not null,
    key         text        not null,
    fingerprint bytea       not null,           -- SHA-256 of the first request's body
    message_id  uuid        not null,
    accepted_as text        not null,           -- the state in which the message was accepted
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    primary key (tenant, key)
);

-- Deleting what has expired.
create index messaging_idempotency_keys_by_expiry
    on messaging_idempotency_keys (expires_at);

create table messaging_nodes (
    id         uuid        not null primary key,
    heartbeat  bigint      not null,
    consumes   boolean     not null,
    started_at timestamptz not null,
    left_at    timestamptz
);

create view messaging_status_counts as
select tenant, status, count(*) as count
  from messaging_messages
 group by tenant, status;
