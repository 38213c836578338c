use std::sync::Arc;

use super::{
    ProcessCallTurns, ProcessRequestAllowances, SqliteApiKeyRepository, SqliteBroadcastExpansion,
    SqliteBroadcastRepository, SqliteCancellations, SqliteDatabase, SqliteDeletedInstances, SqliteDueMessages,
    SqliteEventDeliveries, SqliteEventRepository, SqliteEventSteps, SqliteEventTypes, SqliteFailedMessages,
    SqliteGroupMembers, SqliteGroupRepository, SqliteGroupSyncs, SqliteHandshakes, SqliteInstanceRepository,
    SqliteMessageRepository, SqliteMessageSearch, SqliteNodeRepository, SqliteOwedDeadLetters, SqlitePaces,
    SqliteReceiptInbox, SqliteReceivedMessages, SqliteReportedSends, SqliteSignInFailures, SqliteStatusChanges,
    SqliteStatusSubscriptions, SqliteStorage, SqliteStuckMessages, SqliteSubscriptionRepository, SqliteUsers,
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
            reported_sends: Arc::new(SqliteReportedSends::new(self.clone())),
            stuck: Arc::new(SqliteStuckMessages::new(self.clone())),
            paces: Arc::new(SqlitePaces::new(self.clone())),
            call_turns: Arc::new(ProcessCallTurns::default()),
            handshakes: Arc::new(SqliteHandshakes::new(self.clone())),
            received: Arc::new(SqliteReceivedMessages::new(self.clone())),
            events: Arc::new(SqliteEventRepository::new(self.clone())),
            event_steps: Arc::new(SqliteEventSteps::new(self.clone())),
            status_subscriptions: Arc::new(SqliteStatusSubscriptions::new(self.clone())),
            status_changes: Arc::new(SqliteStatusChanges::new(self.clone())),
            event_types: Arc::new(SqliteEventTypes::new(self.clone())),
            subscriptions: Arc::new(SqliteSubscriptionRepository::new(self.clone())),
            event_deliveries: Arc::new(SqliteEventDeliveries::new(self.clone())),
            users: Arc::new(SqliteUsers::new(self.clone())),
            sign_in_failures: Arc::new(SqliteSignInFailures::new(self.clone())),
            request_allowances: Arc::new(ProcessRequestAllowances::default()),
            groups: Arc::new(SqliteGroupRepository::new(self.clone())),
            broadcasts: Arc::new(SqliteBroadcastRepository::new(self.clone())),
            broadcast_expansion: Arc::new(SqliteBroadcastExpansion::new(self.clone())),
            group_members: Arc::new(SqliteGroupMembers::new(self.clone())),
            group_syncs: Arc::new(SqliteGroupSyncs::new(self.clone())),
        }
    }
}
