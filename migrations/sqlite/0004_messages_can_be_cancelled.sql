-- One more end of a message: `cancelled`, from `queued` alone.

-- SQLite before 3.53 cannot alter a check. It allows this in place of a copy of the whole table where, as here, what is stored
-- stays as it is: https://www.sqlite.org/lang_altertable.html, "removing CHECK … constraints".
pragma writable_schema = on;

update sqlite_schema
   set sql = replace(sql, '''read'', ''failed'')', '''read'', ''failed'', ''cancelled'')')
 where type = 'table'
   and name = 'messaging_messages';

-- Any change of the schema makes other connections read it anew.
drop view messaging_status_counts;

pragma writable_schema = reset;

create view messaging_status_counts as
select tenant, status, count(*) as count
  from messaging_messages
 group by tenant, status;
