//! A table as it is after some weeks.

use crate::Result;
use crate::database::Database;

/// How far back it goes; the partitions of the past are made here, because only time makes them otherwise.
const WEEKS: u32 = 5;

/// Weeks that a process makes by itself.
pub const MADE: u32 = 5;

/// Tenants that share it.
pub const TENANTS: u32 = 10;

/// One in so many failed, with an attempt; the others were sent.
const FAILED: u32 = 20;

/// Messages that are accepted, claimed and sent by one statement each.
const ENDED_AT_ONCE: u32 = 100_000;

/// Fills the tables with so many messages, evenly spread over the weeks until now, and lets PostgreSQL look at them.
pub async fn fill(database: &mut Database, rows: u32) -> Result<()> {
    make_past_weeks(database, WEEKS).await?;
    database.execute(messages(rows)).await?;
    database.execute(ATTEMPTS).await?;
    database.execute("vacuum analyze").await?;
    database.execute("checkpoint").await
}

/// Makes so many weeks before this one.
pub async fn make_past_weeks(database: &mut Database, weeks: u32) -> Result<()> {
    database.execute(id_at()).await?;
    database.execute(past_weeks("messaging_messages", weeks)).await?;
    database.execute(past_weeks("messaging_message_attempts", weeks)).await
}

/// Lets so many messages of today be accepted, claimed and sent by a node, so that each leaves its entries in the indexes;
/// what the server's autovacuum makes of that is its own affair. Nobody sees one that is still open.
pub async fn end(database: &mut Database, messages: u32, node: &str) -> Result<()> {
    for first in (0..messages).step_by(ENDED_AT_ONCE as usize) {
        let steps = [
            queued(first, messages.min(first + ENDED_AT_ONCE), node),
            moved("queued", "processing", node),
            moved("processing", "sent", node),
        ];
        database.execute(steps.join(";\n")).await?;
    }
    Ok(())
}

/// The least UUIDv7 of a time, less its version: what the bounds of partitions are, too.
fn id_at() -> &'static str {
    "create function limits_time_of_id(at timestamptz) returns text language sql immutable as $$
         select lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0')
     $$"
}

fn past_weeks(table: &str, weeks: u32) -> String {
    format!(
        "do $$
         declare
             monday timestamptz = date_trunc('week', now() at time zone 'utc') at time zone 'utc';
             zeros text = repeat('0', 20);
         begin
             for week in 1..{weeks} loop
                 execute format(
                     'create table {table}_%s_weeks_ago partition of {table} for values from (%L) to (%L)', week,
                     (limits_time_of_id(monday - week * interval '168 hours') || zeros)::uuid,
                     (limits_time_of_id(monday - (week - 1) * interval '168 hours') || zeros)::uuid);
             end loop;
         end
         $$"
    )
}

fn queued(first: u32, end: u32, node: &str) -> String {
    format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 retries, max_retries, try, node_id, created_at, updated_at)
         select (limits_time_of_id(now()) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                'tenant-0', 'key:01900000-0000-7000-8000-000000000000', '01900000-0000-7000-8000-000000000001', 'webhook',
                'limits', '5585' || lpad(number::text, 9, '0'), repeat('x', 100), 'sent', 'queued', 0, 3, 0, '{node}',
                now(), now()
           from generate_series({first}, {end} - 1) as number"
    )
}

fn moved(status: &str, next: &str, node: &str) -> String {
    format!(
        "update messaging_messages
            set status = '{next}'
          where status = '{status}'
            and node_id = '{node}'
            and next_attempt_at is null"
    )
}

fn messages(rows: u32) -> String {
    format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 error, failure, retries, max_retries, try, attempt_started_at, attempt_http_status, node_id,
                 dead_lettered_at, sent_at, created_at, updated_at)
         select (limits_time_of_id(at) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                'tenant-' || number / {FAILED} % {TENANTS}, 'key:01900000-0000-7000-8000-000000000000',
                '01900000-0000-7000-8000-000000000001', 'webhook', 'limits', '5585' || lpad((number % 100000)::text, 9, '0'),
                repeat('x', 100), 'sent', case when failed then 'failed' else 'sent' end,
                case when failed then 'the receiver answered 410' end, case when failed then 'recipient' end,
                1, 3, 1, at, case when failed then 410 else 200 end, '01900000-0000-7000-8000-000000000002',
                case when failed then at end, case when not failed then at end, at, at
           from (select number, number % {FAILED} = 0 as failed,
                        -- The last ones are of this minute.
                        now() - ({rows} - number) * (interval '{days} days' / {rows}) as at
                   from generate_series(1, {rows}) as number) as messages",
        days = 7 * (WEEKS - 1),
    )
}

const ATTEMPTS: &str = "
insert into messaging_message_attempts (message_id, number, started_at, finished_at, outcome, error, http_status)
select id, 1, created_at, updated_at, 'permanent', error, 410
  from messaging_messages
 where status = 'failed'";
