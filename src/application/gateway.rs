//! The one place that puts use cases together. `life.rs` starts and stops a process of them.

use std::sync::Arc;
use std::time::Duration;

pub use super::transport::{Brokered, Transport};

use super::delivery::admission::Admission;
use super::delivery::consumption::Limits;
use super::messages::turn::Turns;
use super::messages::waiting_callers::WaitingCallers;
use super::node::this_node::ThisNode;
use super::operations::look_at_stores::LookAtStores;
use super::operations::shared_ping::SharedPing;
use super::ports::{
    Channels, Clock, CredentialsCipher, Duties, Ids, MessageQueue, Randomness, Stores, Tasks, TokenVerifier,
};
use super::receipts::heard_instances::HeardInstances;
use super::receipts::noted_connections::NotedConnections;
use super::receipts::refused_names::RefusedNames;
use super::recovery::pay_dead_letters::PaymentRounds;
use super::recovery::relay_due_messages::RelayRounds;
use super::service::{Repeated, Repeating, Service};
use super::{access, delivery, inbound, instances, messages, node, operations, receipts, recovery};
use crate::domain::message::dead_letter::DeadLetterPolicy;
use crate::domain::message::retry::RetryPolicy;
use crate::domain::message::{MaxTries, MessageStatus};

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
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Tries for a message whose instance and sender name none.
    pub max_tries: MaxTries,
    pub retry: RetryPolicy,
    /// How long a caller of direct mode waits for the result at the most.
    pub direct_timeout: Duration,
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
        let admission = Admission::new(ports.clock.clone(), settings.instance_concurrency);
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
        let events = Arc::new(ports.receive_events(&settings, transport.dead_letters(), &admission));
        Self {
            messages: ports.messages(&node, &settings, queue.clone()),
            instances: ports.instances(&node, &settings, &admission),
            access: ports.access(),
            operations: ports.operations(&node, &settings, &transport),
            signed_events: ports.receive_signed_events(events.clone()),
            events,
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

    /// Everything that the process does in the background beside its heartbeat, each time anew: a loop is added by a line
    /// here.
    pub fn services(&self) -> Vec<Box<dyn Service>> {
        let mut services = vec![
            self.repeating(self.watch_nodes()),
            self.repeating(self.relay_due_messages()),
            self.repeating(self.give_back_forgotten()),
            self.repeating(self.pay_dead_letters()),
            self.repeating(self.forget_ended_nodes()),
            self.repeating(self.empty_deleted_instances()),
            self.repeating(self.maintain_storage()),
            self.repeating(self.overhaul_storage()),
            self.repeating(self.roll_up_counts()),
            self.repeating(self.watch_tenants()),
            self.repeating(self.sweep_receipts()),
            self.repeating(self.decide_phone_messages()),
        ];
        if !self.channels.connectable().is_empty() {
            services.push(self.repeating(self.watch_connections()));
        }
        if let Transport::Brokered(brokered) = &self.transport {
            services.push(Box::new(delivery::KeepBroker { broker: brokered.broker.clone() }));
            services.extend(self.consume_messages(brokered).map(|consume| Box::new(consume) as Box<dyn Service>));
        }
        services
    }

    fn repeating(&self, work: impl Repeated + 'static) -> Box<dyn Service> {
        Box::new(Repeating::new(work, self.ports.clock.clone()))
    }

    fn watch_nodes(&self) -> node::WatchNodes {
        let (nodes, sightings) = (self.ports.stores.nodes.clone(), self.node.sightings.clone());
        node::WatchNodes::new(nodes, self.ports.clock.clone(), sightings)
    }

    fn watch_connections(&self) -> instances::WatchConnections {
        instances::WatchConnections::new(
            self.ports.connect_instance(&self.settings),
            self.ports.stores.nodes.clone(),
            self.node.identity.clone(),
            self.events.heard.clone(),
        )
    }

    fn relay_due_messages(&self) -> recovery::RelayDueMessages {
        let ThisNode { identity, sightings, held, unreconciled, .. } = self.node.clone();
        recovery::RelayDueMessages {
            due: self.ports.stores.due.clone(),
            queue: self.queue.clone(),
            rounds: RelayRounds::default(),
            identity,
            sightings,
            held,
            unreconciled,
            clock: self.ports.clock.clone(),
            tasks: self.ports.tasks.clone(),
            receipts: self.ports.receive_receipts(self.transport.dead_letters()),
        }
    }

    pub fn give_back_forgotten(&self) -> recovery::GiveBackForgotten {
        recovery::GiveBackForgotten {
            due: self.ports.stores.due.clone(),
            identity: self.node.identity.clone(),
            held: self.node.held.clone(),
            answered: self.node.answered.clone(),
            clock: self.ports.clock.clone(),
        }
    }

    pub fn pay_dead_letters(&self) -> recovery::PayDeadLetters {
        let ThisNode { identity, sightings, tally, .. } = self.node.clone();
        recovery::PayDeadLetters {
            owed: self.ports.stores.owed_dead_letters.clone(),
            topic: self.transport.brokered().map(|brokered| brokered.dead_letters.clone()),
            rounds: PaymentRounds::default(),
            identity,
            sightings,
            clock: self.ports.clock.clone(),
            tasks: self.ports.tasks.clone(),
            tally,
        }
    }

    fn forget_ended_nodes(&self) -> recovery::ForgetEndedNodes {
        let (nodes, sightings) = (self.ports.stores.nodes.clone(), self.node.sightings.clone());
        recovery::ForgetEndedNodes::new(nodes, sightings, self.ports.clock.clone())
    }

    fn empty_deleted_instances(&self) -> instances::EmptyDeletedInstances {
        let (deleted, clock) = (self.ports.stores.deleted_instances.clone(), self.ports.clock.clone());
        instances::EmptyDeletedInstances::new(deleted, self.transport.dead_letters(), clock)
    }

    pub fn maintain_storage(&self) -> operations::MaintainStorage {
        let (storage, clock) = (self.ports.stores.storage.clone(), self.ports.clock.clone());
        operations::MaintainStorage::new(storage, clock, self.settings.retention)
    }

    fn overhaul_storage(&self) -> operations::OverhaulStorage {
        operations::OverhaulStorage { storage: self.ports.stores.storage.clone(), clock: self.ports.clock.clone() }
    }

    fn roll_up_counts(&self) -> operations::RollUpCounts {
        operations::RollUpCounts { storage: self.ports.stores.storage.clone() }
    }

    pub fn watch_tenants(&self) -> access::WatchTenants {
        access::WatchTenants { api_keys: self.ports.stores.api_keys.clone(), tenants: self.node.tenants.clone() }
    }

    pub fn sweep_receipts(&self) -> receipts::SweepReceipts {
        let (inbox, clock) = (self.ports.stores.receipts.clone(), self.ports.clock.clone());
        receipts::SweepReceipts::new(inbox, clock, self.transport.dead_letters())
    }

    pub fn decide_phone_messages(&self) -> inbound::DecidePhoneMessages {
        inbound::DecidePhoneMessages {
            received: self.ports.stores.received.clone(),
            clock: self.ports.clock.clone(),
            longest_try: self.channels.longest_try(),
        }
    }

    fn consume_messages(&self, brokered: &Brokered) -> Option<Arc<delivery::ConsumeMessages>> {
        let source = brokered.source.clone()?;
        Some(Arc::new(delivery::ConsumeMessages {
            source,
            broker: brokered.broker.clone(),
            deliver: self.deliver_message.clone(),
            put_off: self.ports.put_off_message(&self.deliver_message),
            admission: self.admission.clone(),
            messages: self.ports.stores.messages.clone(),
            dead_letters: brokered.dead_letters.clone(),
            channels: self.channels.clone(),
            clock: self.ports.clock.clone(),
            tasks: self.ports.tasks.clone(),
            limits: self.settings.limits,
        }))
    }
}

