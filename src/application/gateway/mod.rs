//! The one place that puts use cases together (`use_cases.rs`), and what a process of them does in the background
//! (`services.rs`). `life.rs` starts and stops such a process.

mod services;
mod use_cases;

use std::sync::Arc;
use std::time::Duration;

pub use super::transport::{Brokered, Transport};

use super::access::met_tenants::MetTenants;
use super::delivery::admission::Admission;
use super::delivery::consumption::Limits;
use super::delivery::pacing::Pacing;
use super::events::bells::Bells;
use super::events::receiver::{Receiver, ReceiverPorts};
use super::events::reporting;
use super::node::this_node::ThisNode;
use super::ports::{
    Channels, Clock, CredentialsCipher, EventExpressions, EventSchemas, GroupAdministration, Ids, MessageQueue,
    Passwords, Randomness, RecordConsumers, StatusSubscriptions, Stores, Tasks, TokenIssuer, TokenVerifier,
    TopicAdministration, TopicProducer,
};
use super::receipts::noted_receipts::NotedReceipts;
use super::{
    access, broadcasts, delivery, groups, instances, kafka_rest, messages, node, operations, receipts, sources,
    status_webhooks, subscriptions, topics,
};
use crate::domain::Timestamp;
use crate::domain::access::request_limit::RequestLimits;
use crate::domain::message::retry::RetryPolicy;
use crate::domain::message::{MaxTries, MessageStatus};
use crate::domain::receipt::StuckAfter;
use crate::domain::source::Source;

/// What a gateway needs from outside.
#[derive(Clone)]
pub struct Ports {
    pub stores: Stores,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub tokens: Arc<dyn TokenVerifier>,
    pub token_issuer: Arc<dyn TokenIssuer>,
    pub passwords: Arc<dyn Passwords>,
    pub expressions: Arc<dyn EventExpressions>,
    pub schemas: Arc<dyn EventSchemas>,
    /// As the configuration describes them.
    pub sources: Arc<[Arc<Source>]>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
    pub tasks: Arc<dyn Tasks>,
    /// None: the process takes no events in.
    pub receiver: Option<ReceiverPorts>,
    /// None: no brokers are configured.
    pub topics: Option<TopicPorts>,
    /// None: no brokers are configured.
    pub kafka_rest: Option<KafkaRestPorts>,
}

/// The way to topics of clients, however messages travel.
#[derive(Clone)]
pub struct TopicPorts {
    pub producer: Arc<dyn TopicProducer>,
    /// Where records that could not be published go.
    pub dead_letters: String,
}

/// What is asked of a Kafka beside publishing.
#[derive(Clone)]
pub struct KafkaRestPorts {
    pub topics: Arc<dyn TopicAdministration>,
    pub groups: Arc<dyn GroupAdministration>,
    pub consumers: Arc<dyn RecordConsumers>,
    /// The group that messages are delivered by, where they travel through this Kafka.
    pub own_group: Option<String>,
    /// Those that nobody deletes through it.
    pub own_topics: Vec<kafka_rest::OwnTopic>,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Tries for a message whose instance and sender name none.
    pub max_tries: MaxTries,
    pub retry: RetryPolicy,
    /// How long a caller of direct mode waits for the result at the most.
    pub direct_timeout: Duration,
    /// How many messages of one tenant may be open; none: as many as there are.
    pub max_open_per_tenant: Option<u64>,
    /// What the consumer, or in direct mode the relay, works on at the same time.
    pub limits: Limits,
    /// How many of these one instance may have.
    pub instance_concurrency: usize,
    /// Requests that the process handles at the same time.
    pub requests: usize,
    /// How long a stopping process waits for what it has begun.
    pub shutdown_timeout: Duration,
    /// How long messages are kept; none: for ever.
    pub retention: Option<Duration>,
    /// No other process can use the stores now.
    pub is_alone: bool,
    /// The process is there to deliver and for nothing else: without its source it is not ready.
    pub only_delivers: bool,
    /// Messages of one broadcast that may be open at the same time.
    pub broadcast_ahead: u32,
    /// Where providers reach this installation.
    pub public_url: Option<String>,
    /// Whether they may report without a secret.
    pub providers_are_open: bool,
    /// How long a secret that was replaced stays good beside its successor.
    pub secret_overlap: Duration,
    /// How long a message may be `sent` before it counts as stuck.
    pub stuck_after: StuckAfter,
    /// How long the token of a user who signed in lives.
    pub sign_in_ttl: Duration,
    /// None: callers may ask as often as they like.
    pub request_limits: Option<RequestLimits>,
}

