//! The use cases, each with the ports that it asks for.

use std::sync::Arc;

use super::{Access, Instances, Messages, Operations, Ports, Settings, issue_api_key, replay_messages};
use crate::application::delivery::admission::Admission;
use crate::application::events::bells::Bells;
use crate::application::events::receiver::Receiver;
use crate::application::messages::not_before::NotBefore;
use crate::application::messages::open_bound::OpenBound;
use crate::application::messages::turn::Turns;
use crate::application::messages::waiting_callers::WaitingCallers;
use crate::application::node::this_node::ThisNode;
use crate::application::operations::look_at_stores::LookAtStores;
use crate::application::operations::shared_ping::SharedPing;
use crate::application::ports::{Duties, MessageQueue};
use crate::application::receipts::heard_instances::HeardInstances;
use crate::application::receipts::noted_connections::NotedConnections;
use crate::application::receipts::refused_names::RefusedNames;
use crate::application::transport::Transport;
use crate::application::{access, delivery, inbound, instances, messages, node, operations, receipts};
use crate::domain::message::MessageStatus;
use crate::domain::message::dead_letter::DeadLetterPolicy;

impl Ports {
    pub(super) fn deliver_message(
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

    pub(super) fn receive_receipts(&self, dead_letters: DeadLetterPolicy) -> receipts::ReceiveReceipts {
        receipts::ReceiveReceipts { inbox: self.stores.receipts.clone(), clock: self.clock.clone(), dead_letters }
    }

    pub(super) fn receive_messages(&self) -> inbound::ReceiveMessages {
        inbound::ReceiveMessages {
            received: self.stores.received.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        }
    }

    pub(super) fn put_off_message(&self, deliver: &Arc<delivery::DeliverMessage>) -> delivery::PutOffMessage {
        delivery::PutOffMessage {
            messages: self.stores.messages.clone(),
            deliver: deliver.clone(),
            clock: self.clock.clone(),
            pacing: deliver.admission.pacing().clone(),
        }
    }

    pub(super) fn messages(
        &self,
        node: &ThisNode,
        settings: &Settings,
        queue: Arc<dyn MessageQueue>,
        admission: &Admission,
    ) -> Messages {
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
                open_bound: OpenBound::new(
                    self.stores.search.clone(),
                    self.clock.clone(),
                    settings.max_open_per_tenant,
                ),
                not_before: NotBefore { pacing: admission.pacing().clone(), clock: self.clock.clone() },
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

    pub(super) fn receive_events(
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

    pub(super) fn receive_signed_events(&self, events: Arc<receipts::ReceiveEvents>) -> receipts::ReceiveSignedEvents {
        receipts::ReceiveSignedEvents {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            events,
            clock: self.clock.clone(),
        }
    }

    pub(super) fn instances(&self, node: &ThisNode, settings: &Settings, admission: &Admission) -> Instances {
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

    pub(super) fn event_secrets(&self, settings: &Settings) -> instances::EventSecrets {
        instances::EventSecrets {
            instances: self.stores.instances.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            overlap: settings.secret_overlap,
        }
    }

    pub(super) fn connect_instance(&self, settings: &Settings) -> instances::ConnectInstance {
        instances::ConnectInstance {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            public_url: settings.public_url.clone(),
            secrets: self.event_secrets(settings),
        }
    }

    pub(super) fn create_instance(&self, node: &ThisNode) -> instances::CreateInstance {
        instances::CreateInstance {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tenants: node.tenants.clone(),
        }
    }

    pub(super) fn access(&self) -> Access {
        Access {
            authenticate: access::Authenticate {
                api_keys: self.stores.api_keys.clone(),
                tokens: self.tokens.clone(),
                clock: self.clock.clone(),
            },
            issue_api_key: issue_api_key(&self.stores, self.clock.clone(), self.ids.clone()),
        }
    }

    pub(super) fn receiver(&self, bells: &Bells) -> Option<Receiver> {
        let receiver = self.receiver.clone()?;
        Some(Receiver::new(receiver, &self.stores, self.clock.clone(), self.ids.clone(), bells))
    }

    pub(super) fn operations(
        &self,
        node: &ThisNode,
        settings: &Settings,
        transport: &Transport,
        receiver: Option<&Receiver>,
    ) -> Operations {
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
                spool: receiver.map(|receiver| receiver.spool.clone()),
                emergency: receiver.map(|receiver| receiver.emergency.clone()),
                gate: receiver.map(|receiver| receiver.gate.clone()).unwrap_or_default(),
            },
        }
    }

    pub(super) fn keep_node_alive(&self, node: &ThisNode, duties: Duties) -> node::KeepNodeAlive {
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
