//! Tables in memory, for one process and as long as it runs. They know no time, no chance and no runtime: what happens
//! follows from what is asked of them and from their [`Weather`].
//!
//! Mirrors `sqlite/` and `postgres/` file by file. What is one statement or transaction there is one change here.

mod api_key_repository;
mod broadcasts;
mod cancellations;
mod database;
mod deleted_instances;
mod due_messages;
mod events;
mod failed_messages;
mod groups;
mod handshakes;
mod instance_repository;
mod message_repository;
mod message_search;
mod node_repository;
mod owed_dead_letters;
mod paces;
mod receipt_inbox;
mod received_messages;
mod reported_sends;
mod sign_in_failures;
mod status_changes;
mod status_subscriptions;
mod storage;
mod stuck_messages;
mod subscriptions;
mod tables;
mod taking;
mod taking_turns;
mod users;
mod weather;

use std::sync::Arc;

use correio::application::ports::Stores;
use correio::infrastructure::storage::sqlite::{ProcessCallTurns, ProcessRequestAllowances};

use super::adapters::Adapters;

pub use api_key_repository::MemoryApiKeyRepository;
pub use broadcasts::MemoryBroadcasts;
pub use cancellations::MemoryCancellations;
pub use database::MemoryDatabase;
pub use deleted_instances::{FAIL, MemoryDeletedInstances};
pub use due_messages::MemoryDueMessages;
pub use events::{MemoryEventRepository, MemoryEventSteps, MemoryEventTypes};
pub use failed_messages::MemoryFailedMessages;
pub use groups::MemoryGroups;
pub use handshakes::MemoryHandshakes;
pub use instance_repository::MemoryInstanceRepository;
pub use message_repository::MemoryMessageRepository;
pub use message_search::MemoryMessageSearch;
pub use node_repository::MemoryNodeRepository;
pub use owed_dead_letters::MemoryOwedDeadLetters;
pub use paces::MemoryPaces;
pub use receipt_inbox::MemoryReceiptInbox;
pub use received_messages::MemoryReceivedMessages;
pub use reported_sends::MemoryReportedSends;
pub use sign_in_failures::MemorySignInFailures;
pub use status_changes::MemoryStatusChanges;
pub use status_subscriptions::MemoryStatusSubscriptions;
pub use storage::MemoryStorage;
pub use stuck_messages::MemoryStuckMessages;
pub use subscriptions::{MemoryEventDeliveries, MemorySubscriptionRepository};
pub use tables::{Bug, CRASH, Change, Payment, Refusal};
pub use taking::TAKE;
pub use users::MemoryUsers;
pub use weather::{Statement, Weather};

impl MemoryDatabase {
    pub fn adapters(&self) -> Adapters {
        let stores = Stores {
            messages: Arc::new(MemoryMessageRepository::new(self.clone())),
            due: Arc::new(MemoryDueMessages::new(self.clone())),
            owed_dead_letters: Arc::new(MemoryOwedDeadLetters::new(self.clone())),
            failed: Arc::new(MemoryFailedMessages::new(self.clone())),
            cancellations: Arc::new(MemoryCancellations::new(self.clone())),
            search: Arc::new(MemoryMessageSearch::new(self.clone())),
            nodes: Arc::new(MemoryNodeRepository::new(self.clone())),
            instances: Arc::new(MemoryInstanceRepository::new(self.clone())),
            deleted_instances: Arc::new(MemoryDeletedInstances::new(self.clone())),
            api_keys: Arc::new(MemoryApiKeyRepository::new(self.clone())),
            storage: Arc::new(MemoryStorage::new(self.clone())),
            receipts: Arc::new(MemoryReceiptInbox::new(self.clone())),
            reported_sends: Arc::new(MemoryReportedSends::new(self.clone())),
            stuck: Arc::new(MemoryStuckMessages::new(self.clone())),
            paces: Arc::new(MemoryPaces::new(self.clone())),
            call_turns: Arc::new(ProcessCallTurns::default()),
            handshakes: Arc::new(MemoryHandshakes::new(self.clone())),
            received: Arc::new(MemoryReceivedMessages::new(self.clone())),
            events: Arc::new(MemoryEventRepository::new(self.clone())),
            event_steps: Arc::new(MemoryEventSteps::new(self.clone())),
            status_subscriptions: Arc::new(MemoryStatusSubscriptions::new(self.clone())),
            status_changes: Arc::new(MemoryStatusChanges::new(self.clone())),
            event_types: Arc::new(MemoryEventTypes::new(self.clone())),
            subscriptions: Arc::new(MemorySubscriptionRepository::new(self.clone())),
            event_deliveries: Arc::new(MemoryEventDeliveries::new(self.clone())),
            users: Arc::new(MemoryUsers::new(self.clone())),
            sign_in_failures: Arc::new(MemorySignInFailures::new(self.clone())),
            request_allowances: Arc::new(ProcessRequestAllowances::default()),
            groups: Arc::new(MemoryGroups::new(self.clone())),
            broadcasts: Arc::new(MemoryBroadcasts::new(self.clone())),
            broadcast_expansion: Arc::new(MemoryBroadcasts::new(self.clone())),
            group_members: Arc::new(MemoryGroups::new(self.clone())),
            group_syncs: Arc::new(MemoryGroups::new(self.clone())),
        };
        Adapters::new(stores, ())
    }
}
