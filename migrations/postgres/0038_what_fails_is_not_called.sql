-- Destinations that fail, and are not called until a probe shows that they work again. Those that work have no row. By the clock of
-- this server.
create table messaging_breakers (
    target        text        not null primary key,    -- instance:<id>, or host:<scheme, host and port> <tenant>
    tenant        text        not null,
    instance_id   uuid,                                 -- null: it is of a host
    host          text,
    state         text        not null check (state in ('open', 'half-open', 'closed')),
    since         timestamptz not null,                 -- when it opened, or closed
    reason        text,
    failed_probes integer     not null default 0,
    probe_at      timestamptz not null,                 -- no probe before
    probe         uuid,                                 -- the one that is under way
    probe_until   timestamptz,                          -- from then on there may be another one
    disabled_at   timestamptz,                          -- no probes until a person says so
    changes       bigint      not null default 1,       -- it opened, was disabled, closed
    told          bigint      not null default 0        -- so many of them were told
) with (fillfactor = 50);
