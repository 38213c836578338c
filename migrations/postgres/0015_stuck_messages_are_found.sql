-- Messages that their channel took, and of which it has said nothing more for too long.

-- Whoever waits for this lock holds up everybody else who uses the table: rather fail, and be tried again.
set local lock_timeout = '1s';

-- After how long a message counts as stuck, on each channel that gives receipts: as the process says that started last.
create table messaging_stuck_after (
    channel      text   not null primary key,
    milliseconds bigint not null
);

-- When the last receipt of an instance came. A row stays when its instance is deleted: it is small.
create table messaging_receipt_times (
    instance_id uuid        not null primary key,
    last_at     timestamptz not null
) with (fillfactor = 50);

-- What came before is not known: nothing is said of it.
insert into messaging_receipt_times (instance_id, last_at)
select id, now()
  from messaging_instances
 where channel in ('whatsapp_evolution', 'whatsapp_oficial');

-- What waits for a receipt, of the channels that give any; Evolution reports nothing of what is sent to a group. A message leaves
-- it when it is delivered.
do $$
declare
    bytes bigint = (select coalesce(sum(pg_relation_size(inhrelid)), 0)
                      from pg_inherits
                     where inhparent = 'messaging_messages'::regclass);
    -- A large table gets it one week after the other, in the background, and nobody waits.
    whereof text = case when bytes > 64 << 20 then 'only messaging_messages' else 'messaging_messages' end;
begin
    execute format(
        'create index messaging_messages_awaiting_receipts
             on %s (instance_id, sent_at, id)
          where status = ''sent''
            and channel in (''whatsapp_evolution'', ''whatsapp_oficial'')
            and (channel <> ''whatsapp_evolution''
                 or (remote_jid not like ''%%@g.us'' and remote_jid not like ''%%-%%''))', whereof);
end
$$;

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
   and messages.sent_at < now() - stuck.milliseconds * interval '1 millisecond';

-- An instance is found by the token with which its provider asks where to report to, however many instances there are. It is among the
-- sealed credentials: whoever opens them first notes it; of other credentials it is not known.
alter table messaging_instances
    add column handshake_digest bytea;      -- SHA-256

create index messaging_instances_by_handshake
    on messaging_instances (handshake_digest)
    where handshake_digest is not null;

create index messaging_instances_without_handshake
    on messaging_instances (channel, id)
    where handshake_digest is null;

-- What providers report as sent, under a name that no message has: kept until every try that was under way has ended, as one of them may
-- be it whose answer was lost.
create table messaging_reported_sends (
    instance_id        uuid        not null,
    channel_message_id text        not null,
    remote_jid         text        not null,
    message            text        not null,
    sent_at            timestamptz not null,    -- as the provider says
    received_at        timestamptz not null,
    primary key (instance_id, channel_message_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create index messaging_reported_sends_by_arrival
    on messaging_reported_sends (received_at, instance_id, channel_message_id);
