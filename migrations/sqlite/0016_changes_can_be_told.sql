-- Changes of messages' states are told to those who subscribed to them, as messages of their own (`purpose = 'status'`).

-- Null: what a client sent, or a channel brought. `status`: it tells of another message's state.
alter table messaging_messages
    add column purpose text;

-- Null: a client made it. `status`: it stands behind a subscription, and clients do not see it.
alter table messaging_instances
    add column purpose text;

-- Who is told. The instance behind it has its id; what that needs is here too, should an older release delete it.
create table messaging_status_subscriptions (
    id                  text    not null primary key,
    tenant              text    not null,
    user_id             text    not null,
    url                 text    not null,
    credentials         blob    not null,       -- sealed
    states              text,                   -- with commas; null: every one that is told
    channel_instance_id text,                   -- of that instance only
    version             integer not null,       -- of two changes at once, one is made anew
    created_at          text    not null,
    updated_at          text    not null
) strict;

create index messaging_status_subscriptions_by_tenant
    on messaging_status_subscriptions (tenant);

-- What is to be told: written by the triggers below, in the transaction that changes a message, and so that none can be forgotten.
create table messaging_status_changes (
    seq                     integer not null primary key autoincrement,
    message_id              text    not null,
    told_to                 text,               -- the last subscription that was told, if not all were yet
    then_status             text    not null,
    then_channel_message_id text,
    then_error              text,
    then_retries            integer not null,
    then_updated_at         text    not null,
    then_sent_at            text,
    then_delivered_at       text,
    then_read_at            text
) strict;

-- What is being told of one message to one subscription (`told_as`), and what waits until that has ended.
create table messaging_status_tellings (
    subscription_id         text    not null,
    message_id              text    not null,
    seq                     integer not null,
    told_as                 text,               -- the message that tells it; null: it waits
    is_next                 integer not null default 0,  -- it waits no longer
    then_status             text,
    then_channel_message_id text,
    then_error              text,
    then_retries            integer,
    then_updated_at         text,
    then_sent_at            text,
    then_delivered_at       text,
    then_read_at            text,
    primary key (message_id, subscription_id, seq)
) strict, without rowid;

create index messaging_status_tellings_by_message
    on messaging_status_tellings (told_as)
    where told_as is not null;

create index messaging_status_tellings_next
    on messaging_status_tellings (seq)
    where is_next;

-- Messages that told something and have ended: the next of the same message and subscription may be told.
create table messaging_status_endings (
    told_as text not null primary key
) strict, without rowid;

create trigger messaging_messages_are_told_at_once after insert on messaging_messages
    when new.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
     and new.direction = 'sent'
     and new.purpose is null
     and exists (select 1 from messaging_status_subscriptions where tenant = new.tenant)
begin
    insert into messaging_status_changes
           (message_id, then_status, then_channel_message_id, then_error, then_retries, then_updated_at, then_sent_at,
            then_delivered_at, then_read_at)
    values (new.id, new.status, new.channel_message_id, new.error, new.retries, new.updated_at, new.sent_at,
            new.delivered_at, new.read_at);
end;

create trigger messaging_messages_are_told after update of status on messaging_messages
    when new.status <> old.status
     and new.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
     and new.direction = 'sent'
     and new.purpose is null
     and exists (select 1 from messaging_status_subscriptions where tenant = new.tenant)
begin
    insert into messaging_status_changes
           (message_id, then_status, then_channel_message_id, then_error, then_retries, then_updated_at, then_sent_at,
            then_delivered_at, then_read_at)
    values (new.id, new.status, new.channel_message_id, new.error, new.retries, new.updated_at, new.sent_at,
            new.delivered_at, new.read_at);
end;

create trigger messaging_messages_have_told after update of status on messaging_messages
    when new.purpose = 'status'
     and new.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
begin
    insert into messaging_status_endings
    values (new.id)
        on conflict do nothing;
end;

create trigger messaging_messages_tell_no_more after delete on messaging_messages
    when old.purpose = 'status'
begin
    insert into messaging_status_endings
    values (old.id)
        on conflict do nothing;
end;

-- Counts are of what clients sent.
drop trigger messaging_messages_are_accepted;

create trigger messaging_messages_are_accepted after insert on messaging_messages
    when new.direction = 'sent'
     and new.purpose is null
begin
    insert into messaging_message_counts
    values (new.tenant, new.status, 1)
        on conflict do update set count = count + 1;
end;

drop trigger messaging_messages_are_changed;

create trigger messaging_messages_are_changed after update of tenant, status, direction, purpose on messaging_messages
    when old.status <> new.status
      or old.tenant <> new.tenant
      or old.direction <> new.direction
      or old.purpose is not new.purpose
begin
    update messaging_message_counts
       set count = count - 1
     where tenant = old.tenant
       and status = old.status
       and old.direction = 'sent'
       and old.purpose is null;
    insert into messaging_message_counts
    select new.tenant, new.status, 1
     where new.direction = 'sent'
       and new.purpose is null
        on conflict do update set count = count + 1;
end;

drop trigger messaging_messages_are_deleted;

create trigger messaging_messages_are_deleted after delete on messaging_messages
    when old.direction = 'sent'
     and old.purpose is null
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
   and purpose is null
 group by tenant, status;

-- What tells of other messages, newest first.
create index messaging_messages_telling
    on messaging_messages (tenant, id)
    where purpose = 'status';

-- A tenant's own failed messages, however many failed to tell of them.
create index messaging_messages_failed_own
    on messaging_messages (tenant, id)
    where status = 'failed'
      and purpose is null;
