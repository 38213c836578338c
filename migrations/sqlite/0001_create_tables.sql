-- Ids are hyphenated lower-case text. Times are RFC 3339 text in UTC with exactly three fractional digits and `Z`, so
-- that the order of the text is the order in time.

create table tenants (
    name       text not null primary key,
    created_at text not null
) strict, without rowid;

create table api_keys (
    id         text not null primary key,
    tenant     text not null,
    name       text not null,
    prefix     text not null,
    hash       blob not null unique,            -- SHA-256
    scopes     text not null,                   -- separated by single spaces
    created_at text not null,
    expires_at text,
    revoked_at text
) strict;

create table messaging_instances (
    id                  text    not null primary key,
    tenant              text    not null,
    user_id             text    not null,
    name                text,
    channel             text    not null,
    channel_instance_id text    not null,
    channel_phone_or_id text    not null,
    status              text    not null check (status in ('connected', 'disconnected', 'connecting', 'error', 'pending')),
    credentials         blob    not null,       -- sealed
    max_retries         integer,
    metadata            text,                   -- JSON, byte for byte as it was given
    created_at          text    not null,
    updated_at          text    not null,
    unique (tenant, channel, channel_instance_id)
) strict;

create table messaging_messages (
    id                  text    not null primary key,
    tenant              text    not null,
    user_id             text    not null,
    instance_id         text    not null,
    channel             text    not null,
    channel_instance_id text    not null,
    remote_jid          text    not null,
    group_id            text,
    message             text,
    payload             text,                   -- JSON, byte for byte as it was given
    media_url           text,
    media_type          text    check (media_type in ('image', 'audio', 'document', 'video')),
    direction           text    not null check (direction in ('sent', 'received')),
    status              text    not null check (status in ('pending', 'queued', 'processing', 'sent', 'delivered', 'read', 'failed')),
    channel_message_id  text,
    error               text,
    failure             text    check (failure in ('recipient', 'channel')),
    retries             integer not null,       -- tries begun since it was accepted or replayed; for people
    max_retries         integer not null,
    priority            integer,
    try                 integer not null,       -- tries begun ever; guards writes, never goes back
    attempt_started_at  text,
    attempt_http_status integer,
    node_id             text,                   -- who has taken it upon itself
    next_attempt_at     text,                   -- not before; null: now, by its owner
    send_at             text,
    dead_lettered_at    text,
    sent_at             text,
    delivered_at        text,
    read_at             text,
    created_at          text    not null,
    updated_at          text    not null
) strict;

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
    message_id  text    not null,               -- no foreign key: either table is pruned without the other
    number      integer not null,
    started_at  text,
    finished_at text,
    outcome     text    check (outcome in ('sent', 'transient', 'permanent', 'unknown')),
    error       text,
    http_status integer,
    primary key (message_id, number)
) strict, without rowid;

create table messaging_idempotency_keys (
    tenant      text not null,
    key         text not null,
    fingerprint blob not null,                  -- SHA-256 of the first request's body
    message_id  text not null,
    accepted_as text not null,                  -- the state in which the message was accepted
    created_at  text not null,
    expires_at  text not null,
    primary key (tenant, key)
) strict, without rowid;

-- Deleting what has expired.
create index messaging_idempotency_keys_by_expiry
    on messaging_idempotency_keys (expires_at);

create table messaging_nodes (
    id         text    not null primary key,
    heartbeat  integer not null,
    consumes   integer not null check (consumes in (0, 1)),
    started_at text    not null,
    left_at    text
) strict, without rowid;

create view messaging_status_counts as
select tenant, status, count(*) as count
  from messaging_messages
 group by tenant, status;
