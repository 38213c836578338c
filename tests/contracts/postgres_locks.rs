//! Rows that somebody else holds: an operator's open transaction, for example.

use std::time::Duration;

use correio::application::ports::{MessageRepository, RepositoryError};
use correio::domain::message::{Message, MessageStatus};
use correio::infrastructure::postgres::{PgDatabase, PgMessageRepository};
use futures::future::join_all;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::time::timeout;

use super::given::{at, message, node, outcome, sent};
use crate::support::databases::FreshPostgres;

/// Less than one statement may take: nobody waits for whoever holds the row until he is done.
const IN_TIME: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_holds_keeps_no_other_message_waiting() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let messages = PgMessageRepository::new(database.clone());
    let owner = node();
    let accepted: Vec<Message> = (0..20).map(|_| message(MessageStatus::Queued, owner)).collect();
    for stored in join_all(accepted.iter().map(|message| messages.accept(message, None))).await {
        stored.unwrap();
    }
    let mut operator = PgConnection::connect_with(&fresh.options()).await.unwrap();

    let holding = hold(&mut operator, &accepted[7]).await;
    let claims = join_all(accepted.iter().map(|message| messages.claim(message.id, owner, at(9))));
    let claims = timeout(IN_TIME, claims).await.expect("the claims wait for the operator");
    assert!(matches!(claims[7], Err(RepositoryError::Contested(_))), "{:?}", claims[7]);
    holding.rollback().await.unwrap();
    let late = messages.claim(accepted[7].id, owner, at(9)).await.unwrap();
    let claimed = claims.into_iter().filter_map(Result::ok).chain([late]);
    let claimed: Vec<Message> = claimed.map(|claim| claim.expect("it was queued")).collect();
    assert_eq!(claimed.len(), 20);

    let holding = hold(&mut operator, &accepted[3]).await;
    let outcomes: Vec<_> = claimed.iter().map(|message| outcome(message, sent())).collect();
    let recorded = join_all(outcomes.iter().map(|outcome| messages.record(outcome)));
    let recorded = timeout(IN_TIME, recorded).await.expect("the outcomes wait for the operator");
    holding.rollback().await.unwrap();
    for (outcome, recorded) in outcomes.iter().zip(recorded) {
        let is_held = outcome.guard.id == accepted[3].id;
        assert!(
            if is_held { matches!(recorded, Err(RepositoryError::Contested(_))) } else { matches!(recorded, Ok(true)) },
            "{recorded:?}"
        );
        if is_held {
            assert!(messages.record(outcome).await.unwrap());
        }
    }
}

async fn hold<'a>(operator: &'a mut PgConnection, message: &Message) -> Transaction<'a, Postgres> {
    let mut holding = operator.begin().await.unwrap();
    let query = sqlx::query("select from messaging_messages where id = $1 for update").bind(message.id.0);
    assert_eq!(query.execute(&mut *holding).await.unwrap().rows_affected(), 1);
    holding
}
