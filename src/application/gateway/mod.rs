//! The one place that puts use cases together (`use_cases.rs`), and what a process of them does in the background
//! (`services.rs`). `life.rs` starts and stops such a process.

mod services;
mod use_cases;

use std::sync::Arc;
use std::time::Duration;

pub use super::transport::{Brokered, Transport};

use super::delivery::admission::Admission;
use super::delivery::consumption::Limits;
use super::delivery::pacing::Pacing;
use super::events::bells::Bells;
use super::events::receiver::{Receiver, ReceiverPorts};
use super::node::this_node::ThisNode;
use super::ports::{Channels, Clock, CredentialsCipher, Ids, MessageQueue, Randomness, Stores, Tasks, TokenVerifier};
use super::{access, delivery, instances, messages, node, operations, receipts};
use crate::domain::message::MaxTries;
use crate::domain::message::retry::RetryPolicy;

/// What a gateway needs from outside.
#[derive(Clone)]
pub struct Ports {
    pub stores: Stores,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub tokens: Arc<dyn TokenVerifier>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
    pub tasks: Arc<dyn Tasks>,
    /// None: the process takes no events in.
    pub receiver: Option<ReceiverPorts>,
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
    /// Where providers reach this installation.
    pub public_url: Option<String>,
    /// Whether they may report without a secret.
    pub providers_are_open: bool,
    /// How long a secret that was replaced stays good beside its successor.
    pub secret_overlap: Duration,
}

/// One process: its use cases, and what it does in the background.
pub struct Gateway {
    pub messages: Messages,
    pub instances: Instances,
    pub access: Access,
    pub operations: Operations,
    pub events: Arc<receipts::ReceiveEvents>,
    pub signed_events: receipts::ReceiveSignedEvents,
    /// None: the process takes no events in.
    pub receiver: Option<Receiver>,
    /// For those who handle events.
    pub bells: Bells,
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

pub struct Access {
    pub authenticate: access::Authenticate,
    pub issue_api_key: access::IssueApiKey,
}

pub struct Operations {
    pub prepare_installation: operations::PrepareInstallation,
    pub report_health: operations::ReportHealth,
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
        let bells = Bells::default();
        let receiver = ports.receiver(&bells);
        let events = Arc::new(ports.receive_events(&settings, transport.dead_letters(), &admission));
        Self {
            messages: ports.messages(&node, &settings, queue.clone(), &admission),
            instances: ports.instances(&node, &settings, &admission),
            access: ports.access(),
            operations: ports.operations(&node, &settings, &transport, receiver.as_ref()),
            signed_events: ports.receive_signed_events(events.clone()),
            events,
            receiver,
            bells,
            channels: ports.channels.clone(),
            keep_node_alive: ports.keep_node_alive(&node, transport.duties()),
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

/// Also for a command, which serves nothing.
pub fn issue_api_key(stores: &Stores, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> access::IssueApiKey {
    access::IssueApiKey { api_keys: stores.api_keys.clone(), clock, ids }
}

/// Also for a command, which serves nothing.
pub fn replay_messages(stores: &Stores, clock: Arc<dyn Clock>) -> messages::ReplayMessages {
    messages::ReplayMessages { failed: stores.failed.clone(), clock }
}
