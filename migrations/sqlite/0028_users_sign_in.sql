-- Users sign in for tokens; guessing their passwords locks a name for a while. Callers of some routes are counted, too: in the
-- memory of the only process.

-- How often the key may be used in a minute where requests are counted; null: as the installation says.
alter table api_keys
    add column requests_per_minute integer;

create table users (
    id            text not null primary key,
    tenant        text not null,
    name          text not null unique,
    password_hash text not null,                   -- argon2id, in the format of PHC
    scopes        text not null,                   -- separated by single spaces
    created_at    text not null,
    disabled_at   text
) strict;

create table sign_in_failures (
    name_hash blob not null primary key,           -- SHA-256; of any name, whether or not a user has it
    failed_at text not null,                       -- the last of them, oldest first, separated by single spaces
    last_at   text not null
) strict;

create index sign_in_failures_by_age
    on sign_in_failures (last_at);
