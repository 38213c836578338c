use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{Cancellation, Cancellations, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::message::{MessageId, MessageStatus};

use super::database::MemoryDatabase;
use super::tables::{Bug, Tables};

const CANCEL: &str = "cancellations.cancel";

#[derive(Clone)]
pub struct MemoryCancellations {
    database: MemoryDatabase,
}

impl MemoryCancellations {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Cancellations for MemoryCancellations {
    /// How long claims are in doubt after a crash is for the test to say: see [`MemoryDatabase::end_doubt`].
    async fn cancel(
        &self,
        tenant: &Tenant,
        id: MessageId,
        _: Duration,
        now: Timestamp,
    ) -> Result<Cancellation, RepositoryError> {
        let tenant = tenant.clone();
        let cancel = move |tables: &mut Tables| {
            let found = tables.messages.get(&id).filter(|message| message.tenant == tenant)?;
            let (before, asks_again) = (found.status, tables.doubts_claims() && !tables.has(Bug::CancelsAfterACrash));
            if asks_again && before == MessageStatus::Queued {
                return Some((before, false));
            }
            let takes_claimed = before == MessageStatus::Processing && tables.has(Bug::CancelsWhatIsClaimed);
            let written = tables.write(id, CANCEL, |message| {
                if takes_claimed {
                    message.status = MessageStatus::Queued;
                }
                message.cancel(now)
            });
            Some((before, written.is_some()))
        };
        let found = self.database.run(CANCEL, move |tables| Ok(cancel(tables))).await?;
        Ok(Cancellation::of(found.map(|(before, _)| before), found.is_some_and(|(_, written)| written)))
    }
}