/// One process: its use cases, and what it does in the background.
pub struct Gateway {
    pub messages: Messages,
    pub instances: Instances,
    pub groups: Groups,
    pub broadcasts: Broadcasts,
    pub access: Access,
    pub status_webhooks: StatusWebhooks,
    pub operations: Operations,
    pub topics: Topics,
    pub reporting: Reporting,
    pub subscriptions: Subscriptions,
    pub sources: sources::ReceiveReport,
    /// None: no brokers are configured.
    pub kafka_rest: Option<kafka_rest::KafkaRest>,
    pub events: Arc<receipts::ReceiveEvents>,
    pub signed_events: receipts::ReceiveSignedEvents,
    /// None: the process takes no events in.
    pub receiver: Option<Receiver>,
    /// For those who handle events.
    pub bells: Bells,
    pub stuck: Arc<receipts::CountStuck>,
    pub channels: Channels,
    pub node: ThisNode,
    pub keep_node_alive: node::KeepNodeAlive,
    pub queue: Arc<dyn MessageQueue>,
    deliver_message: Arc<delivery::DeliverMessage>,
    admission: Admission,
    pub(super) ports: Ports,
    pub(super) transport: Transport,
    pub(super) settings: Settings,
}

pub struct Messages {
    pub send: messages::SendMessage,
    pub read: messages::ReadMessages,
    pub cancel: messages::CancelMessage,
    pub replay: messages::ReplayMessages,
}

pub struct Instances {
    pub check_credentials: instances::CheckCredentials,
    pub create: instances::CreateInstance,
    pub connect: instances::ConnectInstance,
    pub read: instances::ReadInstances,
    pub update: instances::UpdateInstance,
    pub delete: instances::DeleteInstance,
}

pub struct StatusWebhooks {
    pub create: status_webhooks::CreateSubscription,
    pub read: status_webhooks::ReadSubscriptions,
    pub change: status_webhooks::ChangeSubscription,
    pub attempt: status_webhooks::TrySubscription,
}

pub struct Broadcasts {
    pub send: broadcasts::SendBroadcast,
    pub read: broadcasts::ReadBroadcasts,
    pub change: broadcasts::ChangeBroadcast,
}

pub struct Groups {
    pub create: groups::CreateGroup,
    pub read: groups::ReadGroups,
    pub change: groups::ChangeGroups,
    pub members: groups::ChangeMembers,
    pub sync: groups::SyncGroups,
    pub send: groups::SendToGroup,
}

pub struct Access {
    pub authenticate: access::Authenticate,
    pub issue_api_key: access::IssueApiKey,
    pub sign_in: access::SignIn,
    pub limit_requests: access::LimitRequests,
}

pub struct Reporting {
    pub report: reporting::ReportEvent,
    pub read: reporting::ReadEvents,
    pub types: reporting::RegisterType,
}

pub struct Subscriptions {
    pub manage: subscriptions::ManageSubscriptions,
    pub try_out: subscriptions::TrySubscription,
    pub replay: subscriptions::ReplayEvents,
}

pub struct Topics {
    pub publish: topics::PublishRecords,
}

pub struct Operations {
    pub prepare_installation: operations::PrepareInstallation,
    pub report_health: operations::ReportHealth,
    pub report_metrics: operations::ReportMetrics,
}

