//! What a crash of PostgreSQL may take back.

use std::time::Duration;

use correio::application::ports::{Cancellation, MessageRepository};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository};
use sqlx::{Connection, PgConnection};

use crate::support::eventually::{SOON, eventually};
use crate::support::given::{at, message, node, outcome, sent};
use crate::support::postgres_server::PostgresServer;

/// A claim is not on disk when its message is delivered; what was accepted and how it ended are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_takes_back_claims_and_nothing_else() {
    // So that what nobody waits for does not get to the disk by itself meanwhile.
    let Some(mut server) = PostgresServer::start_with(&["wal_writer_delay=10s"]).await else { return };
    let owner = node();
    for _ in 0..10 {
        let before = messages(&server).await;
        let [ended, claimed] = [(); 2].map(|()| message(MessageStatus::Queued, owner));
        before.accept(&ended, None).await.unwrap();
        before.accept(&claimed, None).await.unwrap();
        let delivered = before.claim(ended.id, owner, at(9)).await.unwrap().unwrap().message;
        assert!(before.record(&outcome(&delivered, sent())).await.unwrap());
        let delivered = before.claim(claimed.id, owner, at(9)).await.unwrap().unwrap().message;
        server.kill();
        server.restart().await;

        let after = messages(&server).await;
        assert_eq!(state(&after, ended.id).await, (MessageStatus::Sent, 1));
        if state(&after, claimed.id).await == (MessageStatus::Processing, 1) {
            // The server's WAL writer was just at work.
            continue;
        }
        assert_eq!(state(&after, claimed.id).await, (MessageStatus::Queued, 0));
        assert!(after.record(&outcome(&delivered, sent())).await.unwrap());
        assert_eq!(state(&after, claimed.id).await, (MessageStatus::Sent, 1));
        return;
    }
    panic!("every claim was on disk: it seems to wait for that");
}

/// It recovers, forgets claims, and goes on as the same server: what then looks queued may be under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_backend_was_killed_nothing_is_cancelled_for_a_while() {
    let Some(server) = PostgresServer::start().await else { return };
    let database = PgDatabase::connect_with(server.options()).await.unwrap();
    database.migrate().await.unwrap();
    let (stores, waiting) = (database.stores(), [(); 3].map(|()| message(MessageStatus::Queued, node())));
    for message in &waiting {
        stores.messages.accept(message, None).await.unwrap();
    }
    let cancel = async |message: &Message, claims_in_doubt| {
        eventually(SOON, "no connection is one that broke", async || {
            stores.cancellations.cancel(&message.tenant, message.id, claims_in_doubt, at(50)).await.ok()
        })
        .await
    };
    let age = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::double precision";
    let age = async || {
        let mut connection = PgConnection::connect_with(&server.options()).await.unwrap();
        Duration::from_secs_f64(sqlx::query_scalar(age).fetch_one(&mut connection).await.unwrap())
    };
    assert_eq!(cancel(&waiting[0], Duration::from_secs(3_600)).await, Cancellation::InDoubt);
    assert_eq!(cancel(&waiting[0], Duration::ZERO).await, Cancellation::Cancelled);
    let age_before = age().await;
    assert_eq!(cancel(&waiting[1], age_before).await, Cancellation::Cancelled);

    server.kill_a_backend().await;
    let age_now = age().await;
    assert!(age_now > age_before, "the server says that it started anew");
    assert_eq!(cancel(&waiting[2], age_now).await, Cancellation::InDoubt);
    assert_eq!(cancel(&waiting[2], Duration::ZERO).await, Cancellation::Cancelled);
}

async fn messages(server: &PostgresServer) -> PgMessageRepository {
    let database = PgDatabase::connect_with(server.options()).await.unwrap();
    database.migrate().await.unwrap();
    PgMessageRepository::new(database)
}

async fn state(messages: &PgMessageRepository, id: MessageId) -> (MessageStatus, u32) {
    let message = messages.find(id).await.unwrap().expect("it was accepted");
    (message.status, message.try_number)
}
