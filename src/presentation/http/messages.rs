//! `/api/messaging/messages`: looking at messages.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deserr::Deserr;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::SharedState;
use super::caller::Caller;
use super::envelope::{Envelope, Page, raw_json, rfc3339};
use super::fields::{Address, Detail, Name, Problems};
use super::openapi::{Authenticated, WithQuery};
use super::problem::{Problem, ProblemBody};
use super::query::{NoParameters, Query};
use crate::application::ports::MessageFilter;
use crate::application::read_messages::ReadMessagesError;
use crate::domain::Timestamp;
use crate::domain::attempt::Attempt;
use crate::domain::channel::ChannelName;
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::domain::principal::Scope;

/// A message and where it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageData {
    id: String,
    channel: String,
    channel_instance_id: String,
    instance_id: String,
    remote_jid: String,
    group_id: Option<String>,
    message: Option<String>,
    media_url: Option<String>,
    media_type: Option<&'static str>,
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// `sent` or `received`.
    direction: &'static str,
    status: &'static str,
    channel_message_id: Option<String>,
    /// Why the last try failed.
    error: Option<String>,
    /// Tries begun.
    retries: u32,
    /// Tries at most, the first included.
    max_retries: u32,
    priority: Option<i32>,
    #[schema(format = "date-time")]
    send_at: Option<String>,
    /// Not tried again before.
    #[schema(format = "date-time")]
    next_attempt_at: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
    #[schema(format = "date-time")]
    sent_at: Option<String>,
    #[schema(format = "date-time")]
    delivered_at: Option<String>,
    #[schema(format = "date-time")]
    read_at: Option<String>,
    /// Every try; only where one message was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    attempts: Option<Vec<AttemptData>>,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptData {
    number: u32,
    #[schema(format = "date-time")]
    started_at: Option<String>,
    #[schema(format = "date-time")]
    finished_at: Option<String>,
    /// `sent`, `transient`, `permanent` or `unknown`; null while it runs.
    outcome: Option<&'static str>,
    error: Option<String>,
    http_status: Option<u16>,
}

impl From<Attempt> for AttemptData {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.map(rfc3339),
            finished_at: attempt.finished_at.map(rfc3339),
            outcome: attempt.outcome.map(|outcome| outcome.as_str()),
            error: attempt.error,
            http_status: attempt.http_status,
        }
    }
}

impl From<Message> for MessageData {
    fn from(message: Message) -> Self {
        let (media_url, media_type) = message.content.media.map(|media| (media.url, media.media_type.as_str())).unzip();
        Self {
            id: message.id.to_string(),
            channel: message.channel.to_string(),
            channel_instance_id: message.channel_instance_id,
            instance_id: message.instance_id.to_string(),
            remote_jid: message.recipient,
            group_id: None,
            message: message.content.text,
            media_url,
            media_type,
            payload: raw_json(message.content.payload),
            direction: message.direction.as_str(),
            status: message.status.as_str(),
            channel_message_id: message.channel_message_id,
            error: message.error,
            retries: message.retries,
            max_retries: message.max_retries,
            priority: None,
            send_at: None,
            next_attempt_at: message.next_attempt_at.map(rfc3339),
            created_at: rfc3339(message.created_at),
            updated_at: rfc3339(message.updated_at),
            sent_at: message.sent_at.map(rfc3339),
            delivered_at: message.delivered_at.map(rfc3339),
            read_at: message.read_at.map(rfc3339),
            attempts: None,
        }
    }
}

/// How many messages are in which state.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct StatsData {
    pending: u64,
    queued: u64,
    processing: u64,
    sent: u64,
    delivered: u64,
    read: u64,
    failed: u64,
    total: u64,
}

/// Which messages to count.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct CountQuery {
    #[deserr(default)]
    status: Option<StatusField>,
    #[deserr(default)]
    channel: Option<Name>,
    #[deserr(default)]
    channel_instance_id: Option<Name>,
    #[deserr(default)]
    remote_jid: Option<Address>,
    /// Created at this moment or later.
    #[deserr(default)]
    created_after: Option<Moment>,
    /// Created before this moment.
    #[deserr(default)]
    created_before: Option<Moment>,
}

/// Which messages to list, and which page of them.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct ListQuery {
    #[deserr(default)]
    status: Option<StatusField>,
    #[deserr(default)]
    channel: Option<Name>,
    #[deserr(default)]
    channel_instance_id: Option<Name>,
    #[deserr(default)]
    remote_jid: Option<Address>,
    /// Created at this moment or later.
    #[deserr(default)]
    created_after: Option<Moment>,
    /// Created before this moment.
    #[deserr(default)]
    created_before: Option<Moment>,
    /// Messages a page; 50 when absent.
    #[deserr(default)]
    limit: Option<Limit>,
    /// `nextCursor` of the page before.
    #[deserr(default)]
    cursor: Option<Cursor>,
}

#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum StatusField {
    Pending,
    Queued,
    Processing,
    Sent,
    Delivered,
    Read,
    Failed,
}

