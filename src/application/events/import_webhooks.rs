use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use uuid::Uuid;

use super::receive_webhook::ReceiverSettings;
use super::webhook_id::{cut, kind};
use crate::application::ports::{EventRepository, NewEvent, RepositoryError, StoredEvent, WebhookReader};
use crate::domain::Timestamp;
use crate::domain::event::{Event, EventId, EventStatus, Step};

/// Takes over what an earlier receiver has kept, each event once however often it is brought.
pub struct ImportWebhooks {
    pub reader: Arc<dyn WebhookReader>,
    pub events: Arc<dyn EventRepository>,
    pub settings: ReceiverSettings,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    New,
    /// It was there already.
    Known,
    /// It is not a report with a `webhookId`.
    Unreadable,
}

impl ImportWebhooks {
    /// One body as the receiver had it, with its `webhookId`. `was_handled`: it was published already.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn execute(&self, body: &str, was_handled: bool, now: Timestamp) -> Result<Imported, RepositoryError> {
        let Some(new) = self.event(body, was_handled, now) else { return Ok(Imported::Unreadable) };
        Ok(match self.events.store(&new).await? {
            StoredEvent::New => Imported::New,
            StoredEvent::Repeated(_) => Imported::Known,
        })
    }

    fn event(&self, body: &str, was_handled: bool, now: Timestamp) -> Option<NewEvent> {
        let report = self.reader.read(body.as_bytes()).ok()?;
        let member = |name: &str| report.members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value);
        let text = |name: &str| serde_json::from_str::<Value>(member(name)?).ok()?.as_str().map(str::to_owned);
        let name = cut(&text("webhookId").filter(|name| !name.is_empty())?);
        let at = text("receivedAt").and_then(|at| DateTime::parse_from_rfc3339(&at).ok());
        let received_at = at.map(|at| at.to_utc()).filter(|at| *at <= now && at.timestamp_millis() > 0);
        let received_at = received_at.and_then(|at| Timestamp::from_timestamp_millis(at.timestamp_millis()));
        let received_at = received_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let is_wanted = |step: &Step| !was_handled || *step == Step::Tables;
        let steps: Vec<Step> = self.settings.steps.iter().copied().filter(is_wanted).collect();
        let status = if steps.is_empty() { EventStatus::Processed } else { EventStatus::Received };
        let key = report.key.clone().unwrap_or_else(|| format!("import/{name}"));
        let event = Event {
            id: EventId(id_of(&name, received_at)),
            tenant: self.settings.tenant.clone(),
            source: self.settings.source.clone(),
            key: Some(cut(&key)),
            kind: kind(&report),
            origin: report.company.as_deref().map(cut),
            claimed_origin: None,
            ordering_key: Some(cut(&report.ordering_key())),
            data: body.trim().to_owned(),
            via: Some("import".to_owned()),
            occurred_at: report.occurred_at,
            received_at,
            status,
            error: None,
            updated_at: received_at,
            name,
        };
        Some(NewEvent { event, remembered_until: now + TimeDelta::days(7), steps })
    }
}

/// The same id each time, of the time at which it was received.
fn id_of(name: &str, received_at: Timestamp) -> Uuid {
    // FNV-1a, of 128 bits: what is told apart are names of one receiver.
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let hash = name.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let milliseconds = u128::from(received_at.timestamp_millis().cast_unsigned()) & ((1 << 48) - 1);
    let random = hash & ((1 << 80) - 1);
    let version = (random & !(0xf << 76)) | (0x7 << 76);
    let variant = (version & !(0b11 << 62)) | (0b10 << 62);
    Uuid::from_u128((milliseconds << 80) | variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_each_time_and_of_its_time() {
        let at: Timestamp = "2025-08-01T12:00:00.123Z".parse().unwrap();
        let (one, again, other) = (id_of("a", at), id_of("a", at), id_of("b", at));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert_eq!((one.get_version_num(), one.get_variant()), (7, uuid::Variant::RFC4122));
        assert_eq!(one.as_u128() >> 80, 1_754_049_600_123);
    }
}
