-- Messages that their channel took, and of which it has said nothing more for too long.

-- After how long a message counts as stuck, on each channel that gives receipts: as the process says that started last.
create table messaging_stuck_after (
    channel      text    not null primary key,
    milliseconds integer not null
) strict, without rowid;

-- When the last receipt of an instance came. A row stays when its instance is deleted: it is small.
create table messaging_receipt_times (
    instance_id text not null primary key,
    last_at     text not null
) strict, without rowid;

-- What came before is not known: nothing is said of it.
insert into messaging_receipt_times (instance_id, last_at)
select id, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  from messaging_instances
 where channel in ('whatsapp_evolution', 'whatsapp_oficial');

-- What waits for a receipt, of the channels that give any; Evolution reports nothing of what is sent to a group. A message leaves
-- it when it is delivered.
create index messaging_messages_awaiting_receipts
    on messaging_messages (tenant, channel, instance_id, sent_at, id)
    where status = 'sent'
      and channel in ('whatsapp_evolution', 'whatsapp_oficial')
      and (channel <> 'whatsapp_evolution'
           or (remote_jid not like '%@g.us' and remote_jid not like '%-%'));

create view messaging_stuck as
select messages.id,
       messages.tenant,
       messages.user_id,
       messages.instance_id,
       messages.channel,
       messages.channel_instance_id,
       messages.remote_jid,
       messages.message,
       messages.channel_message_id,
       messages.status,
       messages.sent_at,
       messages.created_at,
       messages.updated_at
  from messaging_messages as messages
  join messaging_stuck_after as stuck
    on stuck.channel = messages.channel
 where messages.status = 'sent'
   and messages.channel in ('whatsapp_evolution', 'whatsapp_oficial')
   and (messages.channel <> 'whatsapp_evolution'
        or (messages.remote_jid not like '%@g.us' and messages.remote_jid not like '%-%'))
   and messages.sent_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (stuck.milliseconds / 1000.0) || ' seconds');

-- An instance is found by the token with which its provider asks where to report to, however many instances there are. It is among the
-- sealed credentials: whoever opens them first notes it; of other credentials it is not known.
alter table messaging_instances
    add column handshake_digest blob;       -- SHA-256

create index messaging_instances_by_handshake
    on messaging_instances (handshake_digest)
    where handshake_digest is not null;

create index messaging_instances_without_handshake
    on messaging_instances (channel, id)
    where handshake_digest is null;

-- What providers report as sent, under a name that no message has: kept until every try that was under way has ended, as one of them may
-- be it whose answer was lost.
create table messaging_reported_sends (
    instance_id        text not null,
    channel_message_id text not null,
    remote_jid         text not null,
    message            text not null,
    sent_at            text not null,           -- as the provider says
    received_at        text not null,
    primary key (instance_id, channel_message_id)
) strict, without rowid;

create index messaging_reported_sends_by_arrival
    on messaging_reported_sends (received_at, instance_id, channel_message_id);
