-- What PostgreSQL's types refuse, SQLite has to be told to: a message whose id is no UUID is found again by no statement,
-- one that waits for what is no time waits for ever, and a node whose id is no UUID cannot be watched. Everything else that
-- somebody writes by hand has its end.

update messaging_messages
   set next_attempt_at = '1970-01-01T00:00:00.000Z'
 where next_attempt_at is not null
   and next_attempt_at is not strftime('%Y-%m-%dT%H:%M:%fZ', next_attempt_at);

-- Among the open ones, which have an index.
update messaging_messages
   set status = 'failed',
       error = 'Its id is no UUID.',
       failure = 'channel',
       dead_lettered_at = strftime('%Y-%m-%dT%H:%M:%fZ')
 where next_attempt_at is null
   and status in ('pending', 'queued', 'processing')
   and (id not glob '????????-????-????-????-????????????'
        or length(replace(id, '-', '')) <> 32
        or replace(id, '-', '') glob '*[^0-9a-f]*');

-- And those of them that wait for a time, which have another.
update messaging_messages
   set status = 'failed',
       error = 'Its id is no UUID.',
       failure = 'channel',
       next_attempt_at = null,
       dead_lettered_at = strftime('%Y-%m-%dT%H:%M:%fZ')
 where next_attempt_at is not null
   and status in ('pending', 'queued', 'processing')
   and (id not glob '????????-????-????-????-????????????'
        or length(replace(id, '-', '')) <> 32
        or replace(id, '-', '') glob '*[^0-9a-f]*');

create trigger messaging_messages_are_named_by_uuids
before insert on messaging_messages
when new.id not glob '????????-????-????-????-????????????'
  or length(replace(new.id, '-', '')) <> 32
  or replace(new.id, '-', '') glob '*[^0-9a-f]*'
begin
    select raise(abort, 'the id of a message is a UUID, hyphenated and in lower case');
end;

create trigger messaging_messages_keep_their_ids
before update of id on messaging_messages
when new.id is not old.id
begin
    select raise(abort, 'a message keeps its id');
end;

create trigger messaging_messages_begin_with_a_time_to_wait_for
before insert on messaging_messages
when new.next_attempt_at is not null
 and new.next_attempt_at is not strftime('%Y-%m-%dT%H:%M:%fZ', new.next_attempt_at)
begin
    select raise(abort, 'next_attempt_at is a time like 2026-11-23T12:00:00.000Z');
end;

create trigger messaging_messages_wait_for_a_time
before update of next_attempt_at on messaging_messages
when new.next_attempt_at is not null
 and new.next_attempt_at is not strftime('%Y-%m-%dT%H:%M:%fZ', new.next_attempt_at)
begin
    select raise(abort, 'next_attempt_at is a time like 2026-11-23T12:00:00.000Z');
end;

delete from messaging_nodes
 where id not glob '????????-????-????-????-????????????'
    or length(replace(id, '-', '')) <> 32
    or replace(id, '-', '') glob '*[^0-9a-f]*';

create trigger messaging_nodes_are_named_by_uuids
before insert on messaging_nodes
when new.id not glob '????????-????-????-????-????????????'
  or length(replace(new.id, '-', '')) <> 32
  or replace(new.id, '-', '') glob '*[^0-9a-f]*'
begin
    select raise(abort, 'the id of a node is a UUID, hyphenated and in lower case');
end;

create trigger messaging_nodes_keep_their_ids
before update of id on messaging_nodes
when new.id is not old.id
begin
    select raise(abort, 'a node keeps its id');
end;