impl Ports {
    fn deliver_message(
        &self,
        node: &ThisNode,
        settings: &Settings,
        dead_letters: DeadLetterPolicy,
        admission: Admission,
    ) -> delivery::DeliverMessage {
        let ThisNode { identity, held, answered, early, tally, tenants, .. } = node.clone();
        delivery::DeliverMessage {
            messages: self.stores.messages.clone(),
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            identity,
            held,
            answered,
            early,
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            policy: settings.retry.clone(),
            dead_letters,
            tally,
            tenants,
            admission,
            receipts: self.receive_receipts(dead_letters),
            one_call: delivery::OneCall {
                turns: self.stores.call_turns.clone(),
                clock: self.clock.clone(),
                tasks: self.tasks.clone(),
            },
        }
    }

    fn receive_receipts(&self, dead_letters: DeadLetterPolicy) -> receipts::ReceiveReceipts {
        receipts::ReceiveReceipts { inbox: self.stores.receipts.clone(), clock: self.clock.clone(), dead_letters }
    }

    fn receive_messages(&self) -> inbound::ReceiveMessages {
        inbound::ReceiveMessages {
            received: self.stores.received.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        }
    }

    fn put_off_message(&self, deliver: &Arc<delivery::DeliverMessage>) -> delivery::PutOffMessage {
        delivery::PutOffMessage {
            messages: self.stores.messages.clone(),
            deliver: deliver.clone(),
            clock: self.clock.clone(),
        }
    }

