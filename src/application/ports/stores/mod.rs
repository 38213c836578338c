//! Everything that is stored.

mod api_key_repository;
mod cancellations;
mod deleted_instances;
mod due_messages;
mod events;
mod failed_messages;
mod inbound;
mod instance_repository;
mod message_repository;
mod message_search;
mod node_repository;
mod owed_dead_letters;
mod receipts;
mod storage;

use std::sync::Arc;

use super::channels::{CallTurns, Paces};

pub use api_key_repository::ApiKeyRepository;
pub use cancellations::{Cancellation, Cancellations};
pub use deleted_instances::{DeletedInstances, OpenMessages, Position};
pub use due_messages::{CALLED_IN_AMONG, DueMessages, Forgotten, Retimed, Retiming, Take};
pub use events::{
    DueStep, EmergencySwitch, EventCounts, EventFilter, EventRepository, EventSpool, EventSteps, EventTables,
    FinishedStep, ListedEvents, NewEvent, Portion, Retry, SpoolError, SpoolStanding, StoredEvent,
};
pub use failed_messages::{FailedMessages, FailedSelection, Replay, Replayed};
pub use inbound::{Received, ReceivedMessages};
pub use instance_repository::{BYTES_OF_AN_INSTANCE, InstanceRepository, ListedInstances, SealedInstance};
pub use message_repository::{Accepted, Claimed, KeptRequest, MessageRepository, Outcome};
pub use message_search::{Listed, MessageFilter, MessageSearch, SearchError};
pub use node_repository::{Duties, NodeRepository, NodeRow};
pub use owed_dead_letters::OwedDeadLetters;
pub use receipts::{ReceiptInbox, Swept};
pub use storage::{Storage, WeeksStanding};

/// How many bytes of content ([`Content::bytes`](crate::domain::message::Content::bytes)) are read or changed in one go:
/// one more message while those before it have fewer. So the first comes in any case, and at most one goes beyond.
pub const BYTES_AT_ONCE: u64 = 16 * 1024 * 1024;

/// Everything that is stored, whatever it is stored in.
#[derive(Clone)]
pub struct Stores {
    pub messages: Arc<dyn MessageRepository>,
    pub due: Arc<dyn DueMessages>,
    pub owed_dead_letters: Arc<dyn OwedDeadLetters>,
    pub failed: Arc<dyn FailedMessages>,
    pub cancellations: Arc<dyn Cancellations>,
    pub search: Arc<dyn MessageSearch>,
    pub nodes: Arc<dyn NodeRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub deleted_instances: Arc<dyn DeletedInstances>,
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub storage: Arc<dyn Storage>,
    pub receipts: Arc<dyn ReceiptInbox>,
    pub call_turns: Arc<dyn CallTurns>,
    pub paces: Arc<dyn Paces>,
    pub received: Arc<dyn ReceivedMessages>,
    pub events: Arc<dyn EventRepository>,
    pub event_steps: Arc<dyn EventSteps>,
}
