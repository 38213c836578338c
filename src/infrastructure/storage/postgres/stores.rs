use std::sync::Arc;

use super::{
    PgApiKeyRepository, PgBroadcastExpansion, PgBroadcastRepository, PgCallTurns, PgCancellations, PgDatabase,
    PgDeletedInstances, PgDueMessages, PgEventRepository, PgEventSteps, PgFailedMessages, PgGroupMembers,
    PgGroupRepository, PgGroupSyncs, PgInstanceRepository, PgMessageRepository, PgMessageSearch, PgNodeRepository,
    PgOwedDeadLetters, PgReceiptInbox, PgReceivedMessages, PgStorage,
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
            call_turns: Arc::new(PgCallTurns::new(self.clone())),
            received: Arc::new(PgReceivedMessages::new(self.clone())),
            events: Arc::new(PgEventRepository::new(self.clone())),
            event_steps: Arc::new(PgEventSteps::new(self.clone())),
            groups: Arc::new(PgGroupRepository::new(self.clone())),
            broadcasts: Arc::new(PgBroadcastRepository::new(self.clone())),
            broadcast_expansion: Arc::new(PgBroadcastExpansion::new(self.clone())),
            group_members: Arc::new(PgGroupMembers::new(self.clone())),
            group_syncs: Arc::new(PgGroupSyncs::new(self.clone())),
        }
    }
}
