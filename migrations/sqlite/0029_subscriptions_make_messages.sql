-- Subscriptions turn events into messages: an event and a subscription have one delivery, and so at most one message.

create table messaging_subscriptions (
    id                  text    not null primary key,
    tenant              text    not null,
    user_id             text    not null,
    name                text    not null,
    types               text    not null,                -- patterns, separated by single spaces
    filter              text,                            -- CEL
    template            text,
    channel             text    not null,
    channel_instance_id text    not null,
    remote_jid          text,                            -- a template
    enabled             integer not null check (enabled in (0, 1)),
    created_at          text    not null,
    updated_at          text    not null,
    unique (tenant, name)
) strict;

create table messaging_event_deliveries (
    event_id        text not null,
    subscription_id text not null,
    message_id      text,                                -- null: skipped, because the subscription was disabled
    at              text not null,
    primary key (event_id, subscription_id)
) strict;

create index messaging_event_deliveries_by_age
    on messaging_event_deliveries (at);

-- The types of events that a tenant has beside those that all have.
create table messaging_event_types (
    tenant     text not null,
    letters    text not null,                            -- of its name, without accents and in capitals
    name       text not null,
    schema     text,                                     -- JSON Schema
    updated_at text not null,
    primary key (tenant, letters)
) strict;
