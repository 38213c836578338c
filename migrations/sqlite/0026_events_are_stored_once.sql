-- What sources report: each event once, with the history of what became of it.
create table messaging_events (
    id           text not null primary key,
    tenant       text not null,
    source       text not null,
    name         text not null,           -- what its reporter calls it
    key          text,                    -- what a repeat of it has in common with it
    type         text not null,
    origin       text,                    -- who reported it
    ordering_key text,
    data         text not null,           -- JSON, as it came
    via          text,                    -- how it came to be stored
    occurred_at  text,                    -- as its reporter says
    received_at  text not null,
    status       text not null check (status in ('received', 'processing', 'processed', 'failed', 'dead_letter')),
    error        text,
    updated_at   text not null
) strict;

create index messaging_events_by_name on messaging_events (tenant, name, id);
create index messaging_events_by_tenant on messaging_events (tenant, id);
create index messaging_events_by_type on messaging_events (tenant, type, id);
create index messaging_events_unfinished on messaging_events (tenant, status, id) where status <> 'processed';

-- Which event a key stands for, as long as it is remembered.
create table messaging_event_keys (
    tenant     text not null,
    source     text not null,
    key        text not null,
    event_id   text not null,
    first_at   text not null,
    expires_at text not null,
    primary key (tenant, source, key)
) strict, without rowid;

create index messaging_event_keys_by_expiry on messaging_event_keys (expires_at);

create table messaging_event_history (
    number   integer primary key autoincrement,
    event_id text not null,
    status   text not null,
    step     text,
    at       text not null,
    reason   text
) strict;

create index messaging_event_history_by_event on messaging_event_history (event_id, number);

-- What is left to do: a row goes when its step is done.
create table messaging_event_steps (
    event_id text    not null,
    step     text    not null,
    state    text    not null default 'open' check (state in ('open', 'dead')),
    due_at   text    not null,
    tries    integer not null default 0,
    primary key (event_id, step)
) strict, without rowid;

create index messaging_event_steps_due on messaging_event_steps (step, due_at, event_id) where state = 'open';

create table messaging_event_counts (
    tenant text    not null,
    type   text    not null,
    status text    not null,
    events integer not null,
    primary key (tenant, type, status)
) strict, without rowid;
