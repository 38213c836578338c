//! Rows that somebody else holds: an operator's open transaction, for example.

use std::time::Duration;

use correio::application::ports::{MessageRepository, RepositoryError};
use correio::domain::message::delivery::Acceptance;
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository};
use futures::future::join_all;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::time::timeout;

use crate::support::databases::FreshPostgres;
use crate::support::given::{at, instance, message, message_of, node, outcome, sent};

/// Less than one statement may take: nobody waits for whoever holds rows until he is done.
const IN_TIME: Duration = Duration::from_secs(8);

const HELD: [usize; 6] = [3, 7, 9, 11, 15, 18];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_somebody_holds_keep_no_other_message_waiting() {
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

    let holding = hold(&mut operator, &accepted).await;
    let claims = join_all(accepted.iter().map(|message| messages.claim(message.id, owner, at(9))));
    let claims = timeout(IN_TIME, claims).await.expect("the claims wait for the operator");
    holding.rollback().await.unwrap();
    let mut claimed = Vec::new();
    for (number, claim) in claims.into_iter().enumerate() {
        let claim = if HELD.contains(&number) {
            assert!(matches!(claim, Err(RepositoryError::Contested(_))), "{number}: {claim:?}");
            messages.claim(accepted[number].id, owner, at(9)).await
        } else {
            claim
        };
        claimed.push(claim.unwrap().expect("it was queued").message);
    }

    let holding = hold(&mut operator, &accepted).await;
    let outcomes: Vec<_> = claimed.iter().map(|message| outcome(message, sent())).collect();
    let recorded = join_all(outcomes.iter().map(|outcome| messages.record(outcome)));
    let recorded = timeout(IN_TIME, recorded).await.expect("the outcomes wait for the operator");
    holding.rollback().await.unwrap();
    for (number, recorded) in recorded.into_iter().enumerate() {
        let recorded = if HELD.contains(&number) {
            assert!(matches!(recorded, Err(RepositoryError::Contested(_))), "{number}: {recorded:?}");
            messages.record(&outcomes[number]).await
        } else {
            recorded
        };
        assert!(recorded.unwrap(), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_of_a_deleted_instance_fails_without_what_somebody_holds() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let stores = database.stores();
    let (doomed, owner) = (instance("acme", "hook"), node());
    let open: Vec<Message> = (0..20).map(|_| message_of(&doomed, MessageStatus::Queued, owner)).collect();
    for stored in join_all(open.iter().map(|message| stores.messages.accept(message, None))).await {
        stored.unwrap();
    }
    let (instances, ids) = ([doomed.id], open.iter().map(|message| message.id).collect::<Vec<_>>());
    let fail = || stores.deleted_instances.fail(&instances, &ids, "deleted", None, at(9));
    let mut operator = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let holding = hold(&mut operator, &open).await;
    let failed = timeout(IN_TIME, fail()).await.expect("the others wait for the operator");
    assert_eq!(failed.unwrap(), (open.len() - HELD.len()) as u64);
    holding.rollback().await.unwrap();
    assert_eq!(fail().await.unwrap(), HELD.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_were_left_are_applied_without_those_that_somebody_holds() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let stores = database.stores();
    let owner = node();
    let open: Vec<Message> = (0..20).map(|_| message(MessageStatus::Pending, owner)).collect();
    for (number, message) in open.iter().enumerate() {
        stores.messages.accept(message, None).await.unwrap();
        let id = format!("3EB0{number}");
        let acceptance = Acceptance { channel_message_id: Some(id.clone()), http_status: Some(201) };
        assert!(stores.messages.record(&outcome(message, NextStep::Sent(acceptance))).await.unwrap());
        let of = ChannelMessage { instance: message.instance_id, id };
        let receipt = Receipt { of, message: None, status: ReceiptStatus::Read, at: at(20), reason: None };
        stores.receipts.store(&receipt, at(20)).await.unwrap();
    }
    let read = async || {
        let now = join_all(open.iter().map(|message| stores.messages.find(message.id))).await;
        now.into_iter().map(|message| message.unwrap().unwrap().status == MessageStatus::Read).collect::<Vec<_>>()
    };
    let mut operator = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let holding = hold(&mut operator, &open).await;
    let swept = timeout(IN_TIME, stores.receipts.sweep(None, at(0), None, at(30)));
    assert_eq!(swept.await.expect("the others wait for the operator").unwrap(), None);
    assert_eq!(read().await, (0..open.len()).map(|number| !HELD.contains(&number)).collect::<Vec<_>>());
    holding.rollback().await.unwrap();
    stores.receipts.sweep(None, at(0), None, at(31)).await.unwrap();
    assert_eq!(read().await, vec![true; open.len()]);
}

async fn hold<'a>(operator: &'a mut PgConnection, messages: &[Message]) -> Transaction<'a, Postgres> {
    let held = HELD.map(|number| messages[number].id.0);
    let mut holding = operator.begin().await.unwrap();
    let query = sqlx::query("select from messaging_messages where id = any($1) for update").bind(held);
    assert_eq!(query.execute(&mut *holding).await.unwrap().rows_affected(), held.len() as u64);
    holding
}
