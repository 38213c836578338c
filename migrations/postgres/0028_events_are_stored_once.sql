-- What sources report: each event once, with the history of what became of it.
create table messaging_events (
    id           uuid        primary key,
    tenant       text        not null,
    source       text        not null,
    name         text        not null,    -- what its reporter calls it
    key          text,                    -- what a repeat of it has in common with it
    type         text        not null,
    origin       text,                    -- who reported it
    ordering_key text,
    data         text        not null,    -- JSON, as it came; text, because not all that is JSON is a `json` here
    via          text,                    -- how it came to be stored
    occurred_at  timestamptz,             -- as its reporter says
    received_at  timestamptz not null,
    status       text        not null check (status in ('received', 'processing', 'processed', 'failed', 'dead_letter')),
    error        text,
    updated_at   timestamptz not null
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);

create index messaging_events_by_name on messaging_events (tenant, name, id);
create index messaging_events_by_tenant on messaging_events (tenant, id);
create index messaging_events_by_type on messaging_events (tenant, type, id);
create index messaging_events_unfinished on messaging_events (tenant, status, id) where status <> 'processed';

-- Which event a key stands for, as long as it is remembered.
create table messaging_event_keys (
    tenant     text        not null,
    source     text        not null,
    key        text        not null,
    event_id   uuid        not null,
    first_at   timestamptz not null,
    expires_at timestamptz not null,
    primary key (tenant, source, key)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create index messaging_event_keys_by_expiry on messaging_event_keys (expires_at);

create table messaging_event_history (
    event_id uuid        not null,
    number   bigint      generated always as identity,
    status   text        not null,
    step     text,
    at       timestamptz not null,
    reason   text,
    primary key (event_id, number)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);

-- What is left to do: a row goes when its step is done.
create table messaging_event_steps (
    event_id uuid        not null,
    step     text        not null,
    state    text        not null default 'open' check (state in ('open', 'dead')),
    due_at   timestamptz not null,
    tries    integer     not null default 0,
    primary key (event_id, step)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index messaging_event_steps_due on messaging_event_steps (step, due_at, event_id) where state = 'open';

-- How many there are: several rows each, so that few writers wait for the same.
create table messaging_event_counts (
    tenant text     not null,
    type   text     not null,
    status text     not null,
    slot   smallint not null,
    events bigint   not null,
    primary key (tenant, type, status, slot)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
