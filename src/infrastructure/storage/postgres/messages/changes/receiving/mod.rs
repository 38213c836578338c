//! What receipts make of messages: one statement a state, so that none meets two receipts of one message, of which
//! PostgreSQL would apply any.

mod inbound;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::domain::Timestamp;
use crate::domain::receipt::{FoundReceipt, ReceiptStatus};
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;

pub use inbound::{Receptions, Undecided, decide};

/// A message has the name that a receipt names, or the receipt is not its. The guards are so written that no index on a state
/// seems to serve: each row is looked up by its id.
macro_rules! receive {
    ($set:literal, $guard:literal) => {
        concat!(
            $set,
            ",       updated_at = $5
               from (select unnest($1::uuid[]) as id, unnest($2::text[]) as named_as, unnest($3::timestamptz[]) as occurred_at,
                            unnest($4::text[]) as reason) as receipts
              where messages.id = receipts.id
                and (messages.id between :least and :greatest or messages.id = :least)
                and messages.channel_message_id = receipts.named_as
                and ",
            $guard
        )
    };
}

pub const SENT: &str = receive!(
    "update messaging_messages as messages
        set status = 'sent',
         sent_at = coalesce(messages.sent_at, receipts.occurred_at),
         error = null,
         failure = null,
         dead_lettered_at = null",
    "(messages.status = 'failed') is true and messages.failure = 'unknown' and $6::timestamptz is null"
);

pub const DELIVERED: &str = receive!(
    "update messaging_messages as messages
        set status = 'delivered',
         sent_at = coalesce(messages.sent_at, receipts.occurred_at),
         delivered_at = receipts.occurred_at,
         error = null,
         failure = null,
         dead_lettered_at = null",
    "(messages.status in ('sent', 'failed')) is true and (messages.status = 'sent' or messages.failure = 'unknown')
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
    "(messages.status in ('sent', 'delivered', 'failed')) is true
     and (messages.status in ('sent', 'delivered') or messages.failure = 'unknown')
     and $6::timestamptz is null"
);

pub const FAILED: &str = receive!(
    "update messaging_messages as messages
        set status = 'failed',
         failure = 'recipient',
         error = receipts.reason,
         dead_lettered_at = $6",
    "(messages.status = 'sent') is true"
);

fn statement(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Sent => SENT,
        ReceiptStatus::Delivered => DELIVERED,
        ReceiptStatus::Read => READ,
        ReceiptStatus::Failed => FAILED,
    }
}

/// Applies receipts of one state, of each message one.
pub async fn receive(
    connection: &mut PgConnection,
    (status, found): (ReceiptStatus, &[&FoundReceipt]),
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let statement = NamedWeeks::of(found.iter().map(|one| one.message)).name_in(statement(status));
    let has_failed = status == ReceiptStatus::Failed;
    sqlx::query(AssertSqlSafe(statement))
        .bind(found.iter().map(|one| one.message.0).collect::<Vec<_>>())
        .bind(found.iter().map(|one| one.receipt.of.id.as_str()).collect::<Vec<_>>())
        .bind(found.iter().map(|one| one.receipt.at).collect::<Vec<_>>())
        .bind(found.iter().map(|one| one.receipt.reason.as_deref()).collect::<Vec<_>>())
        .bind(now)
        .bind(dead_lettered_at.filter(|_| has_failed))
        .execute(connection)
        .await?;
    Ok(())
}
