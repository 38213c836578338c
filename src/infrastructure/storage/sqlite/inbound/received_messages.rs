use async_trait::async_trait;

use crate::application::ports::{Received, ReceivedMessages, RepositoryError};
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::{Batcher, ReceivedRequest};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::messages::{Receptions, Undecided, decide};

#[derive(Clone)]
pub struct SqliteReceivedMessages {
    stores: Batcher<Receptions>,
    keeps: Batcher<Undecided>,
    database: SqliteDatabase,
}

impl SqliteReceivedMessages {
    pub fn new(database: SqliteDatabase) -> Self {
        Self {
            stores: Batcher::new(Receptions { database: database.clone() }),
            keeps: Batcher::new(Undecided { database: database.clone() }),
            database,
        }
    }
}

#[async_trait]
impl ReceivedMessages for SqliteReceivedMessages {
    async fn store(&self, received: &Received) -> Result<bool, RepositoryError> {
        self.stores.submit(ReceivedRequest { received: received.clone() }).await
    }

    async fn keep(&self, received: &Received) -> Result<(), RepositoryError> {
        self.keeps.submit(ReceivedRequest { received: received.clone() }).await
    }

    async fn decide(&self, before: Timestamp, now: Timestamp) -> Result<bool, RepositoryError> {
        decide(&self.database, before, now).await
    }
}
