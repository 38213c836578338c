//! Rows, in the domain's types and back.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::error::translate;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::delivery::FailureKind;
use crate::domain::message::{Content, Direction, Media, MediaType, Message, MessageId, MessageStatus};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::shared::{Flaws, LARGEST_NUMBER};

/// What [`message`] reads.
macro_rules! message_columns {
    () => {
        "id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, payload, media_url, \
         media_type, direction, status, channel_message_id, error, failure, retries, max_retries, try, \
         attempt_started_at, attempt_http_status, node_id, next_attempt_at, dead_lettered_at, sent_at, delivered_at, \
         read_at, created_at, updated_at"
    };
}
pub(super) use message_columns;

/// A message, whatever somebody has written into its row.
///
/// # Errors
/// When its id cannot be read.
pub(super) fn message(row: &SqliteRow) -> Result<Message, RepositoryError> {
    let id = MessageId(id(row, "id")?);
    let mut flaws = Flaws::default();
    let content = content(row, &mut flaws);
    let try_number = number(row, "try", &mut flaws);
    if try_number == LARGEST_NUMBER {
        flaws.add(format!("try is {try_number} and cannot go up"));
    }
    let node = parsed_option(row, "node_id", |text| Uuid::from_str(text).ok());
    Ok(Message {
        id,
        tenant: flaws.or(Tenant::unreadable(), tenant(row)),
        user_id: flaws.or_default(get(row, "user_id")),
        instance_id: InstanceId(flaws.or_default(self::id(row, "instance_id"))),
        channel: ChannelName::new(flaws.or_default::<String>(get(row, "channel"))),
        channel_instance_id: flaws.or_default(get(row, "channel_instance_id")),
        recipient: flaws.or_default(get(row, "remote_jid")),
        content,
        direction: flaws.or(Direction::Sent, parsed(row, "direction", Direction::parse)),
        status: flaws.or(MessageStatus::Queued, status(row, "status")),
        channel_message_id: flaws.or_default(get(row, "channel_message_id")),
        error: flaws.or_default(get(row, "error")),
        failure: flaws.or_default(parsed_option(row, "failure", FailureKind::parse)),
        tries: number(row, "retries", &mut flaws),
        max_tries: number(row, "max_retries", &mut flaws),
        try_number,
        attempt_started_at: flaws.or_default(time_option(row, "attempt_started_at")),
        attempt_http_status: flaws.or_default(get(row, "attempt_http_status")),
        node: flaws.or_default(node).map(NodeId),
        next_attempt_at: flaws.or_default(time_option(row, "next_attempt_at")),
        dead_lettered_at: flaws.or_default(time_option(row, "dead_lettered_at")),
        created_at: flaws.or_default(time(row, "created_at")),
        updated_at: flaws.or_default(time(row, "updated_at")),
        sent_at: flaws.or_default(time_option(row, "sent_at")),
        delivered_at: flaws.or_default(time_option(row, "delivered_at")),
        read_at: flaws.or_default(time_option(row, "read_at")),
        flaw: flaws.sentence(),
    })
}

fn content(row: &SqliteRow, flaws: &mut Flaws) -> Content {
    let url: Option<String> = flaws.or_default(get(row, "media_url"));
    let media_type: Option<MediaType> = flaws.or_default(parsed_option(row, "media_type", |text| text.parse().ok()));
    if url.is_some() != media_type.is_some() {
        flaws.add("of media_url and media_type there is only one".to_owned());
    }
    let payload: Option<String> = flaws.or_default(get(row, "payload"));
    if payload.as_deref().is_some_and(|payload| serde_json::from_str::<&RawValue>(payload).is_err()) {
        flaws.add("payload is no JSON".to_owned());
    }
    let media = url.zip(media_type).map(|(url, media_type)| Media { url, media_type });
    Content { text: flaws.or_default(get(row, "message")), media, payload }
}

/// Those of the rows that have an id. One that has none (somebody took it) must not keep the others from their end.
pub(super) fn messages(rows: &[SqliteRow]) -> Vec<Message> {
    let named = |row| message(row).inspect_err(|error| tracing::error!(%error, "a message's row is passed over")).ok();
    rows.iter().filter_map(named).collect()
}

pub(super) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
    row: &'r SqliteRow,
    column: &str,
) -> Result<T, RepositoryError> {
    row.try_get(column).map_err(translate)
}

pub(super) fn parsed<T>(
    row: &SqliteRow,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, RepositoryError> {
    parsed_option(row, column, parse)?.ok_or_else(|| RepositoryError::Corrupt(format!("{column} is null")))
}

pub(super) fn parsed_option<T>(
    row: &SqliteRow,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RepositoryError> {
    let text: Option<&str> = get(row, column)?;
    let unreadable = |text| RepositoryError::Corrupt(format!("{column} is `{text}`"));
    text.map(|text| parse(text).ok_or_else(|| unreadable(text))).transpose()
}

/// A count. What is beyond its bounds is a flaw, and the bound stands in for it.
pub(super) fn number(row: &SqliteRow, column: &str, flaws: &mut Flaws) -> u32 {
    let number: i64 = flaws.or_default(get(row, column));
    let within = number.clamp(0, LARGEST_NUMBER.into());
    if within != number {
        flaws.add(format!("{column} is {number}"));
    }
    u32::try_from(within).unwrap_or_default()
}

pub(super) fn id(row: &SqliteRow, column: &str) -> Result<Uuid, RepositoryError> {
    parsed(row, column, |text| Uuid::from_str(text).ok())
}

pub(super) fn tenant(row: &SqliteRow) -> Result<Tenant, RepositoryError> {
    parsed(row, "tenant", |text| Tenant::new(text).ok())
}

pub(super) fn status(row: &SqliteRow, column: &str) -> Result<MessageStatus, RepositoryError> {
    parsed(row, column, |text| text.parse().ok())
}

pub(super) fn sha256(row: &SqliteRow, column: &str) -> Result<[u8; 32], RepositoryError> {
    let bytes: &[u8] = get(row, column)?;
    bytes.try_into().map_err(|_| RepositoryError::Corrupt(format!("{column} has {} bytes", bytes.len())))
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, RepositoryError> {
    parsed(row, column, parse_time)
}

pub(super) fn time_option(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, RepositoryError> {
    parsed_option(row, column, parse_time)
}

fn parse_time(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// A time as it is stored: always the same length, so that the order of texts is the order in time.
pub(super) fn time_text(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn time_text_option(time: Option<Timestamp>) -> Option<String> {
    time.map(time_text)
}

/// Ids as one parameter, for `json_each`.
pub(super) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let quoted: Vec<String> = ids.into_iter().map(|id| format!("\"{}\"", id.hyphenated())).collect();
    format!("[{}]", quoted.join(","))
}
