//! Everything that is stored.

mod access;
mod api_key_repository;
mod broadcasts;
mod cancellations;
mod deleted_instances;
mod due_messages;
mod events;
mod failed_messages;
mod groups;
mod inbound;
mod instance_repository;
mod message_repository;
mod message_search;
mod node_repository;
mod owed_dead_letters;
mod receipts;
mod status_webhooks;
mod storage;
mod subscriptions;

use std::sync::Arc;

use super::channels::{CallTurns, Handshakes, Paces};

pub use access::{Allowance, RequestAllowances, SignInEnd, SignInFailures, Users};
pub use api_key_repository::ApiKeyRepository;
pub use broadcasts::{
    AcceptedBroadcast, BroadcastChange, BroadcastExpansion, BroadcastRepository, CancelledMessages, ChangedBroadcast,
    KeptBroadcast, TakeBroadcasts,
};
pub use cancellations::{Cancellation, Cancellations};
pub use deleted_instances::{DeletedInstances, OpenMessages, Position};
pub use due_messages::{
    CALLED_IN_AMONG, DueMessages, Forgotten, IN_A_TURN, Recall, Retimed, Retiming, TURNS_AT_ONCE, Take, Turns,
    TurnsTaken,
};
pub use events::{
    DueStep, EmergencySwitch, EventCounts, EventFilter, EventRepository, EventSpool, EventSteps, EventTables,
    EventType, EventTypes, FinishedStep, ListedEvents, NewEvent, Portion, Retry, SpoolError, SpoolStanding,
    StoredEvent,
};
pub use failed_messages::{FailedMessages, FailedSelection, Replay, Replayed};
pub use groups::{Added, GroupMembers, GroupRepository, GroupSyncs, ListedGroups, ListedMembers};
pub use inbound::{NOT_APART, Received, ReceivedMessages};
pub use instance_repository::{
    BYTES_OF_AN_INSTANCE, INSTANCES_A_PAGE, InstanceRepository, InstancesPage, ListedInstances, SealedInstance,
};
pub use message_repository::{Accepted, Claimed, KeptRequest, MessageRepository, Outcome};
pub use message_search::{Listed, MessageFilter, MessageSearch, Purposes, SearchError};
pub use node_repository::{Duties, NodeRepository, NodeRow};
pub use owed_dead_letters::OwedDeadLetters;
pub use receipts::{MOST_COUNTED, ReceiptInbox, ReportedSends, StuckMessages, Swept};
pub use status_webhooks::{Compose, StatusChanges, StatusSubscriptions, Told};
pub use storage::{Storage, WeeksStanding};
pub use subscriptions::{EventDeliveries, EventMessage, NewDelivery, SubscriptionRepository};

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
    pub reported_sends: Arc<dyn ReportedSends>,
    pub stuck: Arc<dyn StuckMessages>,
    pub call_turns: Arc<dyn CallTurns>,
    pub handshakes: Arc<dyn Handshakes>,
    pub paces: Arc<dyn Paces>,
    pub received: Arc<dyn ReceivedMessages>,
    pub events: Arc<dyn EventRepository>,
    pub event_steps: Arc<dyn EventSteps>,
    pub status_subscriptions: Arc<dyn StatusSubscriptions>,
    pub status_changes: Arc<dyn StatusChanges>,
    pub event_types: Arc<dyn EventTypes>,
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub event_deliveries: Arc<dyn EventDeliveries>,
    pub users: Arc<dyn Users>,
    pub sign_in_failures: Arc<dyn SignInFailures>,
    pub request_allowances: Arc<dyn RequestAllowances>,
    pub groups: Arc<dyn GroupRepository>,
    pub broadcasts: Arc<dyn BroadcastRepository>,
    pub broadcast_expansion: Arc<dyn BroadcastExpansion>,
    pub group_members: Arc<dyn GroupMembers>,
    pub group_syncs: Arc<dyn GroupSyncs>,
}
