//! How PostgreSQL looks for what is due, by the plan that it keeps.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::claims::CLAIM;
use super::deferrals::DEFER;
use super::deletion::FAIL;
use super::free_rows::FREE;
use super::giving_back::{GIVE_BACK, MAKE_DUE, RETIME};
use super::outcomes::{CLAIM_AND_RECORD, RECORD, RECORD_WITH_ATTEMPTS};
use super::receiving::{DELIVERED, FAILED, READ, SENT, SETTLED};
use crate::domain::Timestamp;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::connections::{CHANGING_PROBES, LOOKS};
use crate::infrastructure::storage::postgres::floor::{Asking, Floor};
use crate::infrastructure::storage::postgres::messages::open_messages::{TIMED, UNTIMED};
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::shared::{first_id, migrations};

/// Weeks before this one of which there are partitions.
const WEEKS: i64 = 60;

/// The one that has messages.
pub const FILLED: &str = "0_weeks_ago";

/// Those of a look while nothing is to be done in older weeks: the last one and this one, and what lies in none.
pub const LOOKED_AT: [&str; 3] = [FILLED, "1_weeks_ago", "default"];

/// A portion of those messages, or of none, as they are looked up and failed.
#[tokio::test]
async fn what_is_open_of_deleted_instances_is_found_in_order_of_the_indexes_and_failed_by_the_ids() {
    const EMPTY: &str = "while all is empty";

    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    let (floor, _) = make_with_floor(&mut connection, now).await;
    prepare(&mut connection, "untimed", "(uuid[], bigint, text, text, text)", &floor.name_in(UNTIMED)).await;
    prepare(&mut connection, "timed", "(uuid[], bigint, text, text)", &floor.name_in(TIMED)).await;
    let (least, some) = (Uuid::nil(), first_id(now));
    let fail = NamedWeeks::of(std::iter::once(MessageId(some))).name_in(FAIL);
    prepare(&mut connection, "fail", "(uuid[], uuid[], text, timestamptz, timestamptz, text, text)", &fail).await;
    let looks = [
        (format!("untimed ('{{{least}}}', 100, '{least}', '', '{least}')"), vec!["owned"], LOOKED_AT.to_vec()),
        (format!("timed ('{{{least}}}', 100, '-infinity', '{least}')"), vec!["due"], LOOKED_AT.to_vec()),
        (format!("fail ('{{{some}}}', '{{{least}}}', 'x', now(), null, 'y', 'z')"), vec!["id", "id"], vec![FILLED]),
    ];
    for when in [EMPTY, "with messages", "after they were looked at"] {
        for (statement, walked, partitions) in &looks {
            let scans = scans(&mut connection, statement).await;
            assert_eq!(scans.keys().map(String::as_str).collect::<Vec<_>>(), *partitions, "{statement}");
            for of_partition in scans.values() {
                // In one that is known to be empty, the index by tenant serves as well: it has nothing in it.
                let mut found = of_partition.clone();
                found
                    .iter_mut()
                    .filter(|index| when == EMPTY && **index == "by tenant")
                    .for_each(|index| *index = "id");
                assert_eq!(found, *walked, "{when}, {statement}: {scans:#?}");
            }
        }
        sqlx::raw_sql("analyze messaging_messages; discard plans").execute(&mut *connection).await.unwrap();
        fill(&mut connection, now, 20_000).await;
    }
}

/// However many others wait, and whenever it was planned.
#[tokio::test]
async fn what_is_timed_anew_is_found_in_order_of_the_index_of_what_waits_so_many_at_a_time() {
    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    let (floor, _) = make_with_floor(&mut connection, now).await;
    let parameters = "(uuid, bigint, timestamptz, timestamptz, timestamptz, text, text, bigint)";
    prepare(&mut connection, "retime", parameters, &floor.name_in(RETIME)).await;
    let node = Uuid::now_v7();
    let own =
        format!("insert into messaging_nodes (id, heartbeat, consumes, started_at) values ('{node}', 1, true, now())");
    sqlx::raw_sql(AssertSqlSafe(own)).execute(&mut *connection).await.unwrap();
    let hour = "interval '1 hour'";
    let retime =
        format!("retime ('{node}', -3600000, now() - {hour}, now(), now(), '-infinity', '{}', 100)", Uuid::nil());
    let mut read = Vec::new();
    for _ in ["while all is empty", "with messages", "after they were looked at"] {
        let scans = scans(&mut connection, &retime).await;
        assert_eq!(scans.keys().map(String::as_str).collect::<Vec<_>>(), LOOKED_AT);
        for (partition, of_partition) in &scans {
            let (mut walked, is_empty) = (of_partition.clone(), partition != FILLED);
            // In one that is known to be empty, the index by tenant serves as well: it has nothing in it.
            walked.iter_mut().filter(|index| is_empty && **index == "by tenant").for_each(|index| *index = "id");
            walked.sort_unstable();
            assert_eq!(walked, ["due", "id", "id"], "{scans:#?}");
        }
        read.push(pages(&mut connection, &retime).await);
        fill(&mut connection, now, 20_000).await;
        // All wait for a time, most of another node; some are this one's.
        let wait = format!(
            "update messaging_messages
                set next_attempt_at = now() + {hour} + random() * {hour},
                    updated_at = now() + {hour},
                    node_id = case when random() < 0.1 then '{node}'::uuid else node_id end
              where status = 'queued'
                and next_attempt_at is null"
        );
        sqlx::raw_sql(AssertSqlSafe(wait)).execute(&mut *connection).await.unwrap();
    }
    sqlx::raw_sql("analyze messaging_messages; discard plans").execute(&mut *connection).await.unwrap();
    prepare(&mut connection, "planned_later", parameters, &floor.name_in(RETIME)).await;
    read.push(pages(&mut connection, &retime.replace("retime", "planned_later")).await);
    assert!(read.iter().all(|pages| *pages < 1_500), "{read:?} pages");
}

