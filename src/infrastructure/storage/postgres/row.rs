//! Rows, in the domain's types.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Row, Type};
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
        "id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, \
         payload::text as payload, media_url, media_type, direction, status, channel_message_id, error, failure, \
         retries, max_retries, try, attempt_started_at, attempt_http_status, node_id, next_attempt_at, \
         dead_lettered_at, sent_at, delivered_at, read_at, created_at, updated_at"
    };
}
pub(super) use message_columns;

/// A message, whatever somebody has written into its row.
///
/// # Errors
/// When its id cannot be read.
pub(super) fn message(row: &PgRow) -> Result<Message, RepositoryError> {
    let id = MessageId(get(row, "id")?);
    let mut flaws = Flaws::default();
    let content = content(row, &mut flaws);
    let try_number = count(row, "try", &mut flaws);
    if try_number == LARGEST_NUMBER {
        flaws.add(format!("try is {try_number} and cannot go up"));
    }
    Ok(Message {
        id,
        tenant: flaws.or(Tenant::unreadable(), tenant(row)),
        user_id: flaws.or_default(get(row, "user_id")),
        instance_id: InstanceId(flaws.or_default(get(row, "instance_id"))),
        channel: ChannelName::new(flaws.or_default::<String>(get(row, "channel"))),
        channel_instance_id: flaws.or_default(get(row, "channel_instance_id")),
        recipient: flaws.or_default(get(row, "remote_jid")),
        content,
        direction: flaws.or(Direction::Sent, parsed(row, "direction", Direction::parse)),
        status: flaws.or(MessageStatus::Queued, status(row, "status")),
        channel_message_id: flaws.or_default(get(row, "channel_message_id")),
        error: flaws.or_default(get(row, "error")),
        failure: flaws.or_default(parsed_option(row, "failure", FailureKind::parse)),
        tries: count(row, "retries", &mut flaws),
        max_tries: count(row, "max_retries", &mut flaws),
        try_number,
        attempt_started_at: flaws.or_default(time_option(row, "attempt_started_at")),
        attempt_http_status: flaws.or_default(number_option(row, "attempt_http_status")),
        node: flaws.or_default(get::<Option<Uuid>>(row, "node_id")).map(NodeId),
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

fn content(row: &PgRow, flaws: &mut Flaws) -> Content {
    let url: Option<String> = flaws.or_default(get(row, "media_url"));
    let media_type: Option<MediaType> = flaws.or_default(parsed_option(row, "media_type", |text| text.parse().ok()));
    if url.is_some() != media_type.is_some() {
        flaws.add("of media_url and media_type there is only one".to_owned());
    }
    let media = url.zip(media_type).map(|(url, media_type)| Media { url, media_type });
    Content { text: flaws.or_default(get(row, "message")), media, payload: flaws.or_default(get(row, "payload")) }
}

/// Those of the rows that have an id: here, all.
pub(super) fn messages(rows: &[PgRow]) -> Vec<Message> {
    let named = |row| message(row).inspect_err(|error| tracing::error!(%error, "a message's row is passed over")).ok();
    rows.iter().filter_map(named).collect()
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

/// A count. PostgreSQL has no unsigned numbers: one below 0 is a flaw, and 0 stands in for it.
pub(super) fn count(row: &PgRow, column: &str, flaws: &mut Flaws) -> u32 {
    let number: i32 = flaws.or_default(get(row, column));
    if number < 0 {
        flaws.add(format!("{column} is {number}"));
    }
    number.max(0).cast_unsigned()
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

pub(super) fn time(row: &PgRow, column: &str) -> Result<Timestamp, RepositoryError> {
    get::<Time>(row, column).map(|time| time.0)
}

pub(super) fn time_option(row: &PgRow, column: &str) -> Result<Option<Timestamp>, RepositoryError> {
    get::<Option<Time>>(row, column).map(|time| time.map(|time| time.0))
}

/// PostgreSQL knows `infinity`, and more years than we do; sqlx panics at them.
struct Time(Timestamp);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        <Timestamp as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;
        if value.format() == PgValueFormat::Text {
            return <Timestamp as Decode<Postgres>>::decode(value).map(Time);
        }
        let since_2000 = <i64 as Decode<Postgres>>::decode(value)?;
        let since_1970 = since_2000.checked_add(MICROSECONDS_TO_2000);
        let time = since_1970.and_then(Timestamp::from_timestamp_micros);
        time.map(Time).ok_or_else(|| "is no time of a calendar".into())
    }
}