    fn messages(&self, node: &ThisNode, settings: &Settings, queue: Arc<dyn MessageQueue>) -> Messages {
        let ThisNode { identity, held, unreconciled, early, tally, tenants, .. } = node.clone();
        let node_timeout = identity.timeout();
        let callers_wait = queue.waiting_status() == MessageStatus::Pending;
        Messages {
            send: messages::SendMessage {
                messages: self.stores.messages.clone(),
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
                queue,
                identity,
                held,
                turns: Turns::new(self.ids.clone(), self.clock.clone(), callers_wait),
                callers: WaitingCallers::among(callers_wait.then_some(settings.requests), tenants),
                unreconciled,
                early,
                clock: self.clock.clone(),
                tally,
                max_tries: settings.max_tries,
                direct_timeout: settings.direct_timeout,
            },
            read: messages::ReadMessages { search: self.stores.search.clone(), channels: self.channels.clone() },
            cancel: messages::CancelMessage {
                cancellations: self.stores.cancellations.clone(),
                clock: self.clock.clone(),
                claims_in_doubt: messages::CancelMessage::claims_in_doubt(node_timeout, self.channels.longest_try()),
            },
            replay: replay_messages(&self.stores, self.clock.clone()),
        }
    }

    fn receive_events(
        &self,
        settings: &Settings,
        dead_letters: DeadLetterPolicy,
        admission: &Admission,
    ) -> receipts::ReceiveEvents {
        receipts::ReceiveEvents {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            secrets: self.event_secrets(settings),
            receipts: self.receive_receipts(dead_letters),
            inbound: self.receive_messages(),
            admission: admission.clone(),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            is_open: settings.providers_are_open,
            refused: RefusedNames::default(),
            noted: NotedConnections::default(),
            heard: HeardInstances::default(),
        }
    }

    fn receive_signed_events(&self, events: Arc<receipts::ReceiveEvents>) -> receipts::ReceiveSignedEvents {
        receipts::ReceiveSignedEvents {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            events,
            clock: self.clock.clone(),
        }
    }

    fn instances(&self, node: &ThisNode, settings: &Settings, admission: &Admission) -> Instances {
        Instances {
            check_credentials: instances::CheckCredentials {
                instances: self.stores.instances.clone(),
                cipher: self.cipher.clone(),
            },
            create: self.create_instance(node),
            connect: self.connect_instance(settings),
            read: instances::ReadInstances {
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
            },
            update: instances::UpdateInstance {
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
                cipher: self.cipher.clone(),
                clock: self.clock.clone(),
                tenants: node.tenants.clone(),
                admission: admission.clone(),
            },
            delete: instances::DeleteInstance { instances: self.stores.instances.clone(), clock: self.clock.clone() },
        }
    }

    fn event_secrets(&self, settings: &Settings) -> instances::EventSecrets {
        instances::EventSecrets {
            instances: self.stores.instances.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            overlap: settings.secret_overlap,
        }
    }

    fn connect_instance(&self, settings: &Settings) -> instances::ConnectInstance {
        instances::ConnectInstance {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            public_url: settings.public_url.clone(),
            secrets: self.event_secrets(settings),
        }
    }

    fn create_instance(&self, node: &ThisNode) -> instances::CreateInstance {
        instances::CreateInstance {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tenants: node.tenants.clone(),
        }
    }

    fn access(&self) -> Access {
        Access {
            authenticate: access::Authenticate {
                api_keys: self.stores.api_keys.clone(),
                tokens: self.tokens.clone(),
                clock: self.clock.clone(),
            },
            issue_api_key: issue_api_key(&self.stores, self.clock.clone(), self.ids.clone()),
        }
    }

    fn operations(&self, node: &ThisNode, settings: &Settings, transport: &Transport) -> Operations {
        let brokered = transport.brokered();
        Operations {
            prepare_installation: operations::PrepareInstallation {
                api_keys: self.stores.api_keys.clone(),
                issue_api_key: issue_api_key(&self.stores, self.clock.clone(), self.ids.clone()),
                create_instance: self.create_instance(node),
            },
            report_health: operations::ReportHealth {
                ping: SharedPing::new(self.stores.storage.clone()),
                look: LookAtStores::new(&self.stores, self.clock.clone()),
                clock: self.clock.clone(),
                tally: node.tally.clone(),
                identity: node.identity.clone(),
                broker: brokered.map(|brokered| brokered.broker.clone()),
                source: brokered.and_then(|brokered| brokered.source.clone()),
                only_delivers: settings.only_delivers,
                started_at: self.clock.monotonic(),
            },
        }
    }

    fn keep_node_alive(&self, node: &ThisNode, duties: Duties) -> node::KeepNodeAlive {
        node::KeepNodeAlive {
            nodes: self.stores.nodes.clone(),
            due: self.stores.due.clone(),
            identity: node.identity.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            unreconciled: node.unreconciled.clone(),
            duties,
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
