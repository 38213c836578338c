//! What one tenant has after twenty weeks: hardly a message that was not sent, and a few of everything that is looked for.

use std::time::{Duration, Instant};

use super::large_table;
use crate::Result;
use crate::database::Database;
use crate::requests::INSTANCE;

/// With this one.
const WEEKS: u32 = 20;

/// A channel of most messages, and one of few.
pub const CHANNEL: &str = "webhook";
pub const RARE_CHANNEL: &str = "sandbox";

/// An instance of half of all messages, one of a hundred that share the others, and one of few.
pub const LARGEST_INSTANCE: &str = "instance-0";
pub const SMALL_INSTANCE: &str = "instance-7";
pub const RARE_INSTANCE: &str = "instance-rare";

/// A recipient of every 1,009th message, one of a hundred thousand that share the others, and one of few.
pub const FREQUENT_RECIPIENT: &str = "5585900000001";
pub const RECIPIENT: &str = "5585000007919";
pub const RARE_RECIPIENT: &str = "5585900000002";

/// Of what is rare, there are as many as there are weeks.
const RARE: u32 = WEEKS;

/// Messages that are put off until tomorrow.
const OPEN: u32 = 300;

/// How long it may take until all weeks are counted.
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether this build has `cancelled` messages.
pub async fn has_cancelled(database: &mut Database) -> Result<bool> {
    let checks = "select count(*)
                    from pg_constraint
                   where conrelid = 'messaging_messages'::regclass
                     and pg_get_constraintdef(oid) like '%cancelled%'";
    Ok(database.number(checks).await? > 0)
}

/// Gives the tenant of our instance so many messages, evenly spread over the weeks until now, and lets PostgreSQL look at
/// them.
///
/// # Errors
/// When that fails, or when a week does not have an index that the table has.
pub async fn fill(database: &mut Database, rows: u32) -> Result<()> {
    large_table::make_past_weeks(database, WEEKS - 1).await?;
    let cancelled = if has_cancelled(database).await? { "cancelled" } else { "sent" };
    // Without the triggers that count: the weeks are counted afterwards.
    database.execute("set session_replication_role = replica").await?;
    database.execute(messages(rows, cancelled)).await?;
    database.execute("reset session_replication_role").await?;
    if has_counts(database).await? {
        database.execute(UNCOUNTED).await?;
    }
    database.execute("vacuum analyze").await?;
    database.execute("checkpoint").await?;
    let incomplete = "select count(*)
                        from pg_index
                       where indrelid = 'messaging_messages'::regclass
                         and not indisvalid";
    match database.number(incomplete).await? {
        0 => Ok(()),
        incomplete => Err(format!("{incomplete} indexes are not on every week").into()),
    }
}

/// Waits until the program has counted all weeks, where this build does so.
///
/// # Errors
/// When that takes too long.
pub async fn counted(database: &mut Database) -> Result<()> {
    let begin = Instant::now();
    while has_counts(database).await? && database.number("select count(*) from messaging_uncounted_weeks").await? > 0 {
        if begin.elapsed() > PATIENCE {
            return Err(format!("the weeks are not counted after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn has_counts(database: &mut Database) -> Result<bool> {
    Ok(database.number("select count(to_regclass('messaging_uncounted_weeks'))").await? > 0)
}

const UNCOUNTED: &str = "
insert into messaging_uncounted_weeks
select distinct messaging_week_of(id)
  from messaging_messages";

fn messages(rows: u32, cancelled: &str) -> String {
    // Of numbers that share no divisor with the others here, so that there is something of each combination.
    let (rare, open) = ((rows / RARE).max(7) | 1, (rows / OPEN).max(7) | 1);
    format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 error, failure, retries, max_retries, try, attempt_started_at, attempt_http_status, next_attempt_at,
                 dead_lettered_at, sent_at, created_at, updated_at)
         select (limits_time_of_id(at) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                tenant, user_id, md5(channel || instance)::uuid, channel, instance, recipient, repeat('x', 100), 'sent', status,
                case when status = 'failed' then 'the receiver answered 410' end,
                case when status = 'failed' then 'recipient' end,
                1, 3, 1, at, case when status = 'failed' then 410 else 200 end,
                case when status = 'queued' then now() + interval '1 day' end,
                case when status = 'failed' then at end,
                case when status not in ('failed', 'queued', 'cancelled') then at end, at, at
           from (select number,
                        -- The last ones are of this minute.
                        now() - ({rows} - number) * (interval '{days} days' / {rows}) as at,
                        case when number % {rare} = 1 then '{RARE_CHANNEL}'
                             when of_instance % 10 < 7 then '{CHANNEL}'
                             else 'whatsapp_evolution'
                         end as channel,
                        case when number % {rare} = 2 then '{RARE_INSTANCE}'
                             else 'instance-' || of_instance
                         end as instance,
                        case when number % {rare} = 3 then '{RARE_RECIPIENT}'
                             when number % 1009 = 3 then '{FREQUENT_RECIPIENT}'
                             else '5585' || lpad((number::bigint * 7919 % 99991)::text, 9, '0')
                         end as recipient,
                        case when number % {rare} = 4 then '{cancelled}'
                             when number % {rare} = 5 then 'read'
                             when number % {open} = 6 then 'queued'
                             when number % 1013 = 0 then 'delivered'
                             when number % 19 = 0 then 'failed'
                             else 'sent'
                         end as status
                   from (select number, case when number % 20 < 10 then 0 else number / 20 % 100 end as of_instance
                           from generate_series(1, {rows}) as number) as numbers) as messages
          cross join (select tenant, user_id
                        from messaging_instances
                       where channel_instance_id = '{INSTANCE}') as ours",
        days = 7 * (WEEKS - 1),
    )
}
