//! How SQLite looks for the messages that are claimed or have ended.

use chrono::Utc;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::{claims, outcomes};
use crate::application::ports::Outcome;
use crate::domain::message::delivery::Acceptance;
use crate::domain::message::retry::NextStep;
use crate::domain::message::{Guard, MessageId, MessageStatus};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::shared::{ClaimRequest, OutcomeRow, RecordRequest};
use crate::infrastructure::storage::sqlite::SqliteDatabase;

const BY_ID: &str = "SEARCH messaging_messages USING INDEX sqlite_autoindex_messaging_messages_1 (id=?)";

#[tokio::test]
async fn each_message_is_looked_up_by_its_id_whatever_the_statistics_say() {
    let directory = tempfile::tempdir().unwrap();
    for messages in [1_000, 30_000] {
        let database = SqliteDatabase::open(&directory.path().join(format!("{messages}.db"))).await.unwrap();
        database.migrate().await.unwrap();
        fill(&database, messages).await;
        look_up_by_id(&database, messages).await;
        sqlx::query("analyze").execute(database.writer()).await.unwrap();
        look_up_by_id(&database, messages).await;
    }
}

async fn look_up_by_id(database: &SqliteDatabase, messages: u32) {
    for count in [1, 20, 512] {
        let claims: Vec<_> = (0..count).map(|_| claim()).collect();
        let endings: Vec<_> = (0..count).map(|_| ending()).collect();
        let statements = [
            claims::statement(&claims),
            outcomes::statement(outcomes::RECORD, &endings),
            outcomes::statement(outcomes::CLAIM_AND_RECORD, &endings),
        ];
        for (which, statement) in statements.into_iter().enumerate() {
            let plan = plan(database, statement).await;
            assert!(plan.iter().any(|step| step == BY_ID), "{messages} {count} {which}: {plan:#?}");
        }
    }
}

async fn fill(database: &SqliteDatabase, messages: u32) {
    let rows = "with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < ?)
        insert into messaging_messages
               (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                retries, max_retries, try, node_id, created_at, updated_at)
        select printf('%08x-0000-7000-8000-000000000000', 26214400 + number), 'default', 'u', ?2, 'webhook', 'l', '55',
               'x', 'sent', 'queued', 0, 3, 0, ?2, '2026-11-26T00:00:00.000000Z', '2026-11-26T00:00:00.000000Z'
          from numbers";
    let name = "01900000-0000-7000-8000-000000000002";
    sqlx::query(rows).bind(messages).bind(name).execute(database.writer()).await.unwrap();
}

async fn plan(database: &SqliteDatabase, statement: QueryBuilder<Sqlite>) -> Vec<String> {
    let explain = AssertSqlSafe(format!("explain query plan {}", statement.into_string()));
    let steps = sqlx::query(explain).fetch_all(database.writer()).await.unwrap();
    steps.iter().map(|step| step.get("detail")).collect()
}

fn claim() -> ClaimRequest {
    ClaimRequest { id: MessageId(Uuid::now_v7()), node: NodeId(Uuid::now_v7()), now: Utc::now() }
}

fn ending() -> RecordRequest {
    let guard = Guard {
        id: MessageId(Uuid::now_v7()),
        status: MessageStatus::Processing,
        node: Some(NodeId(Uuid::now_v7())),
        try_number: 1,
    };
    let next = NextStep::Sent(Acceptance { channel_message_id: None, http_status: Some(200) });
    let outcome = Outcome {
        guard,
        next,
        started_at: Utc::now(),
        finished_at: Utc::now(),
        dead_lettered_at: None,
        has_receipts: false,
    };
    RecordRequest { guard, started_at: outcome.started_at, row: OutcomeRow::of(&outcome) }
}
