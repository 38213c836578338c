//! Everything we need from outside, one small trait per file. A trait's doc is its contract.

pub mod channels;
pub mod expressions;
pub mod process;
mod repository_error;
pub mod sources;
pub mod stores;
pub mod transport;
pub mod until_answered;

pub use channels::{
    Account, CallTurns, ChannelConnector, ChannelSender, Channels, CipherError, Code, Connection, CredentialsCipher,
    Delivery, EventAddress, EventReader, GroupDirectory, Handshakes, NewCredentials, Paces, Participant,
    ProvidedGroups, ProviderEvent, ProviderGroup, SECRET_HEADER, SignedEventReader, SlotsAsked,
};
pub use expressions::{EvaluationError, EventExpressions, EventSchemas, ExpressionError};
pub use process::{Clock, Ids, Passwords, PasswordsError, Randomness, Tasks, TokenError, TokenIssuer, TokenVerifier};
pub use repository_error::RepositoryError;
pub use sources::{NotAReport, Report, WebhookReader};
pub use stores::{
    Accepted, AcceptedBroadcast, Added, Allowance, ApiKeyRepository, BYTES_AT_ONCE, BYTES_OF_AN_INSTANCE,
    BroadcastChange, BroadcastExpansion, BroadcastRepository, CALLED_IN_AMONG, Cancellation, Cancellations,
    CancelledMessages, ChangedBroadcast, Claimed, Compose, DeletedInstances, DueMessages, DueStep, Duties,
    EmergencySwitch, EventCounts, EventDeliveries, EventFilter, EventMessage, EventRepository, EventSpool, EventSteps,
    EventTables, EventType, EventTypes, FailedMessages, FailedSelection, FinishedStep, Forgotten, GroupMembers,
    GroupRepository, GroupSyncs, IN_A_TURN, INSTANCES_A_PAGE, InstanceRepository, InstancesPage, KeptBroadcast,
    KeptRequest, Listed, ListedEvents, ListedGroups, ListedInstances, ListedMembers, MOST_COUNTED, MessageFilter,
    MessageRepository, MessageSearch, NOT_APART, NewDelivery, NewEvent, NodeRepository, NodeRow, OpenMessages, Outcome,
    OwedDeadLetters, Portion, Position, Purposes, Recall, ReceiptInbox, Received, ReceivedMessages, Replay, Replayed,
    ReportedSends, RequestAllowances, Retimed, Retiming, Retry, SealedInstance, SearchError, SignInEnd, SignInFailures,
    SpoolError, SpoolStanding, StatusChanges, StatusSubscriptions, Storage, StoredEvent, Stores, StuckMessages,
    SubscriptionRepository, Swept, TURNS_AT_ONCE, Take, TakeBroadcasts, Told, Turns, TurnsTaken, Users, WeeksStanding,
};
pub use transport::{
    AdministrationError, Arrival, Broker, BrokerNode, Cluster, CommittedOffset, ConsumerSettings, DeadLetterTopic,
    DeliveryRequest, Group, GroupAdministration, GroupState, Handover, KeptOut, LONGEST_PUBLICATION, ListedGroup,
    Member, MessageQueue, MessageSource, NewTopic, Partition, Place, Protocol, PublishError, PublishErrorKind,
    QueueError, QueueScope, ReadBounds, ReadRecord, Record, RecordConsumer, RecordConsumers, Refusal, SeekTo,
    SettingChange, SettingSynonym, Subscription, Topic, TopicAdministration, TopicPartition, TopicPartitionState,
    TopicProducer, TopicSetting,
};
