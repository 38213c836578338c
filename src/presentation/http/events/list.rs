//! `GET /events` and `GET /events/dead-letter`

use axum::extract::State;
use axum::response::Response;
use deserr::Deserr;
use utoipa::{IntoParams, ToSchema};

use super::data::EventData;
use crate::application::ports::EventFilter;
use crate::domain::access::principal::Scope;
use crate::domain::event::{EventId, EventStatus};
use crate::domain::message::MessageId;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{Name, Problems};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::page::{Cursor, Limit, Page};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::Query;
use crate::presentation::http::wire::state::SharedState;

#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum EventStatusField {
    Received,
    Processing,
    Processed,
    Failed,
    #[deserr(rename = "dead_letter")]
    #[schema(rename = "dead_letter")]
    DeadLetter,
}

impl From<EventStatusField> for EventStatus {
    fn from(field: EventStatusField) -> Self {
        match field {
            EventStatusField::Received => EventStatus::Received,
            EventStatusField::Processing => EventStatus::Processing,
            EventStatusField::Processed => EventStatus::Processed,
            EventStatusField::Failed => EventStatus::Failed,
            EventStatusField::DeadLetter => EventStatus::DeadLetter,
        }
    }
}

#[derive(Debug, Default, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct EventsQuery {
    #[deserr(default)]
    status: Option<EventStatusField>,
    /// A type, as events have it.
    #[deserr(default, rename = "type")]
    #[param(rename = "type")]
    kind: Option<Name>,
    /// `api`, or the name of another source.
    #[deserr(default)]
    source: Option<Name>,
    /// Received at this moment or later.
    #[deserr(default)]
    received_after: Option<Moment>,
    /// Received before this moment.
    #[deserr(default)]
    received_before: Option<Moment>,
    /// Events a page; 50 when absent.
    #[deserr(default)]
    limit: Option<Limit>,
    /// `nextCursor` of the page before.
    #[deserr(default)]
    cursor: Option<Cursor>,
}

/// List events
///
/// Newest first. Also at `/api/events`.
#[utoipa::path(get, path = "/events", operation_id = "listEvents", tag = "events", params(EventsQuery),
    responses((status = 200, body = Page<EventData>, description = "A page of them"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated, WithQuery))]
pub async fn list(
    state: State<SharedState>,
    caller: Caller,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    answer(state, caller, query).await
}

/// List dead events
///
/// Those that failed for good and wait for `POST /events/{id}/retry`, newest first. Also at `/api/events/dead-letter`.
#[utoipa::path(get, path = "/events/dead-letter", operation_id = "listDeadEvents", tag = "events", params(EventsQuery),
    responses((status = 200, body = Page<EventData>, description = "A page of them"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated, WithQuery))]
pub async fn dead(
    state: State<SharedState>,
    caller: Caller,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    answer(state, caller, EventsQuery { status: Some(EventStatusField::DeadLetter), ..query }).await
}

async fn answer(State(state): State<SharedState>, caller: Caller, query: EventsQuery) -> Result<Response, Problem> {
    let caller = caller.must(Scope::EventsRead)?;
    let limit = query.limit.map_or(Limit::DEFAULT, |limit| limit.0);
    let before = query.cursor.map(|cursor| EventId(cursor.0.0));
    let room = state.large_answers.of_list(&caller.tenant, limit).await?;
    let filter = EventFilter {
        status: query.status.map(EventStatus::from),
        kind: query.kind.map(Name::into_string),
        source: query.source.map(Name::into_string),
        received_after: query.received_after.map(|at| at.0),
        received_before: query.received_before.map(|at| at.0),
    };
    let page = state.gateway.reporting.read.page(caller, &filter, before, limit).await?;
    let last = page.events.last().map(|event| event.id.0).filter(|_| page.more);
    room.json(&Page {
        success: true,
        data: page.events.into_iter().map(EventData::brief).collect(),
        next_cursor: last.map(|id| Cursor(MessageId(id)).text()),
    })
}