impl From<StatusField> for MessageStatus {
    fn from(field: StatusField) -> Self {
        match field {
            StatusField::Pending => MessageStatus::Pending,
            StatusField::Queued => MessageStatus::Queued,
            StatusField::Processing => MessageStatus::Processing,
            StatusField::Sent => MessageStatus::Sent,
            StatusField::Delivered => MessageStatus::Delivered,
            StatusField::Read => MessageStatus::Read,
            StatusField::Failed => MessageStatus::Failed,
        }
    }
}

/// A moment, RFC 3339.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Moment::parse -> Detail)]
#[schema(value_type = String, format = "date-time")]
pub struct Moment(pub Timestamp);

impl Moment {
    fn parse(text: String) -> Result<Self, Detail> {
        let parsed = chrono::DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
        // Databases know fewer years than RFC 3339 lets one write; no message was made outside of these.
        parsed
            .ok()
            .filter(|at| (1970..=9999).contains(&chrono::Datelike::year(at)))
            .map(Self)
            .ok_or_else(|| "must be an RFC 3339 time, e.g. 2026-01-18T12:00:00Z".into())
    }
}

/// 1 to 250.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Limit::parse -> Detail)]
#[schema(value_type = u32, minimum = 1, maximum = 250)]
pub struct Limit(u32);

impl Limit {
    const DEFAULT: u32 = 50;

    fn parse(text: String) -> Result<Self, Detail> {
        match text.parse() {
            Ok(number @ 1..=250) => Ok(Self(number)),
            _ => Err("must be a whole number from 1 to 250".into()),
        }
    }
}

/// Where a page begins. Opaque to clients: base64url of the last id of the page before.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Cursor::parse -> Detail)]
#[schema(value_type = String)]
pub struct Cursor(MessageId);

impl Cursor {
    fn parse(text: String) -> Result<Self, Detail> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
        id.map(|id| Self(MessageId(id))).ok_or_else(|| "must be the nextCursor of a page".into())
    }

    fn text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0.0)
    }
}

impl From<CountQuery> for MessageFilter {
    fn from(query: CountQuery) -> Self {
        Self {
            status: query.status.map(MessageStatus::from),
            channel: query.channel.map(|name| ChannelName::new(name.0)),
            channel_instance_id: query.channel_instance_id.map(|name| name.0),
            recipient: query.remote_jid.map(|address| address.0),
            created_after: query.created_after.map(|at| at.0),
            created_before: query.created_before.map(|at| at.0),
        }
    }
}

impl ListQuery {
    fn filter(self) -> MessageFilter {
        CountQuery {
            status: self.status,
            channel: self.channel,
            channel_instance_id: self.channel_instance_id,
            remote_jid: self.remote_jid,
            created_after: self.created_after,
            created_before: self.created_before,
        }
        .into()
    }
}

/// Read a message
///
/// With every try at delivering it.
#[utoipa::path(get, path = "/api/messaging/messages/{id}", operation_id = "readMessage", tag = "messages",
    params(("id" = Uuid, Path, description = "The message's id")),
    responses(
        (status = 200, body = Envelope<MessageData>, description = "The message"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-message"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<MessageData>>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let id = super::path_id(id).map(MessageId).ok_or_else(Problem::unknown_message)?;
    let (message, attempts) = state.read_messages.one(caller, id).await?;
    let attempts = attempts.into_iter().map(AttemptData::from).collect();
    Ok(Json(Envelope::of(MessageData { attempts: Some(attempts), ..message.into() })))
}

/// List messages
///
/// Newest first.
#[utoipa::path(get, path = "/api/messaging/messages", operation_id = "listMessages", tag = "messages",
    params(ListQuery),
    responses((status = 200, body = Page<MessageData>, description = "A page of them"), Authenticated, WithQuery))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<MessageData>>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let limit = query.limit.map_or(Limit::DEFAULT, |limit| limit.0);
    let before = query.cursor.map(|cursor| cursor.0);
    let page = state.read_messages.page(caller, &query.filter(), before, limit).await?;
    Ok(Json(Page {
        success: true,
        data: page.messages.into_iter().map(MessageData::from).collect(),
        next_cursor: page.next.map(|id| Cursor(id).text()),
    }))
}

/// Count messages by state
#[utoipa::path(get, path = "/api/messaging/messages/stats", operation_id = "countMessages", tag = "messages",
    params(CountQuery),
    responses((status = 200, body = Envelope<StatsData>, description = "The counts"), Authenticated, WithQuery))]
pub async fn stats(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<CountQuery>,
) -> Result<Json<Envelope<StatsData>>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let counts = state.read_messages.count(caller, &query.into()).await?;
    let of = |status| counts.get(&status).copied().unwrap_or(0);
    Ok(Json(Envelope::of(StatsData {
        pending: of(MessageStatus::Pending),
        queued: of(MessageStatus::Queued),
        processing: of(MessageStatus::Processing),
        sent: of(MessageStatus::Sent),
        delivered: of(MessageStatus::Delivered),
        read: of(MessageStatus::Read),
        failed: of(MessageStatus::Failed),
        total: counts.values().sum(),
    })))
}

impl From<ReadMessagesError> for Problem {
    fn from(error: ReadMessagesError) -> Self {
        match error {
            ReadMessagesError::Invalid(problem) => Problem::invalid_field([problem]),
            ReadMessagesError::UnknownMessage => Problem::unknown_message(),
            ReadMessagesError::Repository(error) => error.into(),
        }
    }
}
