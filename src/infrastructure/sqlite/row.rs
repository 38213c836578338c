//! Rows, in the domain's types and back.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::error::translate;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::channel::ChannelName;
use crate::domain::delivery::FailureKind;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Content, Direction, Media, MediaType, Message, MessageId, MessageStatus};
use crate::domain::node::NodeId;
use crate::domain::principal::Tenant;

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

pub(super) fn message(row: &SqliteRow) -> Result<Message, RepositoryError> {
    let media_type: Option<MediaType> = parsed_option(row, "media_type", |text| text.parse().ok())?;
    let media_url: Option<String> = get(row, "media_url")?;
    Ok(Message {
        id: MessageId(id(row, "id")?),
        tenant: tenant(row)?,
        user_id: get(row, "user_id")?,
        instance_id: InstanceId(id(row, "instance_id")?),
        channel: ChannelName::new(get::<String>(row, "channel")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        recipient: get(row, "remote_jid")?,
        content: Content {
            text: get(row, "message")?,
            media: media_url.zip(media_type).map(|(url, media_type)| Media { url, media_type }),
            payload: get(row, "payload")?,
        },
        direction: parsed(row, "direction", |text| {
            [Direction::Sent, Direction::Received].into_iter().find(|it| it.as_str() == text)
        })?,
        status: status(row, "status")?,
        channel_message_id: get(row, "channel_message_id")?,
        error: get(row, "error")?,
        failure: parsed_option(row, "failure", FailureKind::parse)?,
        retries: get(row, "retries")?,
        max_retries: get(row, "max_retries")?,
        try_number: get(row, "try")?,
        attempt_started_at: time_option(row, "attempt_started_at")?,
        attempt_http_status: get(row, "attempt_http_status")?,
        node: parsed_option(row, "node_id", |text| Uuid::from_str(text).ok())?.map(NodeId),
        next_attempt_at: time_option(row, "next_attempt_at")?,
        dead_lettered_at: time_option(row, "dead_lettered_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        sent_at: time_option(row, "sent_at")?,
        delivered_at: time_option(row, "delivered_at")?,
        read_at: time_option(row, "read_at")?,
    })
}

pub(super) fn messages(rows: &[SqliteRow]) -> Result<Vec<Message>, RepositoryError> {
    rows.iter().map(message).collect()
}

/// Those of the rows that can be read. One that cannot (somebody edited it by hand) must not keep the others from their end.
pub(super) fn readable_messages(rows: &[SqliteRow]) -> Vec<Message> {
    let readable =
        |row| message(row).inspect_err(|error| tracing::error!(%error, "a message's row is passed over")).ok();
    rows.iter().filter_map(readable).collect()
}

/// The row of a statement that gives one or none.
///
/// Statements that write are read to their end (`fetch_all`): the first row comes before the commit, which may fail.
pub(super) fn only(rows: Vec<SqliteRow>) -> Option<SqliteRow> {
    rows.into_iter().next()
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
