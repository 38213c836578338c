//! What a crash of PostgreSQL may take back.

use correio::application::ports::MessageRepository;
use correio::domain::message::{MessageId, MessageStatus};
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository};

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

async fn messages(server: &PostgresServer) -> PgMessageRepository {
    let database = PgDatabase::connect_with(server.options()).await.unwrap();
    database.migrate().await.unwrap();
    PgMessageRepository::new(database)
}

async fn state(messages: &PgMessageRepository, id: MessageId) -> (MessageStatus, u32) {
    let message = messages.find(id).await.unwrap().expect("it was accepted");
    (message.status, message.try_number)
}
