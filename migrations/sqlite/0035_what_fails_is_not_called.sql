-- Destinations that fail, and are not called until a probe shows that they work again. Those that work have no row.
create table messaging_breakers (
    target        text    not null primary key,    -- instance:<id>, or host:<scheme, host and port> <tenant>
    tenant        text    not null,
    instance_id   text,                             -- null: it is of a host
    host          text,
    state         text    not null check (state in ('open', 'half-open', 'closed')),
    since         text    not null,                 -- when it opened, or closed
    reason        text,
    failed_probes integer not null default 0,
    probe_at      text    not null,                 -- no probe before
    probe         text,                             -- the one that is under way
    probe_until   text,                             -- from then on there may be another one
    disabled_at   text,                             -- no probes until a person says so
    changes       integer not null default 1,       -- it opened, was disabled, closed
    told          integer not null default 0        -- so many of them were told
) without rowid;
