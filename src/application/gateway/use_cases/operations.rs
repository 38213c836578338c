//! How a process is operated, and what Kafka is asked for.

use crate::application::events::receiver::Receiver;
use crate::application::gateway::KafkaRestPorts;
use crate::application::gateway::Operations;
use crate::application::gateway::Ports;
use crate::application::gateway::Settings;
use crate::application::gateway::issue_api_key;
use crate::application::kafka_rest;
use crate::application::node;
use crate::application::node::this_node::ThisNode;
use crate::application::operations;
use crate::application::operations::look_at_stores::LookAtStores;
use crate::application::operations::seen_brokers::SeenBrokers;
use crate::application::operations::shared_ping::SharedPing;
use crate::application::ports::DeadLetterTopic;
use crate::application::ports::Duties;
use crate::application::receipts;
use crate::application::topics;
use crate::application::transport::Transport;
use futures::lock::Mutex;
use std::sync::Arc;

impl Ports {
    pub(in crate::application::gateway) fn operations(
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

    pub(in crate::application::gateway) fn keep_node_alive(
        &self,
        node: &ThisNode,
        duties: Duties,
    ) -> node::KeepNodeAlive {
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

    /// Where a failed message's record goes, as far as this process publishes any.
    pub(in crate::application::gateway) fn dead_letters(
        &self,
        transport: &Transport,
    ) -> Option<Arc<dyn DeadLetterTopic>> {
        let others = transport.brokered().map(|brokered| brokered.dead_letters.clone());
        let Some(topics) = &self.topics else { return others };
        let (producer, topic) = (topics.producer.clone(), topics.dead_letters.clone());
        Some(Arc::new(topics::DeadRecords { producer, topic, others }))
    }

    /// With topics, dead letters are published also where messages travel without a broker.
    pub(in crate::application::gateway) fn duties(&self, transport: &Transport) -> Duties {
        let duties = transport.duties();
        Duties { publishes: duties.publishes || self.topics.is_some(), ..duties }
    }

    pub(in crate::application::gateway) fn kafka_rest(&self) -> Option<kafka_rest::KafkaRest> {
        let KafkaRestPorts { topics, groups, consumers, own_group, own_topics } = self.kafka_rest.clone()?;
        let (groups, reset_offsets) = kafka_rest::groups(&topics, &groups, own_group.clone());
        let consumers = kafka_rest::ConsumerInstances::new(consumers, self.clock.clone(), self.ids.clone(), own_group);
        let delete_topic = kafka_rest::DeleteTopic { topics: topics.clone(), own: own_topics };
        Some(kafka_rest::KafkaRest { topics, delete_topic, groups, reset_offsets, consumers: Arc::new(consumers) })
    }
}
