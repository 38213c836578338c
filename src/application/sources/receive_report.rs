use std::collections::HashMap;
use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::application::events::bells::Bells;
use crate::application::ports::{
    Clock, EvaluationError, EventExpressions, EventRepository, EventSchemas, Ids, NewEvent, RepositoryError,
    StoredEvent,
};
use crate::domain::event::kind::parse_kind;
use crate::domain::event::{Event, EventId, EventStatus, LONGEST_NAME, Step};
use crate::domain::half_pairs::marked;
use crate::domain::problem::FieldProblem;
use crate::domain::source::finder::Request;
use crate::domain::source::{INVALID_KIND, Source};
use crate::domain::text::{storable, wide_encoding};

/// Days for which a repeat of an event is recognised.
const REMEMBERED: i64 = 90;

/// Takes a report of a source: proved, read, completed, and stored once.
pub struct ReceiveReport {
    pub sources: Arc<[Arc<Source>]>,
    pub events: Arc<dyn EventRepository>,
    pub schemas: Arc<dyn EventSchemas>,
    pub expressions: Arc<dyn EventExpressions>,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
    pub bells: Bells,
}

/// A report, as it came.
pub struct SourceReport {
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub path_secret: Option<String>,
    /// What its reporter may have signed; differs from the body where that was compressed on the way.
    pub sent: Vec<u8>,
    pub body: Vec<u8>,
}

