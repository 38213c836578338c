-- An instance is found by the secret that its provider brings with each event, however many instances have its name. A secret that was
-- replaced is let in for a while.
alter table messaging_instances
    add column event_secret_digest blob;         -- SHA-256

alter table messaging_instances
    add column former_event_secret_digest blob;

alter table messaging_instances
    add column former_event_secret_until text;

create index messaging_instances_by_event_secret
    on messaging_instances (event_secret_digest)
    where event_secret_digest is not null;

create index messaging_instances_by_former_event_secret
    on messaging_instances (former_event_secret_digest)
    where former_event_secret_digest is not null;
