-- A failure that may have been a delivery: whether such a message is tried again is the instance's choice; none: its channel's.

-- As in 0004: what is stored stays as it is.
pragma writable_schema = on;

update sqlite_schema
   set sql = replace(sql, 'failure in (''recipient'', ''channel'')', 'failure in (''recipient'', ''channel'', ''unknown'')')
 where type = 'table'
   and name = 'messaging_messages';

-- Any change of the schema makes other connections read it anew.
drop view messaging_status_counts;

pragma writable_schema = reset;

create view messaging_status_counts as
select tenant, status, count(*) as count
  from messaging_messages
 group by tenant, status;

alter table messaging_instances
    add column retry_unknown integer check (retry_unknown in (0, 1));
