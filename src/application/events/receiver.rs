//! What a process needs to take events in, put together.

use std::sync::Arc;

use super::bells::Bells;
use super::database_gate::DatabaseGate;
use super::drain_spool::DrainSpool;
use super::publish_events::PublishEvents;
use super::receive_webhook::{ReceiveWebhook, ReceiverSettings};
use super::write_tables::WriteTables;
use crate::application::ports::{
    Clock, EmergencySwitch, EventSpool, EventTables, Ids, Stores, TopicProducer, WebhookReader,
};
use crate::domain::event::table::TablePlan;

/// What a receiver of events needs from outside.
#[derive(Clone)]
pub struct ReceiverPorts {
    pub spool: Arc<dyn EventSpool>,
    pub emergency: Arc<dyn EmergencySwitch>,
    pub reader: Arc<dyn WebhookReader>,
    /// None: no webhooks are taken in.
    pub webhook: Option<ReceiverSettings>,
    /// None: events are not published.
    pub publication: Option<Publication>,
    /// None: events are written to no tables.
    pub tables: Option<PlannedTables>,
}

/// The topic that events are published to.
#[derive(Clone)]
pub struct Publication {
    pub producer: Arc<dyn TopicProducer>,
    pub topic: String,
}

/// Tables to write, and how.
#[derive(Clone)]
pub struct PlannedTables {
    pub tables: Arc<dyn EventTables>,
    pub plan: TablePlan,
}

/// Takes events in.
pub struct Receiver {
    pub webhook: Option<ReceiveWebhook>,
    pub spool: Arc<dyn EventSpool>,
    pub emergency: Arc<dyn EmergencySwitch>,
    pub gate: DatabaseGate,
    reader: Arc<dyn WebhookReader>,
    publication: Option<Publication>,
    tables: Option<PlannedTables>,
}

impl Receiver {
    pub fn new(ports: ReceiverPorts, stores: &Stores, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, bells: &Bells) -> Self {
        let ReceiverPorts { spool, emergency, reader, webhook, publication, tables } = ports;
        let gate = DatabaseGate::default();
        let webhook = webhook.map(|settings| ReceiveWebhook {
            reader: reader.clone(),
            events: stores.events.clone(),
            spool: spool.clone(),
            emergency: emergency.clone(),
            gate: gate.clone(),
            producer: publication.as_ref().map(|publication| publication.producer.clone()),
            clock,
            ids,
            settings,
            bells: bells.clone(),
        });
        Self { webhook, spool, emergency, gate, reader, publication, tables }
    }

    pub fn drain_spool(&self, stores: &Stores, bells: Bells) -> DrainSpool {
        DrainSpool {
            spool: self.spool.clone(),
            events: stores.events.clone(),
            storage: stores.storage.clone(),
            emergency: self.emergency.clone(),
            gate: self.gate.clone(),
            bells,
        }
    }

    pub fn publish_events(&self) -> Option<PublishEvents> {
        let Publication { producer, topic } = self.publication.clone()?;
        Some(PublishEvents { producer, reader: self.reader.clone(), topic })
    }

    pub fn write_tables(&self, clock: Arc<dyn Clock>) -> Option<WriteTables> {
        let PlannedTables { tables, plan } = self.tables.clone()?;
        Some(WriteTables { tables, reader: self.reader.clone(), plan, clock })
    }
}
