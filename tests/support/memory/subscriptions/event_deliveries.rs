use async_trait::async_trait;
use correio::application::ports::{EventDeliveries, EventMessage, NewDelivery, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::event::EventId;
use correio::domain::message::MessageId;
use correio::domain::subscription::{DeliveryOutcome, EventDelivery};

use crate::support::memory::database::MemoryDatabase;
use crate::support::memory::tables::Tables;

pub struct MemoryEventDeliveries {
    database: MemoryDatabase,
}

impl MemoryEventDeliveries {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

fn record(tables: &mut Tables, deliveries: &[NewDelivery]) -> u64 {
    let mut written = 0;
    for NewDelivery { event, subscription, message, at } in deliveries {
        let outcome = message.as_ref().map_or(DeliveryOutcome::Skipped, |it| DeliveryOutcome::Message(it.id.0));
        let kept = tables.event_deliveries.get(&(*event, *subscription));
        if kept.is_some_and(|kept| kept.outcome != DeliveryOutcome::Skipped || outcome == DeliveryOutcome::Skipped) {
            continue;
        }
        let delivery = EventDelivery { event: *event, subscription: *subscription, outcome, at: *at };
        tables.event_deliveries.insert((*event, *subscription), delivery);
        if let Some(message) = message {
            tables.insert(message.clone(), "route");
        }
        written += 1;
    }
    tables.sync();
    written
}

#[async_trait]
impl EventDeliveries for MemoryEventDeliveries {
    async fn record(&self, deliveries: &[NewDelivery]) -> Result<u64, RepositoryError> {
        let record = |tables: &mut Tables| Ok(record(tables, deliveries));
        self.database.run_now("event_deliveries.record", record).await
    }

    async fn of_events(&self, events: &[EventId]) -> Result<Vec<EventDelivery>, RepositoryError> {
        let of_events = |tables: &mut Tables| {
            Ok(tables.event_deliveries.values().filter(|delivery| events.contains(&delivery.event)).cloned().collect())
        };
        self.database.run_now("event_deliveries.of_events", of_events).await
    }

    async fn messages(&self, events: &[EventId]) -> Result<Vec<EventMessage>, RepositoryError> {
        let messages = |tables: &mut Tables| {
            let made = tables.event_deliveries.values().filter(|delivery| events.contains(&delivery.event));
            let found = made.filter_map(|delivery| match delivery.outcome {
                DeliveryOutcome::Message(id) => Some((delivery.event, tables.messages.get(&MessageId(id))?)),
                DeliveryOutcome::Skipped => None,
            });
            let told = found.map(|(event, message)| EventMessage {
                event,
                message: message.id,
                status: message.status,
                error: message.error.clone(),
            });
            Ok(told.collect())
        };
        self.database.run_now("event_deliveries.messages", messages).await
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let forget = |tables: &mut Tables| {
            let Tables { event_deliveries, of_events, .. } = tables;
            event_deliveries.retain(|_, it| it.at >= time || of_events.events.contains_key(&it.event));
            Ok(false)
        };
        self.database.run_now("event_deliveries.forget", forget).await
    }
}
