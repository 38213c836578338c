-- One content for many recipients: a row of its own, from which messages are made in chunks.

create table messaging_broadcasts (
    id                  text    not null primary key,
    tenant              text    not null,
    user_id             text    not null,
    instance_id         text    not null,
    channel             text    not null,
    channel_instance_id text    not null,
    group_id            text,
    message             text,
    payload             text,        -- JSON, byte for byte as it was given
    media_url           text,
    media_type          text,
    template            text,
    is_template         integer not null check (is_template in (0, 1)),
    max_retries         integer not null,
    priority            integer,
    rate_per_minute     integer,
    send_at             text,
    status              text    not null
                        check (status in ('scheduled', 'expanding', 'expanded', 'paused', 'cancelled', 'finished')),
    total               integer not null,
    cursor              integer not null,   -- so many recipients, in their order, have messages
    node_id             text,               -- who makes them
    ids_at              text    not null,   -- the time in their ids
    idempotency_key     text,
    fingerprint         blob,
    created_at          text    not null,
    updated_at          text    not null,
    finished_at         text,
    check (cursor between 0 and total)
) strict;

-- A key is kept once; it is cleared when it has expired and comes again.
create unique index messaging_broadcasts_by_key
    on messaging_broadcasts (tenant, idempotency_key)
    where idempotency_key is not null;

-- What is looked at again and again: few.
create index messaging_broadcasts_at_work
    on messaging_broadcasts (id)
    where status in ('scheduled', 'expanding', 'expanded');

-- What has ended lately.
create index messaging_broadcasts_ended
    on messaging_broadcasts (finished_at)
    where finished_at is not null;

-- Recipients in their order, many a row: an array of addresses, each with its variables, if there are any.
create table messaging_broadcast_recipients (
    broadcast_id text    not null,
    first        integer not null,
    recipients   text    not null,
    primary key (broadcast_id, first)
) strict, without rowid;

-- How many messages of a broadcast are in which state.
create table messaging_broadcast_counts (
    broadcast_id text    not null,
    status       text    not null,
    count        integer not null,
    primary key (broadcast_id, status)
) strict, without rowid;

alter table messaging_messages
    add column broadcast_id text;

-- Beside the count of all messages. What is deleted with its history stays counted: it was sent.
create trigger messaging_messages_of_broadcasts_are_made after insert on messaging_messages
    when new.broadcast_id is not null
begin
    insert into messaging_broadcast_counts
    values (new.broadcast_id, new.status, 1)
        on conflict do update set count = count + 1;
end;

create trigger messaging_messages_of_broadcasts_are_changed after update of status on messaging_messages
    when new.broadcast_id is not null
     and old.status <> new.status
begin
    update messaging_broadcast_counts
       set count = count - 1
     where broadcast_id = new.broadcast_id
       and status = old.status;
    insert into messaging_broadcast_counts
    values (new.broadcast_id, new.status, 1)
        on conflict do update set count = count + 1;
end;
