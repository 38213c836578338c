use std::sync::Arc;

use super::{
    ProcessCallTurns, SqliteApiKeyRepository, SqliteCancellations, SqliteDatabase, SqliteDeletedInstances,
    SqliteDueMessages, SqliteEventRepository, SqliteEventSteps, SqliteFailedMessages, SqliteInstanceRepository,
    SqliteMessageRepository, SqliteMessageSearch, SqliteNodeRepository, SqliteOwedDeadLetters, SqlitePaces,
    SqliteReceiptInbox, SqliteReceivedMessages, SqliteStorage,
};
use crate::application::ports::Stores;

impl SqliteDatabase {
    /// Every storage port, over this database.
    pub fn stores(&self) -> Stores {
        Stores {
            messages: Arc::new(SqliteMessageRepository::new(self.clone())),
            due: Arc::new(SqliteDueMessages::new(self.clone())),
            owed_dead_letters: Arc::new(SqliteOwedDeadLetters::new(self.clone())),
            failed: Arc::new(SqliteFailedMessages::new(self.clone())),
            cancellations: Arc::new(SqliteCancellations::new(self.clone())),
            search: Arc::new(SqliteMessageSearch::new(self.clone())),
            nodes: Arc::new(SqliteNodeRepository::new(self.clone())),
            instances: Arc::new(SqliteInstanceRepository::new(self.clone())),
            deleted_instances: Arc::new(SqliteDeletedInstances::new(self.clone())),
            api_keys: Arc::new(SqliteApiKeyRepository::new(self.clone())),
            storage: Arc::new(SqliteStorage::new(self.clone())),
            receipts: Arc::new(SqliteReceiptInbox::new(self.clone())),
            paces: Arc::new(SqlitePaces::new(self.clone())),
            call_turns: Arc::new(ProcessCallTurns::default()),
            received: Arc::new(SqliteReceivedMessages::new(self.clone())),
            events: Arc::new(SqliteEventRepository::new(self.clone())),
            event_steps: Arc::new(SqliteEventSteps::new(self.clone())),
        }
    }
}
