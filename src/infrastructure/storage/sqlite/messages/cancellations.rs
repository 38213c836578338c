use std::time::Duration;

use async_trait::async_trait;

use super::changes::cancellation;
use crate::application::ports::{Cancellation, Cancellations, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;

#[derive(Clone)]
pub struct SqliteCancellations {
    database: SqliteDatabase,
}

impl SqliteCancellations {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Cancellations for SqliteCancellations {
    async fn cancel(
        &self,
        tenant: &Tenant,
        id: MessageId,
        _: Duration,
        now: Timestamp,
    ) -> Result<Cancellation, RepositoryError> {
        cancellation::cancel(&self.database, (tenant, id), now).await
    }
}
