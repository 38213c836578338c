//! Everything we need from outside, one small trait per file. A trait's doc is its contract.

pub mod channels;
pub mod process;
mod repository_error;
pub mod sources;
pub mod stores;
pub mod transport;
pub mod until_answered;

pub use channels::{
    Account, CallTurns, ChannelConnector, ChannelSender, Channels, CipherError, Code, Connection, CredentialsCipher,
    Delivery, EventAddress, EventReader, NewCredentials, Paces, ProviderEvent, SECRET_HEADER, SignedEventReader,
    SlotsAsked,
};
pub use process::{Clock, Ids, Randomness, Tasks, TokenError, TokenVerifier};
pub use repository_error::RepositoryError;
pub use sources::{NotAReport, Report, WebhookReader};
pub use stores::{
    Accepted, ApiKeyRepository, BYTES_AT_ONCE, BYTES_OF_AN_INSTANCE, CALLED_IN_AMONG, Cancellation, Cancellations,
    Claimed, DeletedInstances, DueMessages, DueStep, Duties, EmergencySwitch, EventCounts, EventFilter,
    EventRepository, EventSpool, EventSteps, EventTables, FailedMessages, FailedSelection, FinishedStep, Forgotten,
    InstanceRepository, KeptRequest, Listed, ListedEvents, ListedInstances, MessageFilter, MessageRepository,
    MessageSearch, NewEvent, NodeRepository, NodeRow, OpenMessages, Outcome, OwedDeadLetters, Portion, Position,
    ReceiptInbox, Received, ReceivedMessages, Replay, Replayed, Retimed, Retiming, Retry, SealedInstance, SearchError,
    SpoolError, SpoolStanding, Storage, StoredEvent, Stores, Swept, Take, WeeksStanding,
};
pub use transport::{
    Arrival, Broker, DeadLetterTopic, DeliveryRequest, Handover, KeptOut, MessageQueue, MessageSource, Partition,
    QueueError, QueueScope, Record,
};
