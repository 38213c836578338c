use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use futures::future::{Either, select};
use serde_json::Value;
use tracing::error;

use super::bells::Bells;
use super::database_gate::DatabaseGate;
use super::webhook_id::{cut, kind, webhook_id};
use crate::application::ports::{
    Clock, EmergencySwitch, EventRepository, EventSpool, Ids, NewEvent, NotAReport, Report, RepositoryError,
    SpoolError, StoredEvent, TopicProducer, WebhookReader,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, EventStatus, Step};

/// How long a caller waits for the database, before its event goes to the spool.
const PATIENCE: Duration = Duration::from_millis(400);

/// How long a repeat is known as one.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

/// Takes what a CRM reports, and refuses nothing that it can read: where the database is away, it goes to the spool.
pub struct ReceiveWebhook {
    pub reader: Arc<dyn WebhookReader>,
    pub events: Arc<dyn EventRepository>,
    pub spool: Arc<dyn EventSpool>,
    pub emergency: Arc<dyn EmergencySwitch>,
    pub gate: DatabaseGate,
    /// None: events are not published.
    pub producer: Option<Arc<dyn TopicProducer>>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub settings: ReceiverSettings,
    /// For those who handle what was stored.
    pub bells: Bells,
}

#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    pub tenant: Tenant,
    /// What the source is called.
    pub source: String,
    /// What is done with each event.
    pub steps: Vec<Step>,
    pub companies: Companies,
}

/// What companies are called, by their ids at the CRM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Companies {
    pub named: Vec<(String, String)>,
    pub others: Option<String>,
}

impl Companies {
    pub fn name(&self, id: Option<&str>) -> Option<&str> {
        let named = self.named.iter().find(|(known, _)| Some(known.as_str()) == id).map(|(_, name)| name.as_str());
        named.or(self.others.as_deref())
    }
}

/// Where an event was kept, in the words that its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryMethod {
    Kafka,
    DirectDb,
    FallbackFile,
    EmergencyFile,
}

impl DeliveryMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::DirectDb => "direct-db",
            Self::FallbackFile => "fallback-file",
            Self::EmergencyFile => "emergency-file",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenWebhook {
    pub webhook_id: String,
    pub action: String,
    pub method: DeliveryMethod,
    pub took: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum ReceiveWebhookError {
    #[error(transparent)]
    NotAReport(#[from] NotAReport),
    /// Neither the database nor the spool took it.
    #[error("{cause}")]
    Nowhere { webhook_id: String, took: Duration, cause: SpoolError },
}

impl ReceiveWebhook {
    /// Keeps an event, in the database if that takes it at once.
    ///
    /// # Errors
    /// When it is not one, or neither database nor spool take it.
    pub async fn execute(&self, body: &[u8]) -> Result<TakenWebhook, ReceiveWebhookError> {
        let begun = self.clock.monotonic();
        let report = self.reader.read(body)?;
        let mut new = self.event(&report);
        let kept = self.keep(&mut new).await;
        let took = self.clock.monotonic().saturating_sub(begun);
        match kept {
            Ok((method, first)) => {
                let webhook_id = first.unwrap_or(new.event.name);
                Ok(TakenWebhook { webhook_id, action: report.action, method, took })
            }
            Err(cause) => {
                error!(event.name = %new.event.name, %cause, "an event is lost unless its sender repeats it");
                Err(ReceiveWebhookError::Nowhere { webhook_id: new.event.name, took, cause })
            }
        }
    }

    /// Where it was kept, and what the first one is called if it is a repeat.
    async fn keep(&self, new: &mut NewEvent) -> Result<(DeliveryMethod, Option<String>), SpoolError> {
        if self.emergency.is_on() {
            new.event.via = Some(DeliveryMethod::EmergencyFile.as_str().to_owned());
            return match self.spool.append(new).await {
                Ok(()) => Ok((DeliveryMethod::EmergencyFile, None)),
                // Where there is no spool, the emergency is no reason to lose it.
                Err(cause @ SpoolError::Unusable(_)) => self.store(new).await.ok_or(cause),
                Err(cause) => Err(cause),
            };
        }
        if self.gate.is_open()
            && let Some(stored) = self.store(new).await
        {
            return Ok(stored);
        }
        new.event.via = Some(DeliveryMethod::FallbackFile.as_str().to_owned());
        match self.spool.append(new).await {
            Ok(()) => Ok((DeliveryMethod::FallbackFile, None)),
            // The last resort: the database may be back.
            Err(cause) => self.store(new).await.ok_or(cause),
        }
    }

    /// None when the database did not take it in time. It may do so later: it has one id, wherever it is kept.
    async fn store(&self, new: &mut NewEvent) -> Option<(DeliveryMethod, Option<String>)> {
        let is_connected = self.producer.as_ref().is_some_and(|producer| producer.is_connected());
        let method = if is_connected { DeliveryMethod::Kafka } else { DeliveryMethod::DirectDb };
        new.event.via = Some(method.as_str().to_owned());
        let stored = match select(self.events.store(new), self.clock.sleep(PATIENCE)).await {
            Either::Left((stored, _)) => stored,
            Either::Right(_) => Err(RepositoryError::Unavailable(format!("no answer within {PATIENCE:?}"))),
        };
        match stored {
            Ok(StoredEvent::New) => {
                self.bells.ring();
                Some((method, None))
            }
            Ok(StoredEvent::Repeated(first)) => Some((method, first.map(|first| first.name))),
            Err(error) => {
                if error.may_pass() {
                    self.gate.close(&error.to_string());
                }
                None
            }
        }
    }

    fn event(&self, report: &Report) -> NewEvent {
        let now = self.clock.now();
        let id = self.ids.next();
        let name = webhook_id(report, now, id.as_u128());
        let data = report.enriched(&self.enrichment(report, &name, now));
        let settings = &self.settings;
        let status = if settings.steps.is_empty() { EventStatus::Processed } else { EventStatus::Received };
        let event = Event {
            id: EventId(id),
            tenant: settings.tenant.clone(),
            source: settings.source.clone(),
            name,
            key: report.key.clone(),
            kind: kind(report),
            origin: report.company.as_deref().map(cut),
            claimed_origin: None,
            ordering_key: Some(cut(&report.ordering_key())),
            data,
            via: None,
            occurred_at: report.occurred_at,
            received_at: now,
            status,
            error: None,
            updated_at: now,
        };
        NewEvent { event, remembered_until: now + REMEMBERED, steps: settings.steps.clone() }
    }

    /// The members that are added to a report, as its readers know them.
    fn enrichment(&self, report: &Report, name: &str, now: Timestamp) -> Vec<(&'static str, Value)> {
        let time = || Value::from(now.to_rfc3339_opts(SecondsFormat::Millis, true));
        let mut members = vec![("processedAt", time())];
        if let Some(company) = self.settings.companies.name(report.company.as_deref()) {
            members.push(("empresa", Value::from(company)));
        }
        members.extend([
            ("webhookId", Value::from(name)),
            ("receivedAt", time()),
            ("processingStartTime", Value::from(now.timestamp_millis())),
        ]);
        members
    }
}
