use std::time::Duration;

use async_trait::async_trait;

use super::changes::cancellation;
use crate::application::ports::{Cancellation, Cancellations, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::PgDatabase;

#[derive(Clone)]
pub struct PgCancellations {
    database: PgDatabase,
}

impl PgCancellations {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Cancellations for PgCancellations {
    async fn cancel(
        &self,
        tenant: &Tenant,
        id: MessageId,
        claims_in_doubt: Duration,
        now: Timestamp,
    ) -> Result<Cancellation, RepositoryError> {
        cancellation::cancel(&self.database, (tenant, id), claims_in_doubt, now).await
    }
}
