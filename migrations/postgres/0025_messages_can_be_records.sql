-- Whoever waits for a lock on this table holds up everybody else who uses it: rather fail, and be tried again.
set local lock_timeout = '1s';

-- What a record of a topic has beside its value: key, headers, partition, timestamp. Not jsonb: byte for byte as it was given.
alter table messaging_messages
    add column record json;
