//! Rows, in the domain's types.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
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
        "id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, \
         payload::text as payload, media_url, media_type, direction, status, channel_message_id, error, failure, \
         retries, max_retries, try, attempt_started_at, attempt_http_status, node_id, next_attempt_at, \
         dead_lettered_at, sent_at, delivered_at, read_at, created_at, updated_at"
    };
}
pub(super) use message_columns;

pub(super) fn message(row: &PgRow) -> Result<Message, RepositoryError> {
    let media_type: Option<MediaType> = parsed_option(row, "media_type", |text| text.parse().ok())?;
    let media_url: Option<String> = get(row, "media_url")?;
    Ok(Message {
        id: MessageId(get(row, "id")?),
        tenant: tenant(row)?,
        user_id: get(row, "user_id")?,
        instance_id: InstanceId(get(row, "instance_id")?),
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
        retries: number(row, "retries")?,
        max_retries: number(row, "max_retries")?,
        try_number: number(row, "try")?,
        attempt_started_at: get(row, "attempt_started_at")?,
        attempt_http_status: number_option(row, "attempt_http_status")?,
        node: get::<Option<Uuid>>(row, "node_id")?.map(NodeId),
        next_attempt_at: get(row, "next_attempt_at")?,
        dead_lettered_at: get(row, "dead_lettered_at")?,
        created_at: get::<Timestamp>(row, "created_at")?,
        updated_at: get::<Timestamp>(row, "updated_at")?,
        sent_at: get(row, "sent_at")?,
        delivered_at: get(row, "delivered_at")?,
        read_at: get(row, "read_at")?,
    })
}

pub(super) fn messages(rows: &[PgRow]) -> Result<Vec<Message>, RepositoryError> {
    rows.iter().map(message).collect()
}

/// Those of the rows that can be read. One that cannot (somebody edited it by hand) must not keep the others from their end.
pub(super) fn readable_messages(rows: &[PgRow]) -> Vec<Message> {
    let readable =
        |row| message(row).inspect_err(|error| tracing::error!(%error, "a message's row is passed over")).ok();
    rows.iter().filter_map(readable).collect()
}

/// The row of a statement that gives one or none.
///
/// Statements that write are read to their end (`fetch_all`): the first row comes before the commit, which may fail.
pub(super) fn only(rows: Vec<PgRow>) -> Option<PgRow> {
    rows.into_iter().next()
}

pub(super) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    column: &str,
) -> Result<T, RepositoryError> {
    row.try_get(column).map_err(translate)
}

pub(super) fn parsed<T>(row: &PgRow, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, RepositoryError> {
    parsed_option(row, column, parse)?.ok_or_else(|| RepositoryError::Corrupt(format!("{column} is null")))
}

pub(super) fn parsed_option<T>(
    row: &PgRow,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RepositoryError> {
    let text: Option<&str> = get(row, column)?;
    let unreadable = |text| RepositoryError::Corrupt(format!("{column} is `{text}`"));
    text.map(|text| parse(text).ok_or_else(|| unreadable(text))).transpose()
}

/// PostgreSQL has no unsigned numbers.
pub(super) fn number<T: TryFrom<i32>>(row: &PgRow, column: &str) -> Result<T, RepositoryError> {
    number_option(row, column)?.ok_or_else(|| RepositoryError::Corrupt(format!("{column} is null")))
}

pub(super) fn number_option<T: TryFrom<i32>>(row: &PgRow, column: &str) -> Result<Option<T>, RepositoryError> {
    let number: Option<i32> = get(row, column)?;
    let unreadable = |number| RepositoryError::Corrupt(format!("{column} is {number}"));
    number.map(|number| T::try_from(number).map_err(|_| unreadable(number))).transpose()
}

pub(super) fn tenant(row: &PgRow) -> Result<Tenant, RepositoryError> {
    parsed(row, "tenant", |text| Tenant::new(text).ok())
}

pub(super) fn status(row: &PgRow, column: &str) -> Result<MessageStatus, RepositoryError> {
    parsed(row, column, |text| text.parse().ok())
}

pub(super) fn sha256(row: &PgRow, column: &str) -> Result<[u8; 32], RepositoryError> {
    let bytes: &[u8] = get(row, column)?;
    bytes.try_into().map_err(|_| RepositoryError::Corrupt(format!("{column} has {} bytes", bytes.len())))
}
