-- What a record of a topic has beside its value: key, headers, partition, timestamp. JSON, byte for byte as it was given.
alter table messaging_messages
    add column record text;
