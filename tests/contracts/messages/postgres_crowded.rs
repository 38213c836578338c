//! What a tenant's search costs while another tenant has a backlog.

use correio::application::ports::{MessageFilter, Stores};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::storage::postgres::PgDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::databases::FreshPostgres;
use crate::support::eventually::eventually;
use crate::support::given::{instance, message_of, node, tenant};

/// Open messages of the other tenant: far more than a search of this one may read.
const BACKLOG: u64 = 60_000;

async fn backlog(connection: &mut PgConnection) {
    let rows = format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 retries, max_retries, try, node_id, next_attempt_at, created_at, updated_at)
         select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7'
                 || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
                'globex', 'u', '{}', 'webhook', 'hook', 'x', 'x', 'sent', 'queued', 0, 3, 0, '{}',
                case when number % 2 = 0 then now() + interval '1 hour' end, now(), now()
           from generate_series(1, {BACKLOG}) as number",
        node().0,
        node().0
    );
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(connection).await.unwrap();
}

/// Rows that all connections have read through indexes, as far as they have said.
async fn read(connection: &mut PgConnection) -> u64 {
    let query = "select coalesce(sum(idx_tup_fetch), 0)::bigint
                   from pg_stat_user_tables
                  where relname like 'messaging_messages%'";
    let read: i64 = sqlx::query_scalar(query).fetch_one(connection).await.unwrap();
    read.cast_unsigned()
}

async fn found(stores: &Stores, filter: &MessageFilter) -> Vec<MessageId> {
    let listed = stores.search.list(&tenant("acme"), filter, None, 50).await.unwrap_or_else(|_| panic!("{filter:?}"));
    listed.messages.iter().map(|message| message.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_reads_what_its_tenant_has_and_not_the_backlog_of_another() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let (stores, owner) = (database.stores(), node());
    let mut connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let mut own = Vec::new();
    for (status, recipient) in [
        (MessageStatus::Sent, "x"),
        (MessageStatus::Queued, "x"),
        (MessageStatus::Processing, "y"),
        (MessageStatus::Queued, "y"),
        (MessageStatus::Failed, "x"),
    ] {
        let message = message_of(&instance("acme", "hook"), status, owner);
        let id = correio::infrastructure::storage::shared::first_id(chrono::Utc::now()).as_u128()
            | message.id.0.as_u128() & ((1 << 80) - 1);
        let message = Message { id: MessageId(uuid::Uuid::from_u128(id)), recipient: recipient.to_owned(), ..message };
        stores.messages.accept(&message, None).await.unwrap();
        own.push(message);
    }
    own.sort_by_key(|message| std::cmp::Reverse(message.id));
    backlog(&mut connection).await;
    stores.storage.overhaul(chrono::Utc::now()).await.unwrap();

    let all = MessageFilter::default();
    let filters = [
        MessageFilter { status: Some(MessageStatus::Queued), ..all.clone() },
        MessageFilter { status: Some(MessageStatus::Processing), ..all.clone() },
        MessageFilter { status: Some(MessageStatus::Pending), ..all.clone() },
        MessageFilter { recipient: Some("x".to_owned()), ..all.clone() },
        MessageFilter { recipient: Some("y".to_owned()), status: Some(MessageStatus::Queued), ..all.clone() },
        MessageFilter { channel_instance_id: Some("hook".to_owned()), ..all },
    ];
    let before = read(&mut connection).await;
    let mut searches = 0;
    let expected = |filter: &MessageFilter| -> Vec<MessageId> {
        let matches = |message: &&Message| {
            filter.status.is_none_or(|status| status == message.status)
                && filter.recipient.as_ref().is_none_or(|recipient| *recipient == message.recipient)
        };
        own.iter().filter(matches).map(|message| message.id).collect()
    };
    // What was read is said about once in a second.
    let deadline = std::time::Duration::from_secs(60);
    let read = eventually(deadline, "the server says what was read", async || {
        for filter in &filters {
            assert_eq!(found(&stores, filter).await, expected(filter), "{filter:?}");
            searches += 1;
        }
        let now = read(&mut connection).await - before;
        (now > 0 && searches > 60).then_some(now)
    })
    .await;
    // Two thousand of each kind are counted to find out.
    assert!(read < searches * 5_000, "{read} rows in {searches} searches");
}
