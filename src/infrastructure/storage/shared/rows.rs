//! Rows of either database, in the domain's types.

use serde_json::value::RawValue;
use uuid::Uuid;

use super::bounds::LARGEST_NUMBER;
use super::flaws::Flaws;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::{Scope, Tenant};
use crate::domain::broadcast::BroadcastId;
use crate::domain::group::GroupId;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::delivery::FailureKind;
use crate::domain::message::{
    Content, Direction, Media, MediaType, MediaUrl, Message, MessageId, MessageStatus, Purpose,
};
use crate::domain::node::NodeId;

/// The columns of a row, as a database gives them. An error says what is there instead.
pub trait Row {
    /// Whether the column's type keeps out what is not JSON.
    const KEEPS_JSON: bool;

    fn id(&self, column: &str) -> Result<Option<Uuid>, RepositoryError>;
    fn text(&self, column: &str) -> Result<Option<&str>, RepositoryError>;
    /// Byte for byte as it was given.
    fn json(&self, column: &str) -> Result<Option<String>, RepositoryError>;
    fn number(&self, column: &str) -> Result<Option<i64>, RepositoryError>;
    fn flag(&self, column: &str) -> Result<Option<bool>, RepositoryError>;
    fn time(&self, column: &str) -> Result<Option<Timestamp>, RepositoryError>;
}

/// A message, whatever was written into its row by hand.
///
/// # Errors
/// When its id cannot be read.
pub fn message(row: &impl Row) -> Result<Message, RepositoryError> {
    let id = MessageId(id(row, "id")?);
    let mut flaws = Flaws::default();
    let content = content(row, &mut flaws);
    let try_number = count_of(row, "try", &mut flaws);
    if try_number == LARGEST_NUMBER {
        flaws.add(format!("try is {try_number} and cannot go up"));
    }
    Ok(Message {
        id,
        tenant: flaws.or(Tenant::unreadable(), tenant(row)),
        user_id: flaws.or_default(text(row, "user_id")),
        instance_id: InstanceId(flaws.or_default(self::id(row, "instance_id"))),
        channel: ChannelName::new(flaws.or_default(text(row, "channel"))),
        channel_instance_id: flaws.or_default(text(row, "channel_instance_id")),
        recipient: flaws.or_default(text(row, "remote_jid")),
        group: flaws.or_default(row.id("group_id")).map(GroupId),
        broadcast: flaws.or_default(row.id("broadcast_id")).map(BroadcastId),
        content,
        direction: flaws.or(Direction::Sent, parsed(row, "direction", Direction::parse)),
        purpose: flaws.or_default(parsed_option(row, "purpose", Purpose::parse)),
        status: flaws.or(MessageStatus::Queued, status(row, "status")),
        channel_message_id: flaws.or_default(text_option(row, "channel_message_id")),
        error: flaws.or_default(text_option(row, "error")),
        failure: flaws.or_default(parsed_option(row, "failure", FailureKind::parse)),
        tries: count_of(row, "retries", &mut flaws),
        max_tries: count_of(row, "max_retries", &mut flaws),
        priority: flaws.or_default(number_option(row, "priority")),
        send_at: flaws.or_default(row.time("send_at")),
        try_number,
        attempt_started_at: flaws.or_default(row.time("attempt_started_at")),
        attempt_http_status: flaws.or_default(number_option(row, "attempt_http_status")),
        node: flaws.or_default(row.id("node_id")).map(NodeId),
        next_attempt_at: flaws.or_default(row.time("next_attempt_at")),
        deferrals: count_of(row, "deferrals", &mut flaws),
        deferred_since: flaws.or_default(row.time("deferred_since")),
        is_unanswered: flaws.or_default(there("unanswered", row.flag("unanswered"))),
        replays: count_of(row, "replays", &mut flaws),
        dead_lettered_at: flaws.or_default(row.time("dead_lettered_at")),
        created_at: flaws.or_default(time(row, "created_at")),
        updated_at: flaws.or_default(time(row, "updated_at")),
        sent_at: flaws.or_default(row.time("sent_at")),
        delivered_at: flaws.or_default(row.time("delivered_at")),
        read_at: flaws.or_default(row.time("read_at")),
        flaw: flaws.sentence(),
    })
}

