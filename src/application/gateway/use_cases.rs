//! The use cases, each with the ports that it asks for.

use std::sync::Arc;

use super::{
    Access, Broadcasts, Groups, Instances, KafkaRestPorts, Messages, Operations, Ports, Reporting, Settings,
    StatusWebhookParts, StatusWebhooks, Subscriptions, Topics, issue_api_key, replay_messages, status_webhooks,
};
use crate::application::delivery::admission::Admission;
use crate::application::events::bells::Bells;
use crate::application::events::receiver::Receiver;
use crate::application::events::reporting;
use crate::application::messages::not_before::NotBefore;
use crate::application::messages::open_bound::OpenBound;
use crate::application::messages::turn::Turns;
use crate::application::messages::waiting_callers::WaitingCallers;
use crate::application::node::this_node::ThisNode;
use crate::application::operations::look_at_stores::LookAtStores;
use crate::application::operations::seen_brokers::SeenBrokers;
use crate::application::operations::shared_ping::SharedPing;
use crate::application::ports::{DeadLetterTopic, Duties, MessageQueue};
use crate::application::receipts::heard_instances::HeardInstances;
use crate::application::receipts::noted_connections::NotedConnections;
use crate::application::receipts::noted_receipts::NotedReceipts;
use crate::application::receipts::refused_names::RefusedNames;
use crate::application::transport::Transport;
use crate::application::{
    access, broadcasts, delivery, groups, inbound, instances, kafka_rest, messages, node, operations, receipts,
    sources, subscriptions, topics,
};
use crate::domain::message::MessageStatus;
use crate::domain::message::dead_letter::DeadLetterPolicy;
use futures::lock::Mutex;

impl Ports {
    pub(super) fn deliver_message(
        &self,
        node: &ThisNode,
        settings: &Settings,
        dead_letters: DeadLetterPolicy,
        admission: Admission,
    ) -> delivery::DeliverMessage {
        let ThisNode { identity, held, answered, early, confirmations, tally, tenants, .. } = node.clone();
        delivery::DeliverMessage {
            messages: self.stores.messages.clone(),
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            identity,
            held,
            answered,
            early,
            confirmations,
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
        open_bound: Arc<OpenBound>,
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
                open_bound,
                broadcasts: self.stores.broadcasts.clone(),
                not_before: NotBefore { pacing: admission.pacing().clone(), clock: self.clock.clone() },
            },
            read: messages::ReadMessages {
                search: self.stores.search.clone(),
                channels: self.channels.clone(),
                stuck: self.stuck_rule(settings),
                clock: self.clock.clone(),
            },
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
        noted_receipts: NotedReceipts,
    ) -> receipts::ReceiveEvents {
        receipts::ReceiveEvents {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            secrets: self.event_secrets(settings),
            receipts: self.receive_receipts(dead_letters),
            inbound: self.receive_messages(),
            sends: self.stores.reported_sends.clone(),
            admission: admission.clone(),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            is_open: settings.providers_are_open,
            refused: RefusedNames::default(),
            passed_over: RefusedNames::default(),
            noted: NotedConnections::default(),
            noted_receipts,
            heard: HeardInstances::default(),
        }
    }

    pub(super) fn count_stuck(&self, settings: &Settings, noted: NotedReceipts) -> receipts::CountStuck {
        let rule = self.stuck_rule(settings);
        receipts::CountStuck::new(self.stores.stuck.clone(), rule, noted, self.clock.clone())
    }

    fn stuck_rule(&self, settings: &Settings) -> receipts::StuckRule {
        receipts::StuckRule::new(self.channels.clone(), settings.stuck_after.clone())
    }

