//! An event as the spool writes it: JSON, so that a person can read it, and a later version what an earlier one wrote.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::application::ports::NewEvent;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, EventStatus, Step};

#[derive(Deserialize, Serialize)]
struct EventRecord {
    id: Uuid,
    tenant: String,
    source: String,
    name: String,
    key: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    origin: Option<String>,
    ordering_key: Option<String>,
    /// A text, in which nothing is read or changed.
    data: String,
    via: Option<String>,
    occurred_at: Option<i64>,
    received_at: i64,
    status: String,
    remembered_until: i64,
    steps: Vec<String>,
}

/// None of an event that JSON cannot hold.
pub fn written(new: &NewEvent) -> Option<Vec<u8>> {
    let event = &new.event;
    let record = EventRecord {
        id: event.id.0,
        tenant: event.tenant.as_str().to_owned(),
        source: event.source.clone(),
        name: event.name.clone(),
        key: event.key.clone(),
        kind: event.kind.clone(),
        origin: event.origin.clone(),
        ordering_key: event.ordering_key.clone(),
        data: event.data.clone(),
        via: event.via.clone(),
        occurred_at: event.occurred_at.map(|at| at.timestamp_millis()),
        received_at: event.received_at.timestamp_millis(),
        status: event.status.as_str().to_owned(),
        remembered_until: new.remembered_until.timestamp_millis(),
        steps: new.steps.iter().map(|step| step.as_str().to_owned()).collect(),
    };
    serde_json::to_vec(&record).ok()
}

/// None of what is not such a record. Steps of another version are left out.
pub fn read(content: &[u8]) -> Option<NewEvent> {
    let record: EventRecord = serde_json::from_slice(content).ok()?;
    let received_at = time(record.received_at)?;
    let event = Event {
        id: EventId(record.id),
        tenant: Tenant::new(record.tenant).ok()?,
        source: record.source,
        name: record.name,
        key: record.key,
        kind: record.kind,
        origin: record.origin,
        // Only callers of the API make claims, and their events do not come this way.
        claimed_origin: None,
        ordering_key: record.ordering_key,
        data: record.data,
        via: record.via,
        occurred_at: record.occurred_at.and_then(time),
        received_at,
        status: EventStatus::parse(&record.status)?,
        error: None,
        updated_at: received_at,
    };
    let steps = record.steps.iter().filter_map(|step| Step::parse(step)).collect();
    Some(NewEvent { event, remembered_until: time(record.remembered_until)?, steps })
}

fn time(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_timestamp_millis(milliseconds)
}
