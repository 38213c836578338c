//! What receipts make of messages: one statement a state.

mod inbound;

use sqlx::{Sqlite, Transaction};

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::receipt::{FoundReceipt, ReceiptStatus};
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{time_text, time_text_option};

pub use inbound::{Receptions, Undecided, decide};

/// A message has the name that a receipt names, or none that its channel gave it; or the receipt is not its.
macro_rules! receive {
    ($set:literal, $guard:literal) => {
        concat!(
            $set,
            ",       channel_message_id = ?2,
                     unanswered = 0,
                     next_attempt_at = null,
                     updated_at = ?5
              where id = ?1
                and coalesce(nullif(channel_message_id, id), ?2) = ?2
                and ",
            $guard
        )
    };
}

/// Without a name of its own a message that was replayed is not known to be the one that was taken: it may have been an earlier run,
/// which was refused later.
pub const SENT: &str = receive!(
    "update messaging_messages
        set status = 'sent',
         sent_at = coalesce(sent_at, ?3),
         error = null,
         failure = null,
         dead_lettered_at = null",
    "status in ('queued', 'failed') and (failure = 'unknown' or (status = 'queued' and unanswered
          and (replays = 0 or channel_message_id = ?2)))
     and ?4 is null and ?6 is null"
);

pub const DELIVERED: &str = receive!(
    "update messaging_messages
        set status = 'delivered',
         sent_at = coalesce(sent_at, ?3),
         delivered_at = ?3,
         error = null,
         failure = null,
         dead_lettered_at = null",
    "status in ('queued', 'sent', 'failed')
     and (status = 'sent' or failure = 'unknown' or (status = 'queued' and unanswered))
     and ?4 is null and ?6 is null"
);

pub const READ: &str = receive!(
    "update messaging_messages
        set status = 'read',
         sent_at = coalesce(sent_at, ?3),
         delivered_at = coalesce(delivered_at, ?3),
         read_at = ?3,
         error = null,
         failure = null,
         dead_lettered_at = null",
    "status in ('queued', 'sent', 'delivered', 'failed')
     and (status in ('sent', 'delivered') or failure = 'unknown' or (status = 'queued' and unanswered))
     and ?4 is null and ?6 is null"
);

/// An unknown failure that is known now has its dead letter, or owes it still.
pub const FAILED: &str = receive!(
    "update messaging_messages
        set status = 'failed',
         failure = 'recipient',
         error = ?4,
         dead_lettered_at = iif(failure is null, ?6, coalesce(dead_lettered_at, ?6))",
    // As on PostgreSQL.
    "status in ('sent', 'failed') and (status = 'sent' or failure = 'unknown') and try > 0"
);

fn statement(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Sent => SENT,
        ReceiptStatus::Delivered => DELIVERED,
        ReceiptStatus::Read => READ,
        ReceiptStatus::Failed => FAILED,
    }
}

/// Returns whether the message moved.
pub async fn receive(
    transaction: &mut Transaction<'_, Sqlite>,
    FoundReceipt { message, receipt }: &FoundReceipt,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, RepositoryError> {
    let has_failed = receipt.status == ReceiptStatus::Failed;
    let written = sqlx::query(statement(receipt.status))
        .bind(message.0.hyphenated())
        .bind(&receipt.of.id)
        .bind(time_text(receipt.at))
        .bind(receipt.reason.as_deref().filter(|_| has_failed))
        .bind(time_text(now))
        .bind(time_text_option(dead_lettered_at.filter(|_| has_failed)))
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    Ok(written.rows_affected() > 0)
}