    pub(super) fn receive_signed_events(&self, events: Arc<receipts::ReceiveEvents>) -> receipts::ReceiveSignedEvents {
        receipts::ReceiveSignedEvents {
            handshakes: receipts::ShakeHands {
                handshakes: self.stores.handshakes.clone(),
                channels: self.channels.clone(),
                cipher: self.cipher.clone(),
            },
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

    /// One for all that makes messages.
    pub(super) fn open_bound(&self, settings: &Settings) -> Arc<OpenBound> {
        let (search, broadcasts) = (self.stores.search.clone(), self.stores.broadcasts.clone());
        Arc::new(OpenBound::new(search, broadcasts, self.clock.clone(), settings.max_open_per_tenant))
    }

    pub(super) fn broadcasts(&self, node: &ThisNode, settings: &Settings, open_bound: Arc<OpenBound>) -> Broadcasts {
        let (broadcasts, clock) = (self.stores.broadcasts.clone(), self.clock.clone());
        let (node_timeout, longest_try) = (node.identity.timeout(), self.channels.longest_try());
        Broadcasts {
            send: broadcasts::SendBroadcast {
                broadcasts: broadcasts.clone(),
                groups: self.stores.groups.clone(),
                members: self.stores.group_members.clone(),
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
                identity: node.identity.clone(),
                clock: clock.clone(),
                ids: self.ids.clone(),
                max_tries: settings.max_tries,
                messages: self.stores.messages.clone(),
                open_bound,
            },
            read: broadcasts::ReadBroadcasts { broadcasts: broadcasts.clone() },
            change: broadcasts::ChangeBroadcast {
                broadcasts,
                clock,
                claims_in_doubt: messages::CancelMessage::claims_in_doubt(node_timeout, longest_try),
            },
        }
    }

    pub(super) fn groups(&self, callers_wait: bool) -> Groups {
        let (groups, members) = (self.stores.groups.clone(), self.stores.group_members.clone());
        let (instances, clock, ids) = (self.stores.instances.clone(), self.clock.clone(), self.ids.clone());
        Groups {
            create: groups::CreateGroup {
                groups: groups.clone(),
                instances: instances.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            read: groups::ReadGroups { groups: groups.clone(), members: members.clone() },
            change: groups::ChangeGroups { groups: groups.clone(), clock: clock.clone() },
            members: groups::ChangeMembers {
                groups: groups.clone(),
                members: members.clone(),
                instances: instances.clone(),
                channels: self.channels.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            send: groups::SendToGroup {
                groups,
                instances: instances.clone(),
                broadcasts: self.stores.broadcasts.clone(),
                members,
                clock: clock.clone(),
                callers_wait,
            },
            sync: groups::SyncGroups {
                instances,
                syncs: self.stores.group_syncs.clone(),
                channels: self.channels.clone(),
                cipher: self.cipher.clone(),
                clock,
                ids,
            },
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

    pub(super) fn status_webhooks(
        &self,
        node: &ThisNode,
        settings: &Settings,
        admission: &Admission,
    ) -> StatusWebhooks {
        status_webhooks(StatusWebhookParts {
            subscriptions: self.stores.status_subscriptions.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tenants: node.tenants.clone(),
            admission: admission.clone(),
            overlap: settings.secret_overlap,
            timeout: settings.direct_timeout,
        })
    }

    pub(super) fn access(&self, settings: &Settings) -> Access {
        Access {
            authenticate: access::Authenticate {
                api_keys: self.stores.api_keys.clone(),
                tokens: self.tokens.clone(),
                users: self.stores.users.clone(),
                clock: self.clock.clone(),
            },
            issue_api_key: issue_api_key(&self.stores, self.clock.clone(), self.ids.clone()),
            sign_in: access::SignIn {
                users: self.stores.users.clone(),
                failures: self.stores.sign_in_failures.clone(),
                passwords: self.passwords.clone(),
                tokens: self.token_issuer.clone(),
                clock: self.clock.clone(),
                token_lives: settings.sign_in_ttl,
            },
            limit_requests: access::LimitRequests::new(
                self.stores.request_allowances.clone(),
                self.clock.clone(),
                settings.request_limits,
            ),
        }
    }

    pub(super) fn reporting(&self, bells: &Bells) -> Reporting {
        let (stores, clock) = (&self.stores, &self.clock);
        Reporting {
            report: reporting::ReportEvent {
                events: stores.events.clone(),
                types: stores.event_types.clone(),
                schemas: self.schemas.clone(),
                ids: self.ids.clone(),
                clock: clock.clone(),
                bells: bells.clone(),
            },
            read: reporting::ReadEvents {
                events: stores.events.clone(),
                deliveries: stores.event_deliveries.clone(),
                clock: clock.clone(),
                bells: bells.clone(),
            },
            types: reporting::RegisterType {
                types: stores.event_types.clone(),
                schemas: self.schemas.clone(),
                clock: clock.clone(),
            },
        }
    }

    pub(super) fn receive_report(&self, bells: &Bells) -> sources::ReceiveReport {
        sources::ReceiveReport {
            sources: self.sources.clone(),
            events: self.stores.events.clone(),
            schemas: self.schemas.clone(),
            expressions: self.expressions.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
            bells: bells.clone(),
        }
    }

    pub(super) fn shape_message(&self, node: &ThisNode) -> subscriptions::ShapeMessage {
        subscriptions::ShapeMessage {
            expressions: self.expressions.clone(),
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            identity: Some(node.identity.clone()),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        }
    }

    pub(super) fn subscriptions(&self, node: &ThisNode) -> Subscriptions {
        let stores = &self.stores;
        Subscriptions {
            manage: subscriptions::ManageSubscriptions {
                subscriptions: stores.subscriptions.clone(),
                instances: stores.instances.clone(),
                expressions: self.expressions.clone(),
                channels: self.channels.clone(),
                ids: self.ids.clone(),
                clock: self.clock.clone(),
            },
            try_out: subscriptions::TrySubscription {
                subscriptions: stores.subscriptions.clone(),
                shape: self.shape_message(node),
            },
            replay: subscriptions::ReplayEvents {
                subscriptions: stores.subscriptions.clone(),
                events: stores.events.clone(),
                deliveries: stores.event_deliveries.clone(),
                shape: self.shape_message(node),
                clock: self.clock.clone(),
            },
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
        stuck: &Arc<receipts::CountStuck>,
    ) -> Operations {
        let brokered = transport.brokered();
        let brokers = SeenBrokers {
            broker: brokered.map(|brokered| brokered.broker.clone()),
            topics: self.topics.as_ref().map(|topics| topics.producer.clone()),
        };
        Operations {
            prepare_installation: operations::PrepareInstallation {
                api_keys: self.stores.api_keys.clone(),
                issue_api_key: issue_api_key(&self.stores, self.clock.clone(), self.ids.clone()),
                create_instance: self.create_instance(node),
            },
            report_health: operations::ReportHealth {
                ping: SharedPing::new(self.stores.storage.clone()),
                look: LookAtStores::new(&self.stores, self.clock.clone()),
                stuck: stuck.clone(),
                clock: self.clock.clone(),
                tally: node.tally.clone(),
                identity: node.identity.clone(),
                hindrances: node.hindrances.clone(),
                brokers: brokers.clone(),
                source: brokered.and_then(|brokered| brokered.source.clone()),
                only_delivers: settings.only_delivers,
                started_at: self.clock.monotonic(),
                spool: receiver.map(|receiver| receiver.spool.clone()),
                emergency: receiver.map(|receiver| receiver.emergency.clone()),
                gate: receiver.map(|receiver| receiver.gate.clone()).unwrap_or_default(),
            },
            report_metrics: operations::ReportMetrics {
                search: self.stores.search.clone(),
                owed: self.stores.owed_dead_letters.clone(),
                clock: self.clock.clone(),
                tally: node.tally.clone(),
                events: node.events.clone(),
                brokers,
                started_at: self.clock.monotonic(),
                last: Mutex::default(),
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

    pub(super) fn topics(&self, node: &ThisNode, deliver: Arc<delivery::DeliverMessage>) -> Topics {
        Topics {
            publish: topics::PublishRecords {
                messages: self.stores.messages.clone(),
                instance: topics::TopicsInstance {
                    instances: self.stores.instances.clone(),
                    create: self.create_instance(node),
                },
                deliver,
                node: node.clone(),
                ids: self.ids.clone(),
                clock: self.clock.clone(),
                tasks: self.tasks.clone(),
            },
        }
    }

    /// Where a failed message's record goes, as far as this process publishes any.
    pub(super) fn dead_letters(&self, transport: &Transport) -> Option<Arc<dyn DeadLetterTopic>> {
        let others = transport.brokered().map(|brokered| brokered.dead_letters.clone());
        let Some(topics) = &self.topics else { return others };
        let (producer, topic) = (topics.producer.clone(), topics.dead_letters.clone());
        Some(Arc::new(topics::DeadRecords { producer, topic, others }))
    }

    /// With topics, dead letters are published also where messages travel without a broker.
    pub(super) fn duties(&self, transport: &Transport) -> Duties {
        let duties = transport.duties();
        Duties { publishes: duties.publishes || self.topics.is_some(), ..duties }
    }

    pub(super) fn kafka_rest(&self) -> Option<kafka_rest::KafkaRest> {
        let KafkaRestPorts { topics, groups, consumers, own_group, own_topics } = self.kafka_rest.clone()?;
        let (groups, reset_offsets) = kafka_rest::groups(&topics, &groups, own_group.clone());
        let consumers = kafka_rest::ConsumerInstances::new(consumers, self.clock.clone(), self.ids.clone(), own_group);
        let delete_topic = kafka_rest::DeleteTopic { topics: topics.clone(), own: own_topics };
        Some(kafka_rest::KafkaRest { topics, delete_topic, groups, reset_offsets, consumers: Arc::new(consumers) })
    }
}
