use async_trait::async_trait;

use crate::application::ports::{Received, ReceivedMessages, RepositoryError};
use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::{Receptions, Undecided, decide};
use crate::infrastructure::storage::shared::{Batcher, ReceivedRequest};

#[derive(Clone)]
pub struct PgReceivedMessages {
    stores: Batcher<Receptions>,
    keeps: Batcher<Undecided>,
    database: PgDatabase,
}

impl PgReceivedMessages {
    /// However many messages come, they have two connections of the pool.
    pub fn new(database: PgDatabase) -> Self {
        Self {
            stores: Batcher::new(Receptions { database: database.clone() }),
            keeps: Batcher::new(Undecided { database: database.clone() }),
            database,
        }
    }
}

#[async_trait]
impl ReceivedMessages for PgReceivedMessages {
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
