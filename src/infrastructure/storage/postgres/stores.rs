use std::sync::Arc;

use super::{
    PgApiKeyRepository, PgCallTurns, PgCancellations, PgDatabase, PgDeletedInstances, PgDueMessages, PgEventRepository,
    PgEventSteps, PgFailedMessages, PgInstanceRepository, PgMessageRepository, PgMessageSearch, PgNodeRepository,
    PgOwedDeadLetters, PgPaces, PgReceiptInbox, PgReceivedMessages, PgStorage,
};
use crate::application::ports::Stores;

impl PgDatabase {
    /// Every storage port, over this database.
    pub fn stores(&self) -> Stores {
        Stores {
            messages: Arc::new(PgMessageRepository::new(self.clone())),
            due: Arc::new(PgDueMessages::new(self.clone())),
            owed_dead_letters: Arc::new(PgOwedDeadLetters::new(self.clone())),
            failed: Arc::new(PgFailedMessages::new(self.clone())),
            cancellations: Arc::new(PgCancellations::new(self.clone())),
            search: Arc::new(PgMessageSearch::new(self.clone())),
            nodes: Arc::new(PgNodeRepository::new(self.clone())),
            instances: Arc::new(PgInstanceRepository::new(self.clone())),
            deleted_instances: Arc::new(PgDeletedInstances::new(self.clone())),
            api_keys: Arc::new(PgApiKeyRepository::new(self.clone())),
            storage: Arc::new(PgStorage::new(self.clone())),
            receipts: Arc::new(PgReceiptInbox::new(self.clone())),
            paces: Arc::new(PgPaces::new(self.clone())),
            call_turns: Arc::new(PgCallTurns::new(self.clone())),
            received: Arc::new(PgReceivedMessages::new(self.clone())),
            events: Arc::new(PgEventRepository::new(self.clone())),
            event_steps: Arc::new(PgEventSteps::new(self.clone())),
        }
    }
}
