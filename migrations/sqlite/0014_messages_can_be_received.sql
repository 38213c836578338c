-- Messages that channels bring, each once.

-- What was received lately, so that it is not stored again when it is reported again.
create table messaging_received_messages (
    instance_id        text not null,
    channel_message_id text not null,
    chat               text not null,
    sender             text not null,
    message_id         text not null,
    primary key (instance_id, channel_message_id, chat, sender)
) strict, without rowid;

-- Forgetting what is old.
create index messaging_received_messages_by_message
    on messaging_received_messages (message_id);

-- What was written on an instance's phone, unless we have sent it: that is known only once no try can be under way any more.
create table messaging_undecided_messages (
    id                  text not null,
    tenant              text not null,
    user_id             text not null,
    instance_id         text not null,
    channel             text not null,
    channel_instance_id text not null,
    remote_jid          text not null,
    message             text,
    payload             text,
    media_url           text,
    media_type          text,
    channel_message_id  text not null,
    sent_at             text not null,
    received_at         text not null,
    primary key (instance_id, channel_message_id)
) strict, without rowid;

create index messaging_undecided_messages_by_arrival
    on messaging_undecided_messages (received_at, instance_id, channel_message_id);

-- Counts are of what was sent: the states of what was received say nothing.
drop trigger messaging_messages_are_accepted;

create trigger messaging_messages_are_accepted after insert on messaging_messages
    when new.direction = 'sent'
begin
    insert into messaging_message_counts
    values (new.tenant, new.status, 1)
        on conflict do update set count = count + 1;
end;

drop trigger messaging_messages_are_changed;

create trigger messaging_messages_are_changed after update of tenant, status, direction on messaging_messages
    when old.status <> new.status
      or old.tenant <> new.tenant
      or old.direction <> new.direction
begin
    update messaging_message_counts
       set count = count - 1
     where tenant = old.tenant
       and status = old.status
       and old.direction = 'sent';
    insert into messaging_message_counts
    select new.tenant, new.status, 1
     where new.direction = 'sent'
        on conflict do update set count = count + 1;
end;

drop trigger messaging_messages_are_deleted;

create trigger messaging_messages_are_deleted after delete on messaging_messages
    when old.direction = 'sent'
begin
    update messaging_message_counts
       set count = count - 1
     where tenant = old.tenant
       and status = old.status;
end;

drop view messaging_status_counts;

create view messaging_status_counts as
select tenant, status, count(*) as count
  from messaging_messages
 where direction = 'sent'
 group by tenant, status;

-- A tenant's received messages, newest first.
create index messaging_messages_received
    on messaging_messages (tenant, id)
    where direction = 'received';
