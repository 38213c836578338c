//! How PostgreSQL counts what is stuck, with many weeks of history.

use std::io::Write;
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::stuck_messages::{COUNT, MADE_NOW};
use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::floor::{Floor, Span};
use crate::infrastructure::storage::shared::{first_id, migrations};

/// Weeks of history before this one.
const WEEKS: i64 = 160;

/// Of these, those that have messages.
const FILLED: i64 = 40;

/// Instances of a channel that gives receipts.
const INSTANCES: u32 = 20;

/// Messages of each week, of which five are stuck.
const MESSAGES: u32 = 2_000;

#[tokio::test]
async fn what_is_stuck_is_counted_in_few_weeks_and_in_its_index_however_long_the_history_is() {
    let Ok(url) = std::env::var("TEST_DATABASE_URL") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED postgres: TEST_DATABASE_URL is not set");
        return;
    };
    let now = Utc::now();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    make(&mut connection, now).await;
    let asking = Floor::default().begin(now, Instant::now());
    let (recent, older) = (asking.recent_weeks(), asking.spans[3]);
    for when in ["while nothing was analyzed", "afterwards"] {
        for (weeks, most_partitions, stuck) in [(recent, 4, 10), (older, 8, 40)] {
            let plan = plan(&mut connection, weeks, now).await;
            let scans: Vec<&String> = plan.iter().filter(|line| line.contains(" on messaging_messages_")).collect();
            assert!(!scans.is_empty() && scans.len() <= most_partitions, "{when}: {plan:#?}");
            // What is known to be empty may be read in any way.
            for scan in scans.iter().filter(|scan| !scan.contains(" on messaging_messages_default ")) {
                assert!(scan.contains("instance_id_sent_at_id_idx"), "{when}: {plan:#?}");
            }
            assert_eq!(counted(&mut connection, weeks, now).await, stuck, "{when}");
            let pages = pages(&plan);
            assert!(pages < 2_000, "{when}: {pages} pages, {plan:#?}");
        }
        sqlx::raw_sql("analyze messaging_messages; analyze messaging_instances")
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    // An operator asks for all.
    let view: Vec<String> =
        sqlx::query_scalar("explain select * from messaging_stuck").fetch_all(&mut *connection).await.unwrap();
    let is_read_whole = |line: &&String| {
        (0..=FILLED).any(|weeks| line.contains(&format!("Seq Scan on messaging_messages_{weeks}_weeks_ago ")))
    };
    assert_eq!(view.iter().find(is_read_whole), None, "{view:#?}");
}

async fn make(connection: &mut PgConnection, now: Timestamp) {
    let schema = format!("correio_test_{}", Uuid::new_v4().simple());
    let mut statements = vec![format!("create schema {schema}; set local search_path = {schema}; set local jit = off")];
    statements.extend(migrations::POSTGRES.iter().map(|migration| migration.sql.as_str().to_owned()));
    let monday = |weeks: i64| {
        let day = now.date_naive().week(chrono::Weekday::Mon).first_day() - TimeDelta::weeks(weeks);
        first_id(day.and_time(chrono::NaiveTime::MIN).and_utc())
    };
    statements.extend((0..=WEEKS).map(|weeks| {
        format!(
            "create table messaging_messages_{weeks}_weeks_ago partition of messaging_messages
             for values from ('{}') to ('{}')",
            monday(weeks),
            monday(weeks - 1)
        )
    }));
    statements.push("drop trigger messaging_messages_are_accepted on messaging_messages".to_owned());
    statements.push(format!(
        "insert into messaging_instances
                (id, tenant, user_id, channel, channel_instance_id, channel_phone_or_id, status, credentials, created_at, updated_at)
         select lpad(number::text, 32, '0')::uuid, 'acme', 'u', 'whatsapp_evolution', number, '55', 'connected', '', now(), now()
           from generate_series(1, {INSTANCES}) as number"
    ));
    statements.extend((0..=FILLED).map(|weeks| {
        format!(
            "insert into messaging_messages
                    (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                     retries, max_retries, try, sent_at, created_at, updated_at)
             select ('{}' || substr(gen_random_uuid()::text, 14))::uuid, 'acme', 'u',
                    lpad((number % {INSTANCES} + 1)::text, 32, '0')::uuid, 'whatsapp_evolution', 'l', '55', 'x', 'sent',
                    case when number % {} = 0 then 'sent' else 'delivered' end, 1, 3, 1, now() - interval '1 day', now(), now()
               from generate_series(1, {MESSAGES}) as number",
            &monday(weeks).to_string()[..13],
            MESSAGES / 5
        )
    }));
    statements.push(MADE_NOW.to_owned());
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.unwrap();
    }
}

fn named(weeks: Span, now: Timestamp) -> String {
    let asked =
        format!("'{{whatsapp_evolution}}'::text[]) as channel, unnest('{{\"{}\"}}'::timestamptz[]", now.to_rfc3339());
    let statement = weeks.name_in(COUNT).replace("$1::text[]) as channel, unnest($2::timestamptz[]", &asked);
    statement.replace("$3", "100000")
}

async fn plan(connection: &mut PgConnection, weeks: Span, now: Timestamp) -> Vec<String> {
    let explain = AssertSqlSafe(format!("explain (analyze, timing off, buffers) {}", named(weeks, now)));
    sqlx::query_scalar(explain).fetch_all(connection).await.unwrap()
}

async fn counted(connection: &mut PgConnection, weeks: Span, now: Timestamp) -> i64 {
    let sum = AssertSqlSafe(format!("select coalesce(sum(count), 0)::bigint from ({}) as counts", named(weeks, now)));
    sqlx::query_scalar(sum).fetch_one(connection).await.unwrap()
}

/// Of all together, as the first line says that tells it.
fn pages(plan: &[String]) -> u32 {
    let of_all = plan.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared ")).expect("what was read");
    of_all.split([' ', '=']).filter_map(|word| word.parse::<u32>().ok()).sum()
}
