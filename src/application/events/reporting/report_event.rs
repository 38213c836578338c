use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::application::events::bells::Bells;
use crate::application::ports::{
    Clock, EvaluationError, EventRepository, EventSchemas, EventTypes, Ids, NewEvent, RepositoryError, StoredEvent,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Principal;
use crate::domain::event::kind::folded;
use crate::domain::event::known_kinds::{KNOWN_KINDS, KnownKind};
use crate::domain::event::{Event, EventId, EventStatus, Step};
use crate::domain::problem::FieldProblem;

/// The source of events that callers report.
pub const SOURCE: &str = "api";

/// Days for which a repeat of an event is recognised.
const REMEMBERED: i64 = 90;

/// Stores an event that a caller reports, once, for the subscriptions to make messages of it.
pub struct ReportEvent {
    pub events: Arc<dyn EventRepository>,
    pub types: Arc<dyn EventTypes>,
    pub schemas: Arc<dyn EventSchemas>,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
    pub bells: Bells,
}

/// What a caller reports.
#[derive(Clone, Debug)]
pub struct Report {
    pub kind: String,
    /// JSON, byte for byte as it came, and what it says.
    pub data: String,
    pub members: Map<String, Value>,
    /// The caller's own name of the event.
    pub name: Option<String>,
    /// What a repeat has in common with it; none: its name.
    pub key: Option<String>,
    /// Who reports it, as the report says.
    pub origin: Option<String>,
    pub occurred_at: Option<Timestamp>,
}

pub struct Reported {
    pub event: Event,
    /// It was reported before: this is the first one.
    pub is_repeated: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ReportEventError {
    /// Paths are `/type` and below `/data`.
    #[error("the event has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReportEvent {
    /// # Errors
    /// [`ReportEventError::Invalid`] for a type that is not known, and for data that lacks what its type requires.
    pub async fn execute(&self, caller: &Principal, report: Report) -> Result<Reported, ReportEventError> {
        let kind = self.checked_kind(caller, &report).await?;
        let now = self.clock.now();
        let id = EventId(self.ids.next());
        let key = report.key.or_else(|| report.name.clone());
        let event = Event {
            id,
            tenant: caller.tenant.clone(),
            source: SOURCE.to_owned(),
            name: report.name.unwrap_or_else(|| id.to_string()),
            key,
            kind,
            origin: Some(caller.subject.clone()),
            claimed_origin: report.origin,
            ordering_key: None,
            data: report.data,
            via: None,
            occurred_at: report.occurred_at,
            received_at: now,
            status: EventStatus::Received,
            error: None,
            updated_at: now,
        };
        self.store(event).await
    }

    async fn store(&self, event: Event) -> Result<Reported, ReportEventError> {
        let remembered_until = event.received_at + TimeDelta::days(REMEMBERED);
        let new = NewEvent { event, remembered_until, steps: vec![Step::Route] };
        // The first one may be deleted in between: then this one is the first.
        for _ in 0..3 {
            match self.events.store(&new).await? {
                StoredEvent::New => {
                    self.bells.ring();
                    return Ok(Reported { event: new.event, is_repeated: false });
                }
                StoredEvent::Repeated(Some(first)) => return Ok(Reported { event: *first, is_repeated: true }),
                StoredEvent::Repeated(None) => {}
            }
        }
        Err(RepositoryError::Unavailable("a key stands for no event".to_owned()).into())
    }

    /// The type's name as it is stored.
    async fn checked_kind(&self, caller: &Principal, report: &Report) -> Result<String, ReportEventError> {
        if let Some(registered) = self.types.find(&caller.tenant, &folded(&report.kind)).await? {
            let Some(schema) = &registered.schema else { return Ok(registered.name) };
            let data = Value::Object(report.members.clone());
            return match self.schemas.problems(&caller.tenant, schema, &data).await {
                Ok(problems) => valid(registered.name, problems),
                Err(EvaluationError::Unfit(detail)) => {
                    let sentence = format!("has a schema that cannot be used: it {detail}");
                    Err(ReportEventError::Invalid(vec![FieldProblem::new("/type", sentence)]))
                }
                Err(EvaluationError::Busy(detail)) => Err(RepositoryError::Unavailable(detail).into()),
            };
        }
        let Some(known) = KnownKind::find(&report.kind) else { return Err(self.unknown_kind(caller).await?) };
        valid(known.name.to_owned(), known.problems(&report.members))
    }

    async fn unknown_kind(&self, caller: &Principal) -> Result<ReportEventError, ReportEventError> {
        let registered = self.types.list(&caller.tenant).await?.into_iter().map(|it| it.name);
        let names: Vec<String> = KNOWN_KINDS.iter().map(|it| it.name.to_owned()).chain(registered).take(50).collect();
        let sentence = format!("is not a known type of events; known are {}", names.join(", "));
        Ok(ReportEventError::Invalid(vec![FieldProblem::new("/type", sentence)]))
    }
}

fn valid(kind: String, problems: Vec<FieldProblem>) -> Result<String, ReportEventError> {
    if problems.is_empty() {
        return Ok(kind);
    }
    let below = |problem: FieldProblem| FieldProblem::new(format!("/data{}", problem.path), problem.detail);
    Err(ReportEventError::Invalid(problems.into_iter().map(below).collect()))
}
