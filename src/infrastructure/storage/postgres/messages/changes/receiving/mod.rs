//! What receipts make of messages: one statement a state, so that none meets two receipts of one message, of which
//! PostgreSQL would apply any.

mod inbound;

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::message::{MessageId, MessageStatus};
use crate::domain::receipt::{FoundReceipt, ReceiptStatus};
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::{get, status};
use crate::infrastructure::storage::shared::week_of;

pub use inbound::{Receptions, Undecided, decide};

/// Messages that receipts may move, as they are once nobody else changes them. Locked, in order of id, so that one whose receipts
/// are deleted because they moved nothing has not ended meanwhile; what is being delivered is not locked, and its outcome does not
/// wait for receipts.
pub const SETTLED: &str = "
    select messages.id,
           messages.status
      from unnest($1::uuid[]) with ordinality as asked (id, place)
      join messaging_messages as messages
        on messages.id = asked.id
     where (messages.id between :least and :greatest or messages.id = :least)
       and (messages.status not in ('pending', 'processing')) is true
     order by asked.place
       for no key update of messages";

/// A message has the name that a receipt names, or none that its channel gave it; or the receipt is not its. The guards are so
/// written that no index on a state seems to serve: each row is looked up by its id.
macro_rules! receive {
    ($set:literal, $guard:literal) => {
        concat!(
            $set,
            ",       channel_message_id = receipts.named_as,
                     unanswered = false,
                     next_attempt_at = null,
                     updated_at = $5
               from (select unnest($1::uuid[]) as id, unnest($2::text[]) as named_as, unnest($3::timestamptz[]) as occurred_at,
                            unnest($4::text[]) as reason) as receipts
              where messages.id = receipts.id
                and (messages.id between :least and :greatest or messages.id = :least)
                and coalesce(nullif(messages.channel_message_id, messages.id::text), receipts.named_as) = receipts.named_as
                and ",
            $guard,
            " returning messages.id"
        )
    };
}

/// Without a name of its own a message that was replayed is not known to be the one that was taken: it may have been an earlier run,
/// which was refused later.
pub const SENT: &str = receive!(
    "update messaging_messages as messages
        set status = 'sent',
         sent_at = coalesce(messages.sent_at, receipts.occurred_at),
         error = null,
         failure = null,
         dead_lettered_at = null",
    "(messages.status in ('queued', 'failed')) is true
     and (messages.failure = 'unknown' or (messages.status = 'queued' and messages.unanswered
              and (messages.replays = 0 or messages.channel_message_id = receipts.named_as)))
     and $6::timestamptz is null"
);

pub const DELIVERED: &str = receive!(
    "update messaging_messages as messages
        set status = 'delivered',
         sent_at = coalesce(messages.sent_at, receipts.occurred_at),
         delivered_at = receipts.occurred_at,
         error = null,
         failure = null,
         dead_lettered_at = null",
    "(messages.status in ('queued', 'sent', 'failed')) is true
     and (messages.status = 'sent' or messages.failure = 'unknown'
          or (messages.status = 'queued' and messages.unanswered))
     and $6::timestamptz is null"
);

pub const READ: &str = receive!(
    "update messaging_messages as messages
        set status = 'read',
         sent_at = coalesce(messages.sent_at, receipts.occurred_at),
         delivered_at = coalesce(messages.delivered_at, receipts.occurred_at),
         read_at = receipts.occurred_at,
         error = null,
         failure = null,
         dead_lettered_at = null",
    "(messages.status in ('queued', 'sent', 'delivered', 'failed')) is true
     and (messages.status in ('sent', 'delivered') or messages.failure = 'unknown'
          or (messages.status = 'queued' and messages.unanswered))
     and $6::timestamptz is null"
);

/// An unknown failure that is known now has its dead letter, or owes it still.
pub const FAILED: &str = receive!(
    "update messaging_messages as messages
        set status = 'failed',
         failure = 'recipient',
         error = receipts.reason,
         dead_lettered_at = case
             when messages.failure is null then $6
             else coalesce(messages.dead_lettered_at, $6)
         end",
    // What was written on a phone was never tried: a failure would have it replayed, or published as a dead letter.
    "(messages.status in ('sent', 'failed')) is true and (messages.status = 'sent' or messages.failure = 'unknown')
     and messages.try > 0"
);

fn statement(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Sent => SENT,
        ReceiptStatus::Delivered => DELIVERED,
        ReceiptStatus::Read => READ,
        ReceiptStatus::Failed => FAILED,
    }
}

/// Which of these messages are not being delivered, and the state of each. They stay so until the transaction ends.
pub async fn settled(
    connection: &mut PgConnection,
    messages: impl Iterator<Item = MessageId>,
) -> Result<Result<HashMap<MessageId, MessageStatus>, RepositoryError>, sqlx::Error> {
    let mut settled = HashMap::new();
    for ids in by_week(messages, |id| *id).values_mut() {
        ids.sort_unstable();
        ids.dedup();
        let statement = NamedWeeks::of(ids.iter().copied()).name_in(SETTLED);
        let query = sqlx::query(AssertSqlSafe(statement)).bind(ids.iter().map(|id| id.0).collect::<Vec<Uuid>>());
        for row in query.fetch_all(&mut *connection).await? {
            let read = get(&row, "id").and_then(|id| Ok((MessageId(id), status(&row, "status")?)));
            match read {
                Ok((id, status)) => settled.insert(id, status),
                Err(unreadable) => return Ok(Err(unreadable)),
            };
        }
    }
    Ok(Ok(settled))
}

/// Applies receipts of one state, of each message one. Returns which messages moved.
pub async fn receive(
    connection: &mut PgConnection,
    (status, found): (ReceiptStatus, &[&FoundReceipt]),
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<HashSet<MessageId>, sqlx::Error> {
    let has_failed = status == ReceiptStatus::Failed;
    let mut moved = HashSet::new();
    for found in by_week(found.iter().copied(), |one| one.message).values() {
        let statement = NamedWeeks::of(found.iter().map(|one| one.message)).name_in(statement(status));
        let ids: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(found.iter().map(|one| one.message.0).collect::<Vec<_>>())
            .bind(found.iter().map(|one| one.receipt.of.id.as_str()).collect::<Vec<_>>())
            .bind(found.iter().map(|one| one.receipt.at).collect::<Vec<_>>())
            .bind(found.iter().map(|one| one.receipt.reason.as_deref()).collect::<Vec<_>>())
            .bind(now)
            .bind(dead_lettered_at.filter(|_| has_failed))
            .fetch_all(&mut *connection)
            .await?;
        moved.extend(ids.into_iter().map(MessageId));
    }
    Ok(moved)
}

/// A message is read months after it was sent: its week is named in a statement of its own, and not with all between.
fn by_week<T>(all: impl Iterator<Item = T>, id: impl Fn(&T) -> MessageId) -> BTreeMap<i128, Vec<T>> {
    let mut by_week: BTreeMap<i128, Vec<T>> = BTreeMap::new();
    for one in all {
        by_week.entry(week_of(id(&one))).or_default().push(one);
    }
    by_week
}
