-- Changes that were added to the counts lie about, in the table and in its indexes, until a vacuum comes; as long as somebody
-- has a transaction open, as a dump has for hours, none does. Each change says in which transaction it was written, and it is
-- remembered from which one on there may be any: what lies before is not walked past.

-- Whoever waits for this lock holds up everybody else who counts: rather fail, and be tried again.
set local lock_timeout = '1s';

alter table messaging_message_count_changes
    add column written_by xid8 not null default pg_current_xact_id();

create index messaging_message_count_changes_by_writer
    on messaging_message_count_changes (written_by);

-- One row: all transactions below this one have ended, and their changes were added.
create table messaging_counted_until (
    written_by xid8 not null
) with (fillfactor = 50);

insert into messaging_counted_until values ('0');
