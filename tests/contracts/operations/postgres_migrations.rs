//! What the PostgreSQL adapter promises beyond the ports.

use std::time::Duration;

use correio::application::ports::{DueMessages, MessageFilter, MessageRepository, MessageSearch, Storage, Turns};
use correio::domain::message::MessageStatus;
use correio::infrastructure::storage::postgres::{
    PgDatabase, PgDueMessages, PgMessageRepository, PgMessageSearch, PgStorage,
};
use sqlx::{Connection, PgConnection};

use crate::support::databases::{FreshPostgres, OwnedPostgres, migrations_until};
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{message, node, tenant};

/// Somebody reads for long, as a dump does: who brings the tables up to date meanwhile waits, and nobody waits behind him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_in_use_are_brought_up_to_date_later() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let mut dump = PgConnection::connect_with(&fresh.options()).await.unwrap();
    sqlx::raw_sql(
        "alter table messaging_messages drop constraint messaging_messages_wait_for_a_time;
         delete from _sqlx_migrations where version = 3;",
    )
    .execute(&mut dump)
    .await
    .unwrap();
    let mut reading = dump.begin().await.unwrap();
    sqlx::raw_sql("lock table messaging_messages in access share mode").execute(&mut *reading).await.unwrap();

    let mut watch = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let others = async {
        eventually(SOON, "it waits for the reader", async || {
            let waits = "select count(*) from pg_locks where not granted and locktype = 'relation'";
            (sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watch).await.unwrap() > 0).then_some(())
        })
        .await;
        let messages = PgMessageRepository::new(database.clone());
        let accepted = message(MessageStatus::Queued, node());
        tokio::time::timeout(Duration::from_secs(4), messages.accept(&accepted, None)).await.unwrap().unwrap();
        reading.commit().await.unwrap();
    };
    let (migrated, ()) = tokio::join!(database.migrate(), others);
    migrated.unwrap();
    let constraints = "select count(*) from pg_constraint
                        where conname = 'messaging_messages_wait_for_a_time'
                          and conrelid = 'messaging_messages'::regclass";
    assert_eq!(sqlx::query_scalar::<_, i64>(constraints).fetch_one(&mut watch).await.unwrap(), 1);
}

/// So large that nobody is to wait until its indexes are made.
#[tokio::test]
async fn a_large_table_gets_its_indexes_beside_everything_else() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let mut other = PgConnection::connect_with(&fresh.options()).await.unwrap();
    migrations_until("postgres", 8).await.run(&mut other).await.unwrap();
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    let storage = PgStorage::new(database.clone());
    storage.maintain(chrono::Utc::now()).await.unwrap();
    let filling = "insert into messaging_messages
                          (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction,
                           status, retries, max_retries, try, created_at, updated_at)
                   select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7'
                               || substr(gen_random_uuid()::text, 16))::uuid,
                          'acme', 'ana', gen_random_uuid(), 'webhook', 'hook', number::text, (select string_agg(md5(number::text || part), '') from generate_series(1, 55) as part), 'sent',
                          'sent', 1, 3, 1, now(), now()
                     from generate_series(1, 40000) as number";
    sqlx::raw_sql(filling).execute(&mut other).await.unwrap();
    let due = "update messaging_messages
                  set status = 'queued', next_attempt_at = now() - interval '1 second'
                where remote_jid = '78'";
    sqlx::raw_sql(due).execute(&mut other).await.unwrap();
    database.migrate().await.unwrap();
    let missing = "select count(*)
                     from pg_index
                    where indrelid = 'messaging_messages'::regclass
                      and not indisvalid";
    let mut missing = async || sqlx::query_scalar::<_, i64>(missing).fetch_one(&mut other).await.unwrap();
    assert_eq!(missing().await, 9);
    // Without its index each turn would walk past all that waits for a time.
    let take_in_turns = async || {
        let (node, after, now) = (node(), None, chrono::Utc::now());
        let turns = Turns { node, after, held: vec![], with_content: false, limit: 8, full: vec![], now };
        PgDueMessages::new(database.clone()).take_in_turns(&turns).await.unwrap().messages.len()
    };
    assert_eq!(take_in_turns().await, 0);
    // A week that is made meanwhile has them.
    storage.maintain(chrono::Utc::now() + chrono::Duration::days(7)).await.unwrap();
    storage.overhaul(chrono::Utc::now()).await.unwrap();
    assert_eq!(missing().await, 0);
    assert_eq!(take_in_turns().await, 1);
    storage.overhaul(chrono::Utc::now()).await.unwrap();
    let filter = MessageFilter { recipient: Some("77".to_owned()), ..MessageFilter::default() };
    let found = PgMessageSearch::new(database.clone()).list(&tenant("acme"), &filter, None, 9).await.unwrap();
    assert_eq!(found.messages.len(), 1);
}

