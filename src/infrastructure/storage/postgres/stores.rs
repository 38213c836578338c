use std::sync::Arc;

use super::{
    PgApiKeyRepository, PgBroadcastExpansion, PgBroadcastRepository, PgCallTurns, PgCancellations, PgDatabase,
    PgDeletedInstances, PgDueMessages, PgEventDeliveries, PgEventRepository, PgEventSteps, PgEventTypes,
    PgFailedMessages, PgGroupMembers, PgGroupRepository, PgGroupSyncs, PgHandshakes, PgInstanceRepository,
    PgMessageRepository, PgMessageSearch, PgNodeRepository, PgOwedDeadLetters, PgPaces, PgReceiptInbox,
    PgReceivedMessages, PgReportedSends, PgRequestAllowances, PgSignInFailures, PgStatusChanges, PgStatusSubscriptions,
    PgStorage, PgStuckMessages, PgSubscriptionRepository, PgUsers,
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
            reported_sends: Arc::new(PgReportedSends::new(self.clone())),
            stuck: Arc::new(PgStuckMessages::new(self.clone())),
            paces: Arc::new(PgPaces::new(self.clone())),
            call_turns: Arc::new(PgCallTurns::new(self.clone())),
            handshakes: Arc::new(PgHandshakes::new(self.clone())),
            received: Arc::new(PgReceivedMessages::new(self.clone())),
            events: Arc::new(PgEventRepository::new(self.clone())),
            event_steps: Arc::new(PgEventSteps::new(self.clone())),
            status_subscriptions: Arc::new(PgStatusSubscriptions::new(self.clone())),
            status_changes: Arc::new(PgStatusChanges::new(self.clone())),
            event_types: Arc::new(PgEventTypes::new(self.clone())),
            subscriptions: Arc::new(PgSubscriptionRepository::new(self.clone())),
            event_deliveries: Arc::new(PgEventDeliveries::new(self.clone())),
            users: Arc::new(PgUsers::new(self.clone())),
            sign_in_failures: Arc::new(PgSignInFailures::new(self.clone())),
            request_allowances: Arc::new(PgRequestAllowances::new(self.clone())),
            groups: Arc::new(PgGroupRepository::new(self.clone())),
            broadcasts: Arc::new(PgBroadcastRepository::new(self.clone())),
            broadcast_expansion: Arc::new(PgBroadcastExpansion::new(self.clone())),
            group_members: Arc::new(PgGroupMembers::new(self.clone())),
            group_syncs: Arc::new(PgGroupSyncs::new(self.clone())),
        }
    }
}
