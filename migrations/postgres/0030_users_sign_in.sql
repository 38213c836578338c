-- Users sign in for tokens; guessing their passwords locks a name for a while; and callers of some routes are counted.

-- Waiting for the lock on the keys holds up every caller: rather fail, and be tried again.
set local lock_timeout = '1s';

-- How often the key may be used in a minute where requests are counted; null: as the installation says.
alter table api_keys
    add column requests_per_minute integer;

create table users (
    id            uuid        not null primary key,
    tenant        text        not null,
    name          text        not null unique,
    password_hash text        not null,            -- argon2id, in the format of PHC
    scopes        text        not null,            -- separated by single spaces
    created_at    timestamptz not null,
    disabled_at   timestamptz
);

create table sign_in_failures (
    name_hash bytea       not null primary key,    -- SHA-256; of any name, whether or not a user has it
    failed_at timestamptz[] not null,              -- the last of them, oldest first
    last_at   timestamptz not null
) with (fillfactor = 50);

create index sign_in_failures_by_age
    on sign_in_failures (last_at);

create table request_allowances (
    counted  bytea       not null primary key,     -- SHA-256 of whose requests they are
    began_at timestamptz not null,
    taken    integer     not null,
    granted  integer     not null                  -- by the last statement
) with (fillfactor = 50);

create index request_allowances_by_age
    on request_allowances (began_at);