/// Of one that was broken off, and one that is there and was not said to belong to the table.
#[tokio::test]
async fn indexes_that_are_half_made_are_made_again() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let mut other = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let torn = "drop index messaging_messages_by_recipient;
                create index messaging_messages_by_recipient on only messaging_messages (tenant, remote_jid, id)
                 where status in ('sent', 'delivered', 'read', 'failed', 'cancelled') and octet_length(remote_jid) <= 1024;
                create index messaging_messages_default_by_recipient on messaging_messages_default (tenant, remote_jid, id)
                 where status in ('sent', 'delivered', 'read', 'failed', 'cancelled') and octet_length(remote_jid) <= 1024;
                update pg_index set indisvalid = false
                 where indexrelid = 'messaging_messages_default_by_recipient'::regclass";
    sqlx::raw_sql(torn).execute(&mut other).await.unwrap();
    PgStorage::new(database).overhaul(chrono::Utc::now()).await.unwrap();
    let is_whole = "select bool_and(indisvalid) from pg_index where indexrelid::regclass::text like '%by_recipient'";
    assert!(sqlx::query_scalar::<_, bool>(is_whole).fetch_one(&mut other).await.unwrap());
}

/// As it was before messages could be cancelled.
#[tokio::test]
async fn an_older_installation_learns_a_new_state() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let mut other = PgConnection::connect_with(&fresh.options()).await.unwrap();
    migrations_until("postgres", 3).await.run(&mut other).await.unwrap();
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    // As a process of then accepts it: this build's names columns that came later.
    let accept = "insert into messaging_messages
                         (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, direction, status,
                          retries, max_retries, try, created_at, updated_at)
                  values (gen_random_uuid(), 'acme', 'user', gen_random_uuid(), 'webhook', 'hook', '5585', 'sent', 'queued',
                          0, 3, 0, now(), now())";
    sqlx::raw_sql(accept).execute(&mut other).await.unwrap();
    let cancel = "update messaging_messages set status = 'cancelled'";
    assert!(sqlx::raw_sql(cancel).execute(&mut other).await.unwrap_err().to_string().contains("status_check"));
    database.migrate().await.unwrap();
    assert_eq!(sqlx::raw_sql(cancel).execute(&mut other).await.unwrap().rows_affected(), 1);
    let no_state = "update messaging_messages set status = 'lost'";
    assert!(sqlx::raw_sql(no_state).execute(&mut other).await.unwrap_err().to_string().contains("status_check"));
}

#[tokio::test]
async fn a_role_that_may_make_no_tables_is_told_what_it_needs() {
    let Some(owned) = OwnedPostgres::create().await else { return };
    owned.execute("alter schema public owner to current_user".to_owned()).await;
    owned.execute("revoke create on schema public from public".to_owned()).await;
    let database = PgDatabase::connect_with(owned.options()).await.unwrap();
    let refused = database.migrate().await.unwrap_err().to_string();
    for word in [owned.role(), "needs CREATE", "permission denied for schema public", "each week"] {
        assert!(refused.contains(word), "{refused}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_store_every_text_is_refused() {
    let Some(owned) = OwnedPostgres::create().await else { return };
    let name = format!("{}_latin1", owned.role());
    owned.execute(format!("create database {name} encoding 'LATIN1' locale 'C' template template0")).await;
    let database = PgDatabase::connect_with(owned.options().database(&name)).await.unwrap();
    let refusal = database.version().await.unwrap().refusal();
    drop(database);
    owned.execute(format!("drop database {name} with (force)")).await;
    assert!(refusal.unwrap().contains("LATIN1"));
}