fn content<R: Row>(row: &R, flaws: &mut Flaws) -> Content {
    let url = flaws.or_default(text_option(row, "media_url"));
    let media_type: Option<MediaType> = flaws.or_default(parsed_option(row, "media_type", |text| text.parse().ok()));
    if url.is_some() != media_type.is_some() {
        flaws.add("media_url and media_type must be set together".to_owned());
    }
    let payload = json(row, "payload", flaws);
    let template = json(row, "template", flaws);
    let record = json(row, "record", flaws);
    let media = url.zip(media_type).map(|(url, media_type)| Media { url: MediaUrl::stored(url), media_type });
    Content { text: flaws.or_default(text_option(row, "message")), media, payload, template, record }
}

fn json<R: Row>(row: &R, column: &str, flaws: &mut Flaws) -> Option<String> {
    let json = flaws.or_default(row.json(column));
    let is_json = |json: &str| R::KEEPS_JSON || serde_json::from_str::<&RawValue>(json).is_ok();
    if !json.as_deref().is_none_or(is_json) {
        flaws.add(format!("{column} is not JSON"));
    }
    json
}

/// The messages of rows that have an id. One without (removed by hand) must not keep the others from their end.
pub fn messages(rows: &[impl Row]) -> Vec<Message> {
    let named = |row| {
        message(row).inspect_err(|error| tracing::error!(%error, "a message's row cannot be read and is skipped")).ok()
    };
    rows.iter().filter_map(named).collect()
}

pub fn parsed<T>(row: &impl Row, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, RepositoryError> {
    there(column, parsed_option(row, column, parse))
}

pub fn parsed_option<T>(
    row: &impl Row,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RepositoryError> {
    let unreadable = |text| RepositoryError::Corrupt(format!("{column} is `{text}`"));
    row.text(column)?.map(|text| parse(text).ok_or_else(|| unreadable(text))).transpose()
}

/// A count. What is beyond its bounds is a flaw, and the bound stands in for it.
pub fn count_of(row: &impl Row, column: &str, flaws: &mut Flaws) -> u32 {
    let number = flaws.or_default(there(column, row.number(column)));
    let within = number.clamp(0, LARGEST_NUMBER.into());
    if within != number {
        flaws.add(format!("{column} is {number}"));
    }
    u32::try_from(within).unwrap_or_default()
}

pub fn number_option<T: TryFrom<i64>>(row: &impl Row, column: &str) -> Result<Option<T>, RepositoryError> {
    let unreadable = |number| RepositoryError::Corrupt(format!("{column} is {number}"));
    row.number(column)?.map(|number| T::try_from(number).map_err(|_| unreadable(number))).transpose()
}

pub fn id(row: &impl Row, column: &str) -> Result<Uuid, RepositoryError> {
    there(column, row.id(column))
}

pub fn tenant(row: &impl Row) -> Result<Tenant, RepositoryError> {
    parsed(row, "tenant", |text| Tenant::new(text).ok())
}

/// Names with single spaces in between.
pub fn scopes(row: &impl Row) -> Result<Vec<Scope>, RepositoryError> {
    parsed(row, "scopes", |text| text.split_whitespace().map(|name| name.parse().ok()).collect())
}

pub fn status(row: &impl Row, column: &str) -> Result<MessageStatus, RepositoryError> {
    parsed(row, column, |text| text.parse().ok())
}

pub fn time(row: &impl Row, column: &str) -> Result<Timestamp, RepositoryError> {
    there(column, row.time(column))
}

pub fn time_option(row: &impl Row, column: &str) -> Result<Option<Timestamp>, RepositoryError> {
    row.time(column)
}

pub fn text(row: &impl Row, column: &str) -> Result<String, RepositoryError> {
    there(column, text_option(row, column))
}

pub fn text_option(row: &impl Row, column: &str) -> Result<Option<String>, RepositoryError> {
    row.text(column).map(|text| text.map(str::to_owned))
}

pub fn there<T>(column: &str, read: Result<Option<T>, RepositoryError>) -> Result<T, RepositoryError> {
    read?.ok_or_else(|| RepositoryError::Corrupt(format!("{column} is null")))
}

/// What of a list can be read: a row that was broken by hand must not hide the others.
pub fn readable<R: Row, T>(rows: &[R], read: impl Fn(&R) -> Result<T, RepositoryError>) -> Vec<T> {
    let readable =
        |row| read(row).inspect_err(|error| tracing::error!(%error, "a row cannot be read and is skipped")).ok();
    rows.iter().filter_map(readable).collect()
}
