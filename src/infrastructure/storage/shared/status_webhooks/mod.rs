//! What is to be told, as its rows have it, in either database.

use std::collections::{HashMap, HashSet};

use super::flaws::Flaws;
use super::rows::{Row, count_of, id, status, tenant, time};
use crate::application::ports::{BYTES_AT_ONCE, RepositoryError};
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageId};
use crate::domain::status_webhook::{Change, Snapshot, States, Subscriber};

/// Changes, and tellings, that one transaction looks at.
pub const PORTION: u32 = 500;

/// Ends of messages that one transaction looks at.
pub const ENDINGS: u32 = 2_000;

/// Tellings whose messages may be gone that one look looks at.
pub const MISSED: u32 = 500;

/// The columns of a snapshot, as both tables have them.
macro_rules! snapshot_columns {
    () => {
        "then_status, then_channel_message_id, then_error, then_retries, then_updated_at, then_sent_at, then_delivered_at,
         then_read_at"
    };
}
pub(in crate::infrastructure::storage) use snapshot_columns;

/// A change that was noted, or one that waits to be told to one subscriber.
pub struct Noted {
    pub seq: i64,
    pub message: MessageId,
    /// Of a change: how far it was told. Of one that waits: to whom it is to be told.
    pub subscription: Option<InstanceId>,
    pub snapshot: Snapshot,
}

impl Noted {
    fn change(self, message: Message) -> Change {
        Change { seq: self.seq, message: self.snapshot.applied_to(message), told_to: self.subscription }
    }
}

/// What was noted, as far as it is told now.
pub struct Portion {
    pub changes: Vec<Change>,
    /// Those whose messages are gone: nothing can be told of them.
    pub gone: Vec<(i64, MessageId, Option<InstanceId>)>,
    /// Whether others are left for the next time, because all of it would have been too much to read.
    pub is_cut: bool,
}

/// Those of `noted` whose messages were read. The messages were read in this order, as many as are read in one go.
pub fn portion(noted: Vec<Noted>, messages: &HashMap<MessageId, Message>) -> Portion {
    let is_full = messages.values().map(|message| message.content.bytes()).sum::<u64>() >= BYTES_AT_ONCE;
    let last = noted.iter().rposition(|one| messages.contains_key(&one.message));
    let end = if is_full { last.map_or(0, |last| last + 1) } else { noted.len() };
    let mut portion = Portion { changes: Vec::new(), gone: Vec::new(), is_cut: end < noted.len() };
    for one in noted.into_iter().take(end) {
        match messages.get(&one.message) {
            Some(message) => portion.changes.push(one.change(message.clone())),
            None => portion.gone.push((one.seq, one.message, one.subscription)),
        }
    }
    portion
}

/// Each message once, in the order in which they come first.
pub fn in_order(noted: &[Noted]) -> Vec<MessageId> {
    let mut seen = HashSet::new();
    noted.iter().map(|one| one.message).filter(|id| seen.insert(*id)).collect()
}

/// # Errors
/// When it was edited by hand and cannot be read.
pub fn noted(row: &impl Row, subscription: &str) -> Result<Noted, RepositoryError> {
    let seq = row.number("seq")?.ok_or_else(|| RepositoryError::Corrupt("seq is null".to_owned()))?;
    Ok(Noted {
        seq,
        message: MessageId(id(row, "message_id")?),
        subscription: row.id(subscription)?.map(InstanceId),
        snapshot: Snapshot {
            status: status(row, "then_status")?,
            channel_message_id: row.text("then_channel_message_id")?.map(str::to_owned),
            error: row.text("then_error")?.map(str::to_owned),
            tries: count_of(row, "then_retries", &mut Flaws::default()),
            updated_at: time(row, "then_updated_at")?,
            sent_at: row.time("then_sent_at")?,
            delivered_at: row.time("then_delivered_at")?,
            read_at: row.time("then_read_at")?,
        },
    })
}

/// # Errors
/// When it was edited by hand and cannot be read.
pub fn subscriber(row: &impl Row) -> Result<Subscriber, RepositoryError> {
    Ok(Subscriber {
        id: InstanceId(id(row, "id")?),
        tenant: tenant(row)?,
        user_id: row.text("user_id")?.unwrap_or_default().to_owned(),
        states: States::parse(row.text("states")?),
        channel_instance_id: row.text("channel_instance_id")?.map(str::to_owned),
    })
}

/// Those that can be read, in order of their ids. One that was edited by hand must not keep the others from being told.
pub fn subscribers(rows: &[impl Row]) -> Vec<Subscriber> {
    let readable = |row| {
        subscriber(row)
            .inspect_err(|error| tracing::error!(%error, "a subscription's row cannot be read: it is told nothing"))
            .ok()
    };
    let mut subscribers: Vec<Subscriber> = rows.iter().filter_map(readable).collect();
    subscribers.sort_unstable_by_key(|subscriber| subscriber.id);
    subscribers
}