#[tokio::test]
async fn what_is_named_by_ids_is_looked_up_in_their_week_alone() {
    for (before, settings) in [(0, CHANGING_PROBES), (1_000, CHANGING_PROBES), (0, LOOKS)] {
        is_looked_up_in_its_week_alone(before, settings).await;
    }
}

/// However many weeks there are, a plan that is kept opens those that the ids lie in; and looks for each id.
async fn is_looked_up_in_its_week_alone(before: u32, settings: &str) {
    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    make(&mut connection, now).await;
    fill(&mut connection, now, before).await;
    let settings = format!("set local enable_sort = on; {}", settings.replace("set ", "set local "));
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await.unwrap();
    let id = first_id(now);
    let weeks = NamedWeeks::of(std::iter::once(MessageId(id)));
    let ending = format!(
        "array['{id}']::uuid[], array['processing'], array['{id}']::uuid[], array[1]::bigint[], array['sent'], null, null, null,
         null, null, null, null, array[now()], array[now()], null, array[false], array[true], null, array[false],
         array[false]"
    );
    let endings =
        "(uuid[], text[], uuid[], bigint[], text[], text[], text[], text[], integer[], timestamptz[], timestamptz[],
                    timestamptz[], timestamptz[], timestamptz[], text[], boolean[], boolean[], text[], boolean[], boolean[])";
    let deferrals =
        "(uuid[], double precision[], timestamptz[], text[], timestamptz[], double precision, bigint, bigint,
                      double precision, bigint, double precision, boolean[], boolean[], double precision, double precision,
                     double precision)";
    let one = format!("array['{id}']::uuid[]");
    let statements = [
        ("claim", CLAIM, "(uuid[], uuid[], timestamptz[])", format!("{one}, {one}, array[now()]")),
        ("record", RECORD, endings, ending.clone()),
        ("record_all", RECORD_WITH_ATTEMPTS, endings, ending.clone()),
        ("claim_and_record", CLAIM_AND_RECORD, endings, ending),
        (
            "defer",
            DEFER,
            deferrals,
            format!("{one}, null, null, array['x'], array[now()], 1, 1, 1, 1, 1, 1, array[true], array[true], 1, 1, 1"),
        ),
        ("free", FREE, "(uuid[])", one.clone()),
        ("settled", SETTLED, "(uuid[])", one.clone()),
        (
            "give_back",
            GIVE_BACK,
            "(uuid[], text[], uuid[], bigint[], timestamptz, boolean[])",
            format!("{one}, array['processing'], {one}, array[1]::bigint[], now(), array[true]"),
        ),
        ("make_due", MAKE_DUE, "(uuid[], uuid[], timestamptz)", format!("{one}, {one}, now()")),
        (
            "fail",
            FAIL,
            "(uuid[], uuid[], text, timestamptz, timestamptz, text, text)",
            format!("{one}, {one}, 'x', now(), null, 'y', 'z'"),
        ),
    ];
    let receipts = "(uuid[], text[], timestamptz[], text[], timestamptz, timestamptz)";
    let receipt = format!("{one}, array['3EB0'], array[now()], array['x'], now(), null");
    let receiving = [SENT, DELIVERED, READ, FAILED].map(|statement| ("receive", statement, receipts, receipt.clone()));
    let statements = statements.into_iter().chain(receiving).enumerate();
    let statements: Vec<_> = statements
        .map(|(number, (name, statement, parameters, arguments))| {
            (format!("{name}_{number}"), statement, parameters, arguments)
        })
        .collect();
    for (name, statement, parameters, arguments) in &statements {
        prepare(&mut connection, name, parameters, &weeks.name_in(statement)).await;
        let scans = scans(&mut connection, &format!("{name} ({arguments})")).await;
        assert_eq!(scans.keys().collect::<Vec<_>>(), [FILLED], "{name}: {scans:#?}");
        assert!(scans[FILLED].iter().all(|index| *index == "id"), "{name}: {scans:#?}");
    }
    // However many there were when it was planned, it reads no more of them.
    fill(&mut connection, now, 20_000).await;
    for (name, _, _, arguments) in &statements {
        let is_queued = ["claim_0", "defer", "make_due"].iter().any(|queued| name.starts_with(queued));
        make_one(&mut connection, id, if is_queued { "queued" } else { "processing" }).await;
        let pages = pages(&mut connection, &format!("{name} ({arguments})")).await;
        assert!(pages < 100, "{name}, planned for {before} messages, reads {pages} pages");
    }
}