impl Gateway {
    /// Puts the use cases together. Nothing runs yet.
    pub fn assemble(ports: Ports, transport: Transport, node: ThisNode, settings: Settings) -> Self {
        let pacing = Pacing::new(ports.stores.paces.clone(), ports.clock.clone(), ports.tasks.clone());
        let admission = Admission::new(ports.clock.clone(), settings.instance_concurrency, pacing);
        let deliver_message =
            Arc::new(ports.deliver_message(&node, &settings, transport.dead_letters(), admission.clone()));
        let queue = match &transport {
            Transport::Direct => {
                let put_off = ports.put_off_message(&deliver_message);
                let concurrency = settings.limits.concurrency;
                Arc::new(delivery::DirectMessageQueue::new(
                    deliver_message.clone(),
                    put_off,
                    admission.clone(),
                    concurrency,
                ))
            }
            Transport::Brokered(brokered) => brokered.queue.clone(),
        };
        let open_bound = ports.open_bound(&settings);
        let bells = Bells::default();
        let receiver = ports.receiver(&bells);
        let noted_receipts = NotedReceipts::default();
        let stuck = Arc::new(ports.count_stuck(&settings, noted_receipts.clone()));
        let events = Arc::new(ports.receive_events(&settings, transport.dead_letters(), &admission, noted_receipts));
        Self {
            messages: ports.messages(&node, &settings, queue.clone(), &admission, open_bound.clone()),
            instances: ports.instances(&node, &settings, &admission),
            groups: ports.groups(queue.waiting_status() == MessageStatus::Pending),
            broadcasts: ports.broadcasts(&node, &settings, open_bound),
            status_webhooks: ports.status_webhooks(&node, &settings, &admission),
            operations: ports.operations(&node, &settings, &transport, receiver.as_ref(), &stuck),
            topics: ports.topics(&node, deliver_message.clone()),
            access: ports.access(&settings),
            reporting: ports.reporting(&bells),
            subscriptions: ports.subscriptions(&node),
            sources: ports.receive_report(&bells),
            kafka_rest: ports.kafka_rest(),
            signed_events: ports.receive_signed_events(events.clone()),
            events,
            receiver,
            bells,
            stuck,
            channels: ports.channels.clone(),
            keep_node_alive: ports.keep_node_alive(&node, ports.duties(&transport)),
            node,
            queue,
            deliver_message,
            admission,
            ports,
            transport,
            settings,
        }
    }
}

impl Gateway {
    /// By the clock of this process.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

/// Also for a command, which serves nothing.
pub fn issue_api_key(stores: &Stores, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> access::IssueApiKey {
    access::IssueApiKey { api_keys: stores.api_keys.clone(), clock, ids }
}

/// What the use cases of subscriptions to states need.
pub struct StatusWebhookParts {
    pub subscriptions: Arc<dyn StatusSubscriptions>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub tenants: MetTenants,
    pub admission: Admission,
    /// How long a secret that was replaced signs beside its successor.
    pub overlap: Duration,
    /// How long a caller waits who tries one.
    pub timeout: Duration,
}

/// Also for a command, which serves nothing.
pub fn status_webhooks(parts: StatusWebhookParts) -> StatusWebhooks {
    let StatusWebhookParts { subscriptions, channels, cipher, clock, ids, tenants, admission, overlap, timeout } =
        parts;
    StatusWebhooks {
        create: status_webhooks::CreateSubscription {
            subscriptions: subscriptions.clone(),
            channels: channels.clone(),
            cipher: cipher.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            tenants: tenants.clone(),
        },
        read: status_webhooks::ReadSubscriptions { subscriptions: subscriptions.clone(), clock: clock.clone() },
        change: status_webhooks::ChangeSubscription {
            subscriptions: subscriptions.clone(),
            channels: channels.clone(),
            cipher: cipher.clone(),
            clock: clock.clone(),
            tenants: tenants.clone(),
            admission,
            overlap,
        },
        attempt: status_webhooks::TrySubscription { subscriptions, channels, cipher, clock, ids, tenants, timeout },
    }
}

/// Also for a command, which serves nothing.
pub fn replay_messages(stores: &Stores, clock: Arc<dyn Clock>) -> messages::ReplayMessages {
    messages::ReplayMessages { failed: stores.failed.clone(), clock }
}
