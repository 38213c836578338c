//! How PostgreSQL looks for what is due and for what is owed, by the plans that it keeps.

use chrono::Utc;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::{TAKE, TAKE_IN_TURNS};
use crate::infrastructure::storage::postgres::messages::changes::plan_tests::{
    FILLED, LOOKED_AT, connection, fill, make_with_floor, pages, prepare, scans,
};
use crate::infrastructure::storage::postgres::messages::owed_dead_letters::OWED;
use crate::infrastructure::storage::postgres::weeks::needed::IS_NEEDED;

const TAKE_PARAMETERS: &str = "(timestamptz, uuid[], uuid[], uuid[], boolean, bigint, uuid, timestamptz, uuid, bigint,
                                timestamptz, uuid[], boolean, uuid, uuid[], bigint, bigint)";

/// No node is known to be gone, and nobody consumes.
const NOTHING: &str =
    "now(), '{}', '{}', '{}', true, 64, gen_random_uuid(), now(), gen_random_uuid(), 100, now(), '{}', true,
     'ffffffff-ffff-ffff-ffff-ffffffffffff', array[gen_random_uuid()], 576, 512";

/// Beside the 200 that are open, of as many nodes, lie 19,800 that a look has no business with.
#[tokio::test]
async fn a_look_that_was_planned_while_all_was_empty_reads_no_more_than_one_that_was_planned_later() {
    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    let (floor, _) = make_with_floor(&mut connection, now).await;
    prepare(&mut connection, "look", TAKE_PARAMETERS, &floor.name_in(TAKE)).await;
    let look = format!("look ({NOTHING})");
    pages(&mut connection, &look).await;
    fill(&mut connection, now, 20_000).await;
    let planned_before = pages(&mut connection, &look).await;
    sqlx::raw_sql("analyze messaging_messages; discard plans").execute(&mut *connection).await.unwrap();
    let planned_after = pages(&mut connection, &look).await;
    assert!(planned_before < planned_after * 3 / 2, "{planned_before} pages instead of {planned_after}");
}

#[tokio::test]
async fn a_look_walks_nothing_but_its_indexes_and_only_those_of_the_last_weeks() {
    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    let (floor, asking) = make_with_floor(&mut connection, now).await;
    let look = floor.name_in(TAKE);
    let older = asking.spans[1].name_in(IS_NEEDED);
    prepare(&mut connection, "look", TAKE_PARAMETERS, &look).await;
    prepare(&mut connection, "older", "", &older).await;
    for _ in ["while all is empty", "with messages", "after they were looked at"] {
        let scans = scans(&mut connection, &format!("look ({NOTHING})")).await;
        assert_eq!(scans.keys().map(String::as_str).collect::<Vec<_>>(), LOOKED_AT);
        for (partition, of_partition) in &scans {
            // In one that is known to be empty, the index by tenant serves as well: it has nothing in it.
            let is_empty = partition != FILLED;
            let mut walked = of_partition.clone();
            walked.iter_mut().filter(|index| is_empty && **index == "by tenant").for_each(|index| *index = "id");
            walked.sort_unstable();
            let mut expected = vec!["due", "id", "id", "id", "id", "owned", "owned", "owned", "owned", "owned"];
            // What is ahead of the clock lies in no week that is over.
            expected.extend((partition == "default").then_some("owned"));
            assert_eq!(walked, expected, "{scans:#?}");
        }
        let scans = self::scans(&mut connection, "older").await;
        assert_eq!(scans.len(), 8, "{scans:#?}");
        for of_partition in scans.values() {
            assert_eq!(of_partition, &["due", "owed", "owned"], "{scans:#?}");
        }
        sqlx::raw_sql("analyze messaging_messages; discard plans").execute(&mut *connection).await.unwrap();
        fill(&mut connection, now, 20_000).await;
    }
}

/// From one instance to the next, and what is due of each.
#[tokio::test]
async fn turns_are_found_in_order_of_their_index_and_taken_by_the_ids() {
    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    let (floor, _) = make_with_floor(&mut connection, now).await;
    let parameters = "(timestamptz, uuid[], uuid[], uuid, bigint, bigint, bigint, boolean, uuid)";
    prepare(&mut connection, "turns", parameters, &floor.name_in(TAKE_IN_TURNS)).await;
    let turns = format!("turns (now(), '{{}}', '{{}}', '{}', 256, 32, 8, true, gen_random_uuid())", Uuid::nil());
    let few = "update messaging_messages
                  set next_attempt_at = now() - random() * interval '1 hour',
                      instance_id = (array['00000000-0000-0000-0000-000000000001',
                                           '00000000-0000-0000-0000-000000000002'])[1 + (random() < 0.9)::int]::uuid
                where status = 'queued';
               analyze messaging_messages;
               discard plans";
    for when in ["while all is empty", "with messages", "with a backlog of two instances that are known to be few"] {
        if when.ends_with("few") {
            sqlx::raw_sql(few).execute(&mut *connection).await.unwrap();
        }
        let scans = scans(&mut connection, &turns).await;
        assert_eq!(scans.keys().map(String::as_str).collect::<Vec<_>>(), LOOKED_AT, "{when}");
        for of_partition in scans.values() {
            let mut walked = of_partition.clone();
            walked.iter_mut().filter(|index| **index == "by tenant").for_each(|index| *index = "id");
            assert_eq!(walked, ["by instance", "by instance", "by instance", "id", "id"], "{when}: {scans:#?}");
        }
        fill(&mut connection, now, 20_000).await;
        let timed = "update messaging_messages set next_attempt_at = now() + interval '1 hour' where status = 'queued'";
        sqlx::raw_sql(timed).execute(&mut *connection).await.unwrap();
    }
}

/// Ten thousand that another node owes, and publishes.
#[tokio::test]
async fn what_others_owe_is_not_walked_past() {
    let Some(mut connection) = connection().await else { return };
    let now = Utc::now();
    // Rolled back at the end.
    let mut connection = connection.begin().await.unwrap();
    let (floor, _) = make_with_floor(&mut connection, now).await;
    prepare(&mut connection, "owed", "(uuid, uuid[], uuid[], bigint)", &floor.name_in(OWED)).await;
    let other = Uuid::new_v4();
    let owed = format!("owed (gen_random_uuid(), '{{{other}}}', '{{}}', 100)");
    fill(&mut connection, now, 10_000).await;
    let nothing = pages(&mut connection, &owed).await;
    let fail = format!("update messaging_messages set status = 'failed', node_id = '{other}'");
    sqlx::raw_sql(AssertSqlSafe(fail)).execute(&mut *connection).await.unwrap();
    let looked = pages(&mut connection, &owed).await;
    assert!(looked < nothing + 50, "{looked} pages instead of {nothing}");
    let own = format!("owed ('{other}', '{{{other}}}', '{{}}', 100)");
    assert!(pages(&mut connection, &own).await > nothing, "it finds its own");
}
