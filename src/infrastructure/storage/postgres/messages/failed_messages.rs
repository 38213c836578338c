use async_trait::async_trait;

use super::changes::replays;
use crate::application::ports::{FailedMessages, FailedSelection, Replay, Replayed, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::search_places::SearchPlaces;

#[derive(Clone)]
pub struct PgFailedMessages {
    database: PgDatabase,
    /// Of those that look for what matches: a tenant's may walk through all that has failed of it, on connections that sends need.
    places: SearchPlaces,
}

/// So many look for it at once, and one less of one tenant.
const AT_ONCE: u32 = 3;

impl PgFailedMessages {
    pub fn new(database: PgDatabase) -> Self {
        Self { database, places: SearchPlaces::new(AT_ONCE) }
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
        let place = self.places.enter(selection.tenant.as_ref()).await;
        let _place = place.map_err(|error| RepositoryError::Unavailable(error.to_string()))?;
        replays::replay_matching(&self.database, selection, after, limit, now).await
    }
}
