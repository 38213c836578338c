use async_trait::async_trait;

use super::changes::replays;
use crate::application::ports::{FailedMessages, FailedSelection, Replay, Replayed, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::PgDatabase;

#[derive(Clone)]
pub struct PgFailedMessages {
    database: PgDatabase,
}

impl PgFailedMessages {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl FailedMessages for PgFailedMessages {
    async fn replay(&self, tenant: &Tenant, id: MessageId, now: Timestamp) -> Result<Replay, RepositoryError> {
        replays::replay(&self.database, tenant, id, now).await
    }

    async fn replay_matching(
        &self,
        selection: &FailedSelection,
        after: Option<MessageId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Replayed, RepositoryError> {
        replays::replay_matching(&self.database, selection, after, limit, now).await
    }
}
