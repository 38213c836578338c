//! Events as they are answered.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::application::events::reporting::read_events::EventStory;
use crate::application::ports::EventMessage;
use crate::domain::event::{Event, HistoryEntry};
use crate::presentation::http::wire::envelope::{raw_json, rfc3339};

/// An event, by the names of both vocabularies.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventData {
    /// Always true.
    success: bool,
    /// Its reporter's own, or one of ours.
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "VENDA")]
    kind: String,
    /// As `type`.
    tipo: String,
    #[schema(value_type = Object)]
    data: Option<Box<RawValue>>,
    /// As `data`; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    dados: Option<Box<RawValue>>,
    /// As `data`; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
    /// The key or the login that reported it.
    origin: Option<String>,
    /// As `origin`.
    partner_id: Option<String>,
    /// What its reporter says of itself.
    claimed_origin: Option<String>,
    /// `api`: it was reported here.
    source: String,
    /// `received`, `processing`, `processed`, `failed` (tried again), `dead_letter`.
    #[schema(example = "received")]
    status: &'static str,
    /// Why its last step failed.
    error: Option<String>,
    /// When it happened, as its reporter says, or else when it was received.
    #[schema(format = "date-time")]
    timestamp: String,
    #[schema(format = "date-time")]
    received_at: String,
    /// As `receivedAt`.
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
    /// What a repeat of it has in common with it.
    idempotency_key: Option<String>,
    /// Of an answer to a report: it was reported before, and this is the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    /// Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<HistoryData>>,
    /// The messages that it became; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<EventMessageData>>,
}

/// One line of what became of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryData {
    /// The event's status from then on.
    status: &'static str,
    /// `route`: subscriptions make messages of it; `publish`; `tables`.
    step: Option<&'static str>,
    #[schema(format = "date-time")]
    timestamp: String,
    reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventMessageData {
    message_id: String,
    status: &'static str,
    error: Option<String>,
}

impl EventData {
    /// As a list has it.
    pub fn brief(event: Event) -> Self {
        let occurred_at = event.occurred_at.unwrap_or(event.received_at);
        Self {
            success: true,
            id: event.name,
            tipo: event.kind.clone(),
            kind: event.kind,
            data: raw_json(Some(event.data)),
            dados: None,
            payload: None,
            partner_id: event.origin.clone(),
            origin: event.origin,
            claimed_origin: event.claimed_origin,
            source: event.source,
            status: event.status.as_str(),
            error: event.error,
            timestamp: rfc3339(occurred_at),
            received_at: rfc3339(event.received_at),
            created_at: rfc3339(event.received_at),
            updated_at: rfc3339(event.updated_at),
            idempotency_key: event.key,
            duplicate: None,
            history: None,
            messages: None,
        }
    }

    pub fn whole(event: Event) -> Self {
        let brief = Self::brief(event);
        Self { dados: brief.data.clone(), payload: brief.data.clone(), ..brief }
    }

    pub fn reported(event: Event, is_repeated: bool) -> Self {
        Self { duplicate: Some(is_repeated), ..Self::whole(event) }
    }
}

impl From<EventStory> for EventData {
    fn from(story: EventStory) -> Self {
        Self {
            history: Some(history(story.history)),
            messages: Some(story.messages.into_iter().map(EventMessageData::from).collect()),
            ..Self::whole(story.event)
        }
    }
}

pub fn history(lines: Vec<HistoryEntry>) -> Vec<HistoryData> {
    lines.into_iter().map(HistoryData::from).collect()
}

impl From<HistoryEntry> for HistoryData {
    fn from(line: HistoryEntry) -> Self {
        Self {
            status: line.status.as_str(),
            step: line.step.map(|step| step.as_str()),
            timestamp: rfc3339(line.at),
            reason: line.reason,
        }
    }
}

impl From<EventMessage> for EventMessageData {
    fn from(message: EventMessage) -> Self {
        Self { message_id: message.message.to_string(), status: message.status.as_str(), error: message.error }
    }
}
