-- How many messages are in which state is counted as they change, in the transaction that changes them, so that nobody has
-- to read a history to know it.
create table messaging_message_counts (
    tenant text    not null,
    status text    not null,
    count  integer not null,
    primary key (tenant, status)
) strict, without rowid;

insert into messaging_message_counts
select tenant, status, count(*)
  from messaging_messages
 group by tenant, status;

create trigger messaging_messages_are_accepted after insert on messaging_messages
begin
    insert into messaging_message_counts
    values (new.tenant, new.status, 1)
        on conflict do update set count = count + 1;
end;

create trigger messaging_messages_are_changed after update of tenant, status on messaging_messages
    when old.status <> new.status
      or old.tenant <> new.tenant
begin
    update messaging_message_counts
       set count = count - 1
     where tenant = old.tenant
       and status = old.status;
    insert into messaging_message_counts
    values (new.tenant, new.status, 1)
        on conflict do update set count = count + 1;
end;

create trigger messaging_messages_are_deleted after delete on messaging_messages
begin
    update messaging_message_counts
       set count = count - 1
     where tenant = old.tenant
       and status = old.status;
end;