/// What its reporter is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReply {
    pub status: u16,
    pub body: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ReceiveReportError {
    /// The end of a sentence that begins with "the report".
    #[error("the report {0}")]
    Unproved(&'static str),
    #[error("the report is not JSON: {0}")]
    NotJson(String),
    /// Paths into the body.
    #[error("the report has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// For the log.
    #[error("{0}")]
    Unusable(String),
}

/// One that is too long is hashed: two that begin alike are not the same.
fn short(text: String) -> String {
    if text.chars().count() <= LONGEST_NAME {
        return storable(&text, LONGEST_NAME);
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold("sha256:".to_owned(), |hash, byte| hash + &format!("{byte:02x}"))
}

/// Reporters do not repeat what is refused: halves of surrogate pairs, which are no characters, are replaced, and a byte order mark
/// is passed over.
fn read(body: Vec<u8>) -> Result<(String, Value), ReceiveReportError> {
    if let Some(encoding) = wide_encoding(&body) {
        return Err(ReceiveReportError::NotJson(format!("it is in {encoding}, and must be in UTF-8")));
    }
    let text = String::from_utf8(body).map_err(|error| ReceiveReportError::NotJson(error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
    let error = match serde_json::from_str(&text) {
        Ok(value) => return Ok((text, value)),
        Err(error) => ReceiveReportError::NotJson(error.to_string()),
    };
    let Some(text) = marked(&text, "\\ufffd") else { return Err(error) };
    let value = serde_json::from_str(&text).map_err(|_| error)?;
    Ok((text, value))
}

impl ReceiveReport {
    pub fn source(&self, path: &str) -> Option<&Arc<Source>> {
        self.sources.iter().find(|source| source.path == path)
    }

    /// An API key, where the source wants one, was verified before.
    ///
    /// # Errors
    /// What keeps it from being stored.
    pub async fn execute(&self, source: &Source, report: SourceReport) -> Result<SourceReply, ReceiveReportError> {
        let now = self.clock.now();
        let SourceReport { headers, path_secret, sent, body } = report;
        let verify = |body: &[u8]| source.proof.verify(&headers, path_secret.as_deref(), body, now);
        verify(&body).or_else(|_| verify(&sent)).map_err(ReceiveReportError::Unproved)?;
        let (text, value) = read(body)?;
        let event = self.event(source, &Request { headers: &headers, body: &value }, text).await?;
        let (first, is_repeated) = self.store(event).await?;
        Ok(self.reply(source, &first, is_repeated).await)
    }

    async fn event(&self, source: &Source, request: &Request<'_>, text: String) -> Result<Event, ReceiveReportError> {
        let now = self.clock.now();
        let found = source.find(request);
        let invalid =
            |path: &str, detail: String| ReceiveReportError::Invalid(vec![FieldProblem::new(path.to_owned(), detail)]);
        let kind = found.kind.ok_or_else(|| invalid("", "has no type where its source has it".to_owned()))?;
        let kind = parse_kind(&kind.replace(char::is_whitespace, "_")).map_err(|detail| invalid("/type", detail))?;
        let kind = self.checked(source, kind, request.body).await?;
        let id = EventId(self.ids.next());
        let name = found.id.map(short);
        Ok(Event {
            id,
            tenant: source.tenant.clone(),
            source: source.name.clone(),
            key: name.clone(),
            name: name.unwrap_or_else(|| id.to_string()),
            kind,
            origin: Some(source.name.clone()),
            claimed_origin: None,
            ordering_key: found.ordering_key.map(short),
            data: self.data(source, request, text),
            via: None,
            occurred_at: found.occurred_at,
            received_at: now,
            status: EventStatus::Received,
            error: None,
            updated_at: now,
        })
    }

    /// The type, or the one of what is kept although it does not follow its schema.
    async fn checked(&self, source: &Source, kind: String, body: &Value) -> Result<String, ReceiveReportError> {
        let Some(schema) = source.schema_of(&kind) else { return Ok(kind) };
        let problems = match self.schemas.problems(&source.tenant, schema, body).await {
            Ok(problems) => problems,
            Err(EvaluationError::Unfit(error)) => {
                return Err(ReceiveReportError::Unusable(format!("the schema {error}")));
            }
            Err(EvaluationError::Busy(error)) => return Err(RepositoryError::Unavailable(error).into()),
        };
        if problems.is_empty() {
            Ok(kind)
        } else if source.keeps_invalid {
            Ok(INVALID_KIND.to_owned())
        } else {
            Err(ReceiveReportError::Invalid(problems))
        }
    }

    /// As it came, unless it is completed.
    fn data(&self, source: &Source, request: &Request<'_>, text: String) -> String {
        let now = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let members = source.enriched(request, &|| self.ids.next().to_string(), &now);
        match request.body {
            Value::Object(body) if !members.is_empty() => {
                let mut body = body.clone();
                body.extend(members);
                Value::Object(body).to_string()
            }
            _ => text,
        }
    }

    async fn store(&self, event: Event) -> Result<(Event, bool), ReceiveReportError> {
        let remembered_until = event.received_at + TimeDelta::days(REMEMBERED);
        let new = NewEvent { event, remembered_until, steps: vec![Step::Route] };
        // The first one may be deleted in between: then this one is the first.
        for _ in 0..3 {
            match self.events.store(&new).await? {
                StoredEvent::New => {
                    self.bells.ring();
                    return Ok((new.event, false));
                }
                StoredEvent::Repeated(Some(first)) => return Ok((*first, true)),
                StoredEvent::Repeated(None) => {}
            }
        }
        Err(RepositoryError::Unavailable("a key stands for no event".to_owned()).into())
    }

    /// An event that is stored is answered: where the template fails, by what there is without one.
    async fn reply(&self, source: &Source, event: &Event, is_repeated: bool) -> SourceReply {
        let says = json!({ "success": true, "id": event.name, "type": event.kind, "duplicate": is_repeated });
        let rendered = match &source.answer.body {
            None => None,
            Some(template) => match self.expressions.render(&source.tenant, template, &says).await {
                Ok(body) => Some(body),
                Err(error) => {
                    warn!(source = %source.name, %error, "the answer of the source cannot be made; its reporter has the plain one");
                    None
                }
            },
        };
        SourceReply { status: source.answer.status, body: rendered.unwrap_or_else(|| says.to_string()) }
    }
}
