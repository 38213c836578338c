-- An instance is found by the secret that its provider brings with each event, however many instances have its name. A secret that was
-- replaced is let in for a while.

-- Whoever waits for the lock on the instances holds up everybody else who uses them: rather fail, and be tried again.
set local lock_timeout = '1s';

alter table messaging_instances
    add column event_secret_digest        bytea,       -- SHA-256
    add column former_event_secret_digest bytea,
    add column former_event_secret_until  timestamptz;

create index messaging_instances_by_event_secret
    on messaging_instances (event_secret_digest)
    where event_secret_digest is not null;

create index messaging_instances_by_former_event_secret
    on messaging_instances (former_event_secret_digest)
    where former_event_secret_digest is not null;