/// The message that the statements ask for, as they want it.
async fn make_one(connection: &mut PgConnection, id: Uuid, status: &str) {
    let insert = format!(
        "delete from messaging_messages where id = '{id}';
         insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 retries, max_retries, try, node_id, created_at, updated_at)
         values ('{id}', 'default', 'u', '{id}', 'webhook', 'l', '55', 'x', 'sent', '{status}', 1, 3, 1, '{id}', now(), now())"
    );
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(connection).await.unwrap();
}

pub async fn connection() -> Option<PgConnection> {
    let Ok(url) = std::env::var("TEST_DATABASE_URL") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED postgres: TEST_DATABASE_URL is not set");
        return None;
    };
    Some(PgConnection::connect(&url).await.unwrap())
}

/// With nothing to be done in older weeks.
pub async fn make_with_floor(connection: &mut PgConnection, now: Timestamp) -> (Floor, Asking) {
    make(connection, now).await;
    let floor = Floor::default();
    let asking = floor.begin(now, Instant::now());
    floor.take_in(&asking, &vec![Some(false); asking.spans.len()], Instant::now());
    (floor, asking)
}

/// The tables, in a schema of their own, and the settings of the relay's connection.
async fn make(connection: &mut PgConnection, now: Timestamp) {
    let schema = format!("correio_test_{}", Uuid::new_v4().simple());
    let mut statements = vec![format!("create schema {schema}; set local search_path = {schema}")];
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
    statements.extend([LOOKS.replace("set ", "set local "), "set local jit = off".to_owned()]);
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.unwrap();
    }
}

/// Messages of this week, of which few are open.
pub async fn fill(connection: &mut PgConnection, now: Timestamp, count: u32) {
    let rows = format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 retries, max_retries, try, node_id, created_at, updated_at)
         select ('{}' || substr(gen_random_uuid()::text, 14))::uuid, 'default', 'u', gen_random_uuid(), 'webhook', 'l', '55',
                'x', 'sent', case when number % 100 = 0 then 'queued' else 'sent' end, 0, 3, 0, gen_random_uuid(), now(), now()
           from generate_series(1, {count}) as number",
        &first_id(now).to_string()[..13]
    );
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(connection).await.unwrap();
}

pub async fn prepare(connection: &mut PgConnection, name: &str, parameters: &str, statement: &str) {
    let prepare = AssertSqlSafe(format!("prepare {name} {parameters} as {statement}"));
    sqlx::raw_sql(prepare).execute(connection).await.unwrap();
}

/// How many pages a prepared statement reads, of whatever.
pub async fn pages(connection: &mut PgConnection, statement: &str) -> u32 {
    let explain = AssertSqlSafe(format!("explain (analyze, timing off, buffers) execute {statement}"));
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(connection).await.unwrap();
    // The first line that tells it is of all together.
    let of_all = lines.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared ")).expect("what was read");
    let numbers = of_all.split([' ', '=']).filter_map(|word| word.parse::<u32>().ok());
    numbers.sum()
}

/// How the plan of a prepared statement gets at messages: of each partition, what it walks.
pub async fn scans(connection: &mut PgConnection, statement: &str) -> BTreeMap<String, Vec<&'static str>> {
    // Executed, too: what a recursion walks is not told before.
    let explain = AssertSqlSafe(format!("explain (analyze, timing off) execute {statement}"));
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(connection).await.unwrap();
    let mut scans: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for line in &lines {
        let Some((way, rest)) = line.split_once(" on messaging_messages_") else { continue };
        if line.contains("Update on") {
            continue;
        }
        let partition = rest.split(' ').next().unwrap_or_default();
        let indexes = [
            ("tenant_id", "by tenant"),
            ("instance_id_timezone", "by instance"),
            ("node_id_status_id", "owned"),
            ("next_attempt_at_id", "due"),
            ("pkey", "id"),
            ("_id_idx", "owed"),
        ];
        let is_of_these = |(name, _): &&(&str, &str)| way.contains(name);
        let index = indexes.iter().find(is_of_these).map_or("something else", |(_, index)| index);
        let is_other = !way.contains("Index");
        scans.entry(partition.to_owned()).or_default().push(if is_other { "something else" } else { index });
    }
    scans.values_mut().for_each(|of_partition| of_partition.sort_unstable());
    scans
}
