//! What is stored of events, and what is left to do with them.

mod event_repository;
mod event_spool;
mod event_steps;
mod event_tables;
mod event_types;
mod spool_troubles;

use chrono::TimeDelta;
use correio::application::ports::{NewEvent, StoredEvent};
use correio::domain::event::{Event, EventId, EventStatus, HistoryEntry, Step};

use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

pub fn event(name: &str) -> Event {
    Event {
        id: EventId(id()),
        tenant: tenant("acme"),
        source: "crm".to_owned(),
        name: name.to_owned(),
        key: Some(name.to_owned()),
        kind: "deal.change".to_owned(),
        origin: None,
        claimed_origin: None,
        ordering_key: Some("deal-1".to_owned()),
        data: "{\"meta\": {\"half\": \"\\ud800\"},  \"n\": 1.00}".to_owned(),
        via: Some("direct-db".to_owned()),
        occurred_at: Some(at(-1)),
        received_at: at(0),
        status: EventStatus::Received,
        error: None,
        updated_at: at(0),
    }
}

fn new(event: &Event, steps: &[Step]) -> NewEvent {
    NewEvent { event: event.clone(), remembered_until: event.received_at + TimeDelta::days(7), steps: steps.to_vec() }
}

pub async fn stored(adapters: &Adapters, event: &Event, steps: &[Step]) {
    assert_eq!(adapters.events.store(&new(event, steps)).await.unwrap(), StoredEvent::New);
}

async fn now(adapters: &Adapters, event: &Event) -> Event {
    adapters.events.find(&event.tenant, &event.name).await.unwrap().unwrap()
}

/// Status, step and reason of each line.
async fn told(adapters: &Adapters, event: &Event) -> Vec<(EventStatus, Option<Step>, Option<String>)> {
    let lines = adapters.events.history(&event.tenant, event.id).await.unwrap();
    lines.into_iter().map(|HistoryEntry { status, step, reason, .. }| (status, step, reason)).collect()
}
