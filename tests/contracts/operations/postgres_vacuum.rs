//! What the server is told about each partition, and the last vacuum of a week.

use correio::application::ports::Storage;
use correio::domain::Timestamp;
use correio::infrastructure::storage::postgres::{PgDatabase, PgStorage};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::databases::FreshPostgres;

async fn installation() -> Option<(FreshPostgres, PgStorage, PgConnection)> {
    let fresh = FreshPostgres::create().await?;
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
    Some((fresh, PgStorage::new(database), connection))
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The storage parameters that a partition has been told.
async fn parameters(connection: &mut PgConnection, partition: &str) -> Vec<String> {
    let query = "select coalesce(reloptions, '{}') from pg_class where oid = to_regclass($1)";
    sqlx::query_scalar(query).bind(partition).fetch_one(connection).await.unwrap()
}

/// How often vacuum has come, by the server's statistics.
async fn vacuums(connection: &mut PgConnection, partition: &str) -> i64 {
    let query = AssertSqlSafe(format!("select pg_stat_get_vacuum_count('{partition}'::regclass)"));
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn every_partition_is_told_to_be_vacuumed_by_what_changed_and_not_by_its_size() {
    let Some((_fresh, storage, mut connection)) = installation().await else { return };
    let now = time("2031-01-01T00:00:00Z");
    storage.maintain(now).await.unwrap();
    // A week as it was made before.
    let old = "create table messaging_messages_2020_w02 partition of messaging_messages
               for values from ('016f7826-b400-0000-0000-000000000000') to ('016f9c33-3800-0000-0000-000000000000')";
    sqlx::query(old).execute(&mut connection).await.unwrap();
    assert!(parameters(&mut connection, "messaging_messages_2020_w02").await.is_empty());
    storage.overhaul(time("2020-01-06T00:00:00Z")).await.unwrap();
    for partition in [
        "messaging_messages_2031_w01",
        "messaging_message_attempts_2031_w05",
        "messaging_messages_default",
        "messaging_message_attempts_default",
        "messaging_messages_2020_w02",
    ] {
        let found = parameters(&mut connection, partition).await;
        for parameter in [
            "autovacuum_vacuum_scale_factor=0",
            "autovacuum_vacuum_threshold=50000",
            "autovacuum_vacuum_insert_scale_factor=0",
            "autovacuum_analyze_scale_factor=0",
        ] {
            assert!(found.contains(&parameter.to_owned()), "{partition}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_week_is_vacuumed_once_some_days_after_it_is_over() {
    let Some((_fresh, storage, mut connection)) = installation().await else { return };
    storage.maintain(time("2020-01-01T00:00:00Z")).await.unwrap();
    let (week, attempts) = ("messaging_messages_2020_w01", "messaging_message_attempts_2020_w01");
    // Two days after its end, and three.
    storage.overhaul(time("2020-01-08T23:59:59Z")).await.unwrap();
    assert_eq!(vacuums(&mut connection, week).await, 0);
    for _ in 0..3 {
        storage.overhaul(time("2020-01-09T00:00:00Z")).await.unwrap();
    }
    assert_eq!((vacuums(&mut connection, week).await, vacuums(&mut connection, attempts).await), (1, 1));
    assert_eq!(vacuums(&mut connection, "messaging_messages_2020_w02").await, 0);
    assert!(parameters(&mut connection, week).await.contains(&"autovacuum_vacuum_threshold=5000".to_owned()));
    assert!(parameters(&mut connection, week).await.contains(&"autovacuum_vacuum_scale_factor=0".to_owned()));
}

#[tokio::test]
async fn a_week_that_something_else_works_on_is_vacuumed_later_and_the_others_at_once() {
    let Some((fresh, storage, mut connection)) = installation().await else { return };
    storage.maintain(time("2020-01-01T00:00:00Z")).await.unwrap();
    let mut other = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let mut holding = other.begin().await.unwrap();
    let lock = "lock table messaging_messages_2020_w01 in share update exclusive mode";
    sqlx::query(lock).execute(&mut *holding).await.unwrap();
    let now = time("2020-01-20T00:00:00Z");
    storage.overhaul(now).await.unwrap();
    assert_eq!(vacuums(&mut connection, "messaging_messages_2020_w01").await, 0);
    assert_eq!(vacuums(&mut connection, "messaging_messages_2020_w02").await, 1);
    holding.rollback().await.unwrap();
    storage.overhaul(now).await.unwrap();
    assert_eq!(vacuums(&mut connection, "messaging_messages_2020_w01").await, 1);
}

#[tokio::test]
async fn one_process_overhauls_at_a_time() {
    let Some((fresh, storage, mut connection)) = installation().await else { return };
    storage.maintain(time("2020-01-01T00:00:00Z")).await.unwrap();
    let mut other = PgConnection::connect_with(&fresh.options()).await.unwrap();
    sqlx::query("select pg_advisory_lock(hashtext('correio overhaul'))").execute(&mut other).await.unwrap();
    storage.overhaul(time("2020-01-20T00:00:00Z")).await.unwrap();
    assert_eq!(vacuums(&mut connection, "messaging_messages_2020_w01").await, 0);
    other.close().await.unwrap();
}

/// No table can be altered: neither its settings nor what says that it was vacuumed.
#[tokio::test]
async fn a_step_that_fails_keeps_no_other_from_being_made() {
    let Some((_fresh, storage, mut connection)) = installation().await else { return };
    storage.maintain(time("2020-01-01T00:00:00Z")).await.unwrap();
    let broken = "create table messaging_messages_2019_w50 partition of messaging_messages
                  for values from ('016ee7f4-a400-0000-0000-000000000000') to ('016f0c01-2800-0000-0000-000000000000');
                  create index messaging_messages_by_hand on only messaging_messages (created_at);
                  insert into messaging_uncounted_weeks values (1), (2);
                  create function refuse() returns event_trigger language plpgsql as
                      $$ begin raise 'altering is refused'; end $$;
                  create event trigger refused on ddl_command_start when tag in ('ALTER TABLE')
                      execute function refuse()";
    sqlx::raw_sql(broken).execute(&mut connection).await.unwrap();
    let error = storage.overhaul(time("2020-01-20T00:00:00Z")).await.unwrap_err();
    assert!(error.to_string().contains("altering is refused"), "{error}");
    for done in [
        "select not exists (select from messaging_uncounted_weeks)",
        "select indisvalid from pg_index where indexrelid = 'messaging_messages_by_hand'::regclass",
    ] {
        assert!(sqlx::query_scalar::<_, bool>(done).fetch_one(&mut connection).await.unwrap(), "{done}");
    }
    for week in ["messaging_messages_2020_w01", "messaging_messages_2020_w02", "messaging_message_attempts_2020_w01"] {
        assert_eq!(vacuums(&mut connection, week).await, 1, "{week}");
    }
}
